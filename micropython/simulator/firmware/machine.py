"""Stand in for a board's hardware, at the bus: bytes, levels and frames, no measurements."""

import _thread
import gc
import os
import sys
import time

import pace
from world import HOST, changes, tell, world

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_EXIT_RESET = 64
_EXIT_DEEP_SLEEP = 65
_EXIT_BOOTLOADER = 66

_RTC_MEMORY_BYTES = 2048

_ENODEV = 19
_ETIMEDOUT = 110

_CTRL_HUM = 0xF2
_STATUS = 0xF3
_CTRL_MEAS = 0xF4
_DATA = 0xF7
_MEASURING = 0x08

_DHT_INTERVAL_MS = 2000

# A line of a chip's log: the number of a measurement, when it was handed out, in
# milliseconds since 1970, and how many bytes of the heap were in use.
_LOG_LINE = "{:08d} {:014d} {:08d}\n"
_LOG_LINE_BYTES = 33


def reset():
    """Restart the board as its reset button does."""
    sys.exit(_EXIT_RESET)


def bootloader(timeout=0):
    """Start what takes new firmware in the place of the board's own."""
    sys.exit(_EXIT_BOOTLOADER)


def lightsleep(ms):
    """Stop the processor for a while; the watchdog goes on counting."""
    time.sleep_ms(ms)


def deepsleep(ms):
    """Switch off for a while, and start anew; only the clock and its memory have power."""
    if not pace.guard(None):
        tell(b"off\n")
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        try:
            time.sleep_ms(time.ticks_diff(end, time.ticks_ms()))
        except KeyboardInterrupt:
            # A chip that is off hears nobody.
            pass
    sys.exit(_EXIT_DEEP_SLEEP)


def reset_cause():
    """Tell why the board started."""
    return int(os.getenv("BOARD_RESET_CAUSE"))


def unique_id():
    """Return the serial number in the silicon."""
    return bytes.fromhex(world().get("unique_id", "e66123456789abcd"))


class RTC:
    """The clock that `time` reads, for those who set it in parts."""

    def __getattr__(self, name):
        """Have a memory only where the world says so, as only some chips do."""
        if name == "memory" and world().get("rtc_memory"):
            return self._memory
        raise AttributeError(name)

    def _memory(self, content=None):
        path = os.getenv("BOARD_WORLD") + ".rtc"
        if content is not None:
            if len(content) > _RTC_MEMORY_BYTES:
                raise ValueError("buffer too long")
            with HOST.open(path, "wb") as file:
                file.write(content)
            return None
        try:
            with HOST.open(path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def datetime(self, value=None):
        """Read or set year, month, day, weekday, hours, minutes, seconds and subseconds."""
        if value is None:
            now = time.gmtime()
            return (now[0], now[1], now[2], now[6], now[3], now[4], now[5], 0)
        year, month, day, _, hour, minute, second, _ = value
        time.set_date((year, month, day, hour, minute, second))
        return None


class Pin:
    """A pin that keeps the level it was given."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        if not 0 <= number <= 48:
            raise ValueError("invalid pin")
        self.number = number
        self._level = None
        if value is not None:
            self.value(value)

    def __str__(self):
        return f"Pin({self.number})"

    def init(self, mode=-1, pull=-1, value=None):
        """Set the pin up again."""
        if value is not None:
            self.value(value)

    def value(self, level=None):
        """Read the level, or set it."""
        if level is None:
            return self._level or 0
        level = int(bool(level))
        if level != self._level and self.number in world().get("watched_pins", ()):
            with HOST.open(os.getenv("BOARD_WORLD") + ".pins", "a") as file:
                file.write(f"{self.number} {level}\n")
        self._level = level
        return None

    __call__ = value

    def on(self):
        """Pull the pin up."""
        self.value(1)

    def off(self):
        """Pull the pin down."""
        self.value(0)


class _Chip:
    """Something on the I2C bus: 256 registers, and conversions where a chip measures."""

    def __init__(self, description):
        self.description = description
        self.registers = bytearray(256)
        # Nothing measured yet (BME280 data sheet, 5.3).
        self.registers[_DATA : _DATA + 8] = b"\x80\0\0\x80\0\0\x80\0"
        for start, content in description["registers"].items():
            first = int(start)
            self.registers[first : first + len(content) // 2] = bytes.fromhex(content)
        self._blocks = description.get("blocks", False)
        self._conversions = description.get("conversions")
        self._steps = description.get("steps")
        self._log = description.get("log")
        self._busy_polls = description.get("busy_polls", 1)
        self._converted = 0
        self._has_converted = False
        self._polls_left = 0

    def read(self, register, count):
        """Read registers from the given one on; each poll of the status lets time pass."""
        while self._blocks:
            time.sleep(1)
        if self._conversions and register == _STATUS and self._polls_left:
            self._polls_left -= 1
            self.registers[_STATUS] = _MEASURING
            if not self._polls_left:
                self._convert()
                self.registers[_STATUS] = 0
                return bytes([_MEASURING])
        if self._log and self._has_converted and register == _DATA:
            self._note()
        return bytes(self.registers[register : register + count])

    def write(self, register, content):
        """Write registers; a forced mode in the control register starts a conversion."""
        self.registers[register : register + len(content)] = content
        if self._conversions and register == _CTRL_MEAS and content[0] & 3 in (1, 2):
            self._polls_left = self._busy_polls
            if not self._busy_polls:
                self._convert()

    def _convert(self):
        self._has_converted = True
        control = self.registers[_CTRL_MEAS]
        if self._log:
            self._converted = self._handed_out()
        temperature, pressure, humidity = self._conversions[
            self._converted % len(self._conversions)
        ]
        if self._steps:
            temperature += self._steps[0] * self._converted
            pressure += self._steps[1] * self._converted
            humidity += self._steps[2] * self._converted
        self._converted += 1
        # A quantity whose oversampling is zero is skipped, which the chip says like this.
        if not control >> 5:
            temperature = 0x80000
        if not control >> 2 & 7:
            pressure = 0x80000
        if not self.registers[_CTRL_HUM] & 7:
            humidity = 0x8000
        self.registers[_DATA : _DATA + 8] = bytes(
            [
                pressure >> 12,
                pressure >> 4 & 255,
                pressure << 4 & 255,
                temperature >> 12,
                temperature >> 4 & 255,
                temperature << 4 & 255,
                humidity >> 8,
                humidity & 255,
            ]
        )
        self.registers[_CTRL_MEAS] = control & 0xFC

    def _handed_out(self):
        try:
            return HOST.stat(self._log)[6] // _LOG_LINE_BYTES
        except OSError:
            return 0

    def _note(self):
        # What is left is in use.
        gc.collect()
        line = _LOG_LINE.format(self._handed_out(), time.time_ns() // 1_000_000, gc.mem_alloc())
        with HOST.open(self._log, "ab") as log:
            log.write(line)


_chips = {}
_chips_of_change = -1


def _chip(sda, scl, address):
    global _chips_of_change
    if changes() != _chips_of_change:
        before = _chips.copy()
        _chips.clear()
        _chips_of_change = changes()
        for description in world().get("i2c", ()):
            key = (description["sda"], description["scl"], description["address"])
            chip = before.get(key)
            # One that stays where it is goes on with what it does.
            if chip is None or chip.description != description:
                chip = _Chip(description)
            _chips[key] = chip
    chip = _chips.get((sda, scl, address))
    if chip is None:
        raise OSError(_ENODEV)
    return chip


class SoftI2C:
    """An I2C bus on any two pins."""

    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        self._pins = (sda.number, scl.number)

    def readfrom_mem(self, address, register, count, *, addrsize=8):
        """Read registers of a chip."""
        return _chip(*self._pins, address).read(register, count)

    def readfrom_mem_into(self, address, register, buffer, *, addrsize=8):
        """Read registers of a chip into a buffer."""
        buffer[:] = _chip(*self._pins, address).read(register, len(buffer))

    def writeto_mem(self, address, register, content, *, addrsize=8):
        """Write registers of a chip."""
        _chip(*self._pins, address).write(register, content)

    def scan(self):
        """List the addresses that answer."""
        found = []
        for address in range(0x08, 0x78):
            try:
                _chip(*self._pins, address)
            except OSError:
                continue
            found.append(address)
        return found


class I2C(SoftI2C):
    """An I2C bus of the chip's own."""

    def __init__(self, number, *, scl, sda, freq=400000, timeout=50000):
        super().__init__(scl, sda)


class ADC:
    """A converter on a pin or a channel; what it reads, of 65535, is the world's."""

    CORE_TEMP = 4
    ATTN_11DB = 3

    def __init__(self, source):
        self._key = str(getattr(source, "number", source))
        if self._key not in world().get("adc", {}):
            raise ValueError("invalid channel")

    def __getattr__(self, name):
        """Have an attenuator and microvolts only where the chip is one of Espressif."""
        if "esp32" not in world() or name not in ("atten", "read_uv"):
            raise AttributeError(name)
        return getattr(self, "_" + name)

    def read_u16(self):
        """Read the level as part of the range."""
        return world()["adc"][self._key]

    def _atten(self, attenuation):
        self._range_uv = 3100000 if attenuation == self.ATTN_11DB else 950000

    def _read_uv(self):
        return self._range_uv * self.read_u16() // 65535


_dht_read_ms = {}
_dht_frames_read = {}


def dht_readinto(pin, buffer):
    """Read the next scripted frame of five bytes; a number in its place is an error's."""
    now = time.ticks_ms()
    before = _dht_read_ms.get(pin.number)
    _dht_read_ms[pin.number] = now
    frames = world().get("dht", {}).get(str(pin.number))
    too_soon = before is not None and time.ticks_diff(now, before) < _DHT_INTERVAL_MS
    if not frames or too_soon:
        raise OSError(_ETIMEDOUT)
    index = _dht_frames_read.get(pin.number, 0)
    _dht_frames_read[pin.number] = index + 1
    frame = frames[index % len(frames)]
    if isinstance(frame, int):
        raise OSError(frame)
    buffer[:] = bytes.fromhex(frame)


class WDT:
    """A watchdog that the host keeps, so that it bites whatever blocks the board."""

    def __init__(self, id=0, timeout=5000):
        self._timeout_ms = timeout
        if not pace.guard(timeout):
            tell(b"%d\n" % timeout)

    def feed(self):
        """Show that the program still makes progress."""
        if not pace.guard(self._timeout_ms):
            tell(b"feed\n")


class Timer:
    """A timer that goes on calling while a person is at the prompt."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, number=-1, **options):
        self._is_running = False
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, period, callback):
        """Call back every `period` milliseconds."""
        self._is_running = True
        _thread.start_new_thread(self._run, (mode, period, callback))

    def deinit(self):
        """Stop calling back."""
        self._is_running = False

    def _run(self, mode, period, callback):
        while self._is_running:
            time.sleep_ms(period)
            try:
                callback(self)
            except SystemExit:
                # Only ends this thread, while a reset ends them all.
                tell(b"0\n")
            self._is_running = self._is_running and mode == self.PERIODIC
