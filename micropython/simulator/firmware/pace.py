"""Let time jump where the board only waits, as far as the host allows it.

Between two jumps time passes as on the host, so what the board computes takes as long as it
takes. The host reads from a file how far time has jumped, and writes there how far it may.

Ticks begin again at zero after 30 bits, as on boards, and do so an hour after the start.
"""

import struct
import sys

# By a name that stays in here: to all others `utime` is this module.
import utime as _utime
from utime import *  # noqa: F403

from world import HOST, tell

_FORMAT = "<qq"
_LOOK_MS = 1
_TICKS = 1 << 30
_FIRST_TICK = _TICKS - 3_600_000

_file = None
_buffer = bytearray(16)
_jumped_ms = 0
_bites_ms = None
_start_ms = 0


def begin(path):
    """Compress time from now on, for everybody who imports `time` or `select`."""
    global _file, _jumped_ms, _start_ms
    _file = HOST.open(path, "r+b")
    _jumped_ms = _read()[0]
    _start_ms = _steady_ms()
    sys.modules["utime"] = sys.modules[__name__]
    import polling

    sys.modules["select"] = polling
    from asyncio import core

    # The part of it that is in C knows the host's ticks alone, which have more bits.
    core.ticks = _steady_ms
    core.ticks_add = _utime.ticks_add
    core.ticks_diff = _utime.ticks_diff


def ticks_ms():
    """Return milliseconds that go forward, and begin anew."""
    return (_steady_ms() - _start_ms + _FIRST_TICK) % _TICKS


def ticks_us():
    """Return the microseconds of the same clock."""
    return ((_steady_ms() - _start_ms + _FIRST_TICK) * 1000) % _TICKS


def ticks_add(ticks, delta):
    """Return the ticks that come so much later."""
    return (ticks + delta) % _TICKS


def ticks_diff(one, other):
    """Return how much later one is than the other, if they are not too far apart."""
    return (one - other + _TICKS // 2) % _TICKS - _TICKS // 2


def time():
    """Return the seconds since 1970."""
    return _utime.time() + _jumped_ms / 1000


def time_ns():
    """Return the nanoseconds since 1970."""
    return _utime.time_ns() + _jumped_ms * 1_000_000


def sleep(seconds):
    """Let seconds pass."""
    jump(int(seconds * 1000))


def sleep_ms(duration_ms):
    """Let milliseconds pass."""
    jump(duration_ms)


def guard(timeout_ms):
    """Let the watchdog bite where time would jump beyond its patience, if time jumps.

    Args:
        timeout_ms: its patience, or None where nothing waits for the board any more.
    """
    global _bites_ms
    if _file is None:
        return False
    _bites_ms = None if timeout_ms is None else _now_ms() + timeout_ms
    return True


def jump(duration_ms):
    """Let time pass without waiting for it, or as long as the host says nothing else."""
    global _jumped_ms
    end_ms = _now_ms() + duration_ms
    while True:
        now_ms = _now_ms()
        if now_ms >= end_ms:
            return
        until_ms = min(end_ms, _read()[1])
        if _bites_ms is not None and until_ms >= _bites_ms:
            tell(b"bite\n")
            halt()
        if until_ms > now_ms:
            _jumped_ms += until_ms - now_ms
        else:
            # Time stands still while the host gets something ready.
            _utime.sleep_ms(_LOOK_MS)
            _jumped_ms -= _now_ms() - now_ms
        struct.pack_into("<q", _buffer, 0, _jumped_ms)
        _file.seek(0)
        _file.write(memoryview(_buffer)[:8])


def halt():
    """Do nothing more until the host ends the board."""
    while True:
        _utime.sleep(3600)


def _steady_ms():
    return _utime.ticks_ms() + _jumped_ms


def _now_ms():
    return _utime.time_ns() // 1_000_000 + _jumped_ms


def _read():
    _file.seek(0)
    _file.readinto(_buffer)
    return struct.unpack(_FORMAT, _buffer)
