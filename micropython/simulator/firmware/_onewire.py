"""Stand in for the 1-Wire lines: reset pulses, time slots, and the chips that answer in them."""

import time

from world import changes, world

_SEARCH_ROM = 0xF0
_MATCH_ROM = 0x55
_SKIP_ROM = 0xCC
_CONVERT = 0x44
_READ_SCRATCHPAD = 0xBE

# What stands in a DS18B20 that has just got power: 85 degrees, 12 bits.
_POWER_ON = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10"


class _Chip:
    """A DS18B20, slot by slot; one that has nothing to say leaves the line high."""

    def __init__(self, description):
        self._rom = _bits(bytes.fromhex(description["rom"]))
        self._raws = description["raws"]
        self._conversion_ms = description["conversion_ms"]
        self._flips = description["flips"]
        self._converted = 0
        self._done_ms = None
        self._scratchpad = _POWER_ON
        self.reset()

    def reset(self):
        """Listen for what the master wants."""
        self._heard = []
        self._hears = self._rom_command
        self._answer = None

    def read(self):
        """Return the line's level in a slot in which the master listens."""
        if not self._answer:
            return 1
        return self._answer.pop(0)

    def write(self, bit):
        """Take the bit of a slot in which the master speaks."""
        self._heard.append(bit)
        if self._hears:
            self._hears()

    def _command(self):
        if len(self._heard) < 8:
            return None
        command = sum(bit << place for place, bit in enumerate(self._heard))
        self._heard = []
        return command

    def _rom_command(self):
        command = self._command()
        if command == _SKIP_ROM:
            self._hears = self._function
        elif command == _MATCH_ROM:
            self._hears = self._match
        elif command == _SEARCH_ROM:
            self._hears = self._search
            self._say_next()
        elif command is not None:
            self._hears = None

    def _match(self):
        if len(self._heard) == 64:
            self._hears = self._function if self._heard == self._rom else None
            self._heard = []

    def _search(self):
        place = len(self._heard) - 1
        if self._heard[place] != self._rom[place]:
            self._hears = self._answer = None
        elif place < 63:
            self._say_next()

    def _say_next(self):
        bit = self._rom[len(self._heard)]
        self._answer = [bit, 1 - bit]

    def _function(self):
        command = self._command()
        if command == _CONVERT:
            self._done_ms = time.ticks_add(time.ticks_ms(), self._conversion_ms)
        elif command == _READ_SCRATCHPAD:
            self._convert()
            content = self._scratchpad
            self._answer = _bits(content + bytes([crc8(content)]))
            if self._flips is not None:
                self._answer[self._flips] ^= 1

    def _convert(self):
        if self._done_ms is None or time.ticks_diff(time.ticks_ms(), self._done_ms) < 0:
            return
        raw = self._raws[self._converted % len(self._raws)] & 0xFFFF
        self._converted += 1
        self._done_ms = None
        self._scratchpad = bytes([raw & 255, raw >> 8]) + _POWER_ON[2:]


def _bits(content):
    return [byte >> place & 1 for byte in content for place in range(8)]


_lines = {}
_lines_of_change = -1


def _chips(pin):
    """Return the chips on a pin's line; None is a line that something holds down."""
    global _lines_of_change
    if changes() != _lines_of_change:
        _lines.clear()
        _lines_of_change = changes()
        for number, chips in world().get("onewire", {}).items():
            _lines[int(number)] = chips and [_Chip(chip) for chip in chips]
    return _lines.get(pin.number, [])


def reset(pin):
    """Pull the line down for long, and tell whether something pulls it down in answer."""
    chips = _chips(pin)
    if chips is None:
        return True
    for chip in chips:
        chip.reset()
    return bool(chips)


def readbit(pin):
    """Read one slot: low if any chip pulls it down."""
    chips = _chips(pin)
    if chips is None:
        return 0
    return min([1] + [chip.read() for chip in chips])


def writebit(pin, bit):
    """Write one slot."""
    for chip in _chips(pin) or ():
        chip.write(int(bool(bit)))


def readbyte(pin):
    """Read eight slots, the lowest bit first."""
    byte = 0
    for place in range(8):
        byte |= readbit(pin) << place
    return byte


def writebyte(pin, byte):
    """Write eight slots, the lowest bit first."""
    for place in range(8):
        writebit(pin, byte >> place & 1)


def crc8(content):
    """Return the checksum of 1-Wire: 0 where the last byte is that of those before."""
    crc = 0
    for bit in _bits(content):
        crc = crc >> 1 ^ (0x8C if (crc ^ bit) & 1 else 0)
    return crc
