"""Let time jump where the board only waits, as far as the host allows it.

Between two jumps time passes as on the host, so what the board computes takes as long as it
takes. The host reads from a file how far time has jumped, and writes there how far it may.
"""

import struct
import sys

import utime
from utime import *  # noqa: F403

from world import HOST, tell

_HEAD = "<qq"
_LOOK_MS = 1

_file = None
_buffer = bytearray(16)
_jumped_ms = 0
_bites_ms = None


def begin(path):
    """Compress time from now on, for everybody who imports `time` or `select`."""
    global _file, _jumped_ms
    _file = HOST.open(path, "r+b")
    _jumped_ms = _read()[0]
    sys.modules["utime"] = sys.modules[__name__]
    import polling

    sys.modules["select"] = polling


def ticks_ms():
    """Return the milliseconds of a clock that only goes forward."""
    return utime.ticks_ms() + _jumped_ms


def ticks_us():
    """Return the microseconds of the same clock."""
    return utime.ticks_us() + _jumped_ms * 1000


def time():
    """Return the seconds since 1970."""
    return utime.time() + _jumped_ms / 1000


def time_ns():
    """Return the nanoseconds since 1970."""
    return utime.time_ns() + _jumped_ms * 1_000_000


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
            utime.sleep(3600)
        if until_ms > now_ms:
            _jumped_ms += until_ms - now_ms
        else:
            # Time stands still while the host gets something ready.
            utime.sleep_ms(_LOOK_MS)
            _jumped_ms -= _now_ms() - now_ms
        struct.pack_into("<q", _buffer, 0, _jumped_ms)
        _file.seek(0)
        _file.write(memoryview(_buffer)[:8])


def _now_ms():
    return utime.time_ns() // 1_000_000 + _jumped_ms


def _read():
    _file.seek(0)
    _file.readinto(_buffer)
    return struct.unpack(_HEAD, _buffer)
