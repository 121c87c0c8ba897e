"""Stand in for the driver of 1-Wire that is frozen into the firmware of ESP32 and RP2."""

import _onewire

_MOST_CHIPS = 255


class OneWireError(Exception):
    """No chip has answered a reset."""


class OneWire:
    """The master of one line."""

    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = pin
        pin.init(pin.OPEN_DRAIN, pin.PULL_UP)

    def reset(self, required=False):
        """Begin anew, and tell whether somebody is there."""
        is_there = _onewire.reset(self.pin)
        if required and not is_there:
            raise OneWireError
        return is_there

    def readbit(self):
        """Read a bit."""
        return _onewire.readbit(self.pin)

    def readbyte(self):
        """Read a byte."""
        return _onewire.readbyte(self.pin)

    def readinto(self, buffer):
        """Fill a buffer."""
        for place in range(len(buffer)):
            buffer[place] = self.readbyte()

    def writebit(self, bit):
        """Write a bit."""
        _onewire.writebit(self.pin, bit)

    def writebyte(self, byte):
        """Write a byte."""
        _onewire.writebyte(self.pin, byte)

    def write(self, content):
        """Write bytes."""
        for byte in content:
            self.writebyte(byte)

    def select_rom(self, rom):
        """Speak to one chip from here to the next reset."""
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def crc8(self, content):
        """Return the checksum of bytes."""
        return _onewire.crc8(content)

    def scan(self):
        """Return the ids of all chips, as far as the line can be believed."""
        found = []
        # Where ids differed, the way that has not been gone yet.
        ways = [[]]
        while ways and len(found) < _MOST_CHIPS:
            bits = self._follow(ways.pop(), ways)
            if bits:
                found.append(
                    bytearray(
                        sum(bit << place for place, bit in enumerate(bits[first : first + 8]))
                        for first in range(0, 64, 8)
                    )
                )
        return found

    def _follow(self, way, ways):
        if not self.reset():
            return None
        self.writebyte(self.SEARCH_ROM)
        bits = []
        for place in range(64):
            bit = self.readbit()
            complement = self.readbit()
            if bit and complement:
                return None
            if place < len(way):
                bit = way[place]
            elif not bit and not complement:
                ways.append(bits + [1])
            bits.append(bit)
            self.writebit(bit)
        return bits
