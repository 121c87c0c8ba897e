"""Play the file of an I2C bus and the chips that hang on it, byte by byte.

The requests and the structures of messages are those of Linux: linux/i2c-dev.h, linux/i2c.h.
"""

import ctypes
import errno
import itertools
import os

_SLAVE = 0x0703
_RDWR = 0x0707
_READ = 0x0001

_STATUS = 0xF3
_CTRL_MEAS = 0xF4
_DATA = 0xF7
_RESET = 0xE0
_MODE_BITS = 0b11


class _Message(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("buffer", ctypes.POINTER(ctypes.c_uint8)),
    )


class _Transfer(ctypes.Structure):
    _fields_ = (("messages", ctypes.POINTER(_Message)), ("count", ctypes.c_uint32))


class Chip:
    """A chip of registers, of which a BME280 converts when it is told to.

    Args:
        description: its registers as hexadecimal bytes by the first one's number, and
            what its converter reads, one after the other.
    """

    def __init__(self, description):
        self._registers = bytearray(256)
        for first, content in description["registers"].items():
            data = bytes.fromhex(content)
            self._registers[int(first) : int(first) + len(data)] = data
        self._conversions = itertools.cycle(description["conversions"])
        self._pointer = 0

    def write(self, data):
        """Take what a master writes: a register's number, and pairs of number and value."""
        if not data:
            return
        self._pointer = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            if register == _RESET:
                self._registers[_CTRL_MEAS] = 0
            else:
                self._registers[register] = value
            if register == _CTRL_MEAS and value & _MODE_BITS:
                self._convert()

    def read(self, count):
        """Return the registers from the one on that was written last."""
        first = self._pointer
        self._pointer += count
        return bytes(self._registers[first : first + count])

    def _convert(self):
        temperature, pressure, humidity = next(self._conversions)
        data = (pressure << 4).to_bytes(3) + (temperature << 4).to_bytes(3)
        data += humidity.to_bytes(2)
        self._registers[_DATA : _DATA + len(data)] = data
        # A forced measurement ends in sleep.
        if self._registers[_CTRL_MEAS] & _MODE_BITS != _MODE_BITS:
            self._registers[_CTRL_MEAS] &= ~_MODE_BITS


class Bus:
    """What `/dev/i2c-1` is to who opens it.

    Args:
        descriptions: of the chips that hang on it, each with its address.
    """

    def __init__(self, descriptions):
        self._chips = {each["address"]: Chip(each) for each in descriptions}
        self._address = 0
        self._file = os.open(os.devnull, os.O_RDWR)

    def fileno(self):
        """Return the number of a file that is open as long as the bus is."""
        return self._file

    def close(self):
        """Let the bus go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, count):
        """Read from the chip that was chosen."""
        return self._chip(self._address).read(count)

    def write(self, data):
        """Write to the chip that was chosen."""
        self._chip(self._address).write(bytes(data))
        return len(data)

    def control(self, request, argument):
        """Choose a chip, or carry messages to and from chips."""
        if request == _SLAVE:
            self._address = argument
            return 0
        if request != _RDWR:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        transfer = _Transfer.from_buffer(argument)
        for message in transfer.messages[: transfer.count]:
            chip = self._chip(message.address)
            if message.flags & _READ:
                data = chip.read(message.length)
                ctypes.memmove(message.buffer, data, len(data))
            else:
                chip.write(bytes(message.buffer[: message.length]))
        return transfer.count

    def _chip(self, address):
        if address not in self._chips:
            # Nobody has pulled the line down after the address.
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        return self._chips[address]
