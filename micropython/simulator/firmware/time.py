"""Stand in for a board's clock, which runs from a wrong date until someone sets it.

The world says how: by `clock_shift_s`, how far it is off; or by `clock`, with `epoch`, the
year that the port counts from, and `starts`, the seconds since 1970 at which it starts when
power comes. Then it runs on over resets, as that of an ESP32 does.
"""

import os

import utime
from utime import *  # noqa: F403

from world import HOST, world

_POWER_ON = "1"
_FILE = os.getenv("BOARD_WORLD") + ".clock"

_clock = world().get("clock", {})
_EPOCH_S = 946_684_800 if _clock.get("epoch") == 2000 else 0


def set_shift(seconds):
    """Set how far the board's clock is off the host's."""
    global _shift_s
    _shift_s = seconds
    if "starts" in _clock:
        with HOST.open(_FILE, "w") as file:
            file.write(str(seconds))


def set_date(date):
    """Set the clock to year, month, day, hours, minutes and seconds."""
    set_shift(mktime(date) + _EPOCH_S - int(utime.time()))


def time():
    """Return the seconds since the port's epoch, a whole number as on boards."""
    return int(utime.time()) + _shift_s - _EPOCH_S


def gmtime(seconds=None):
    """Return the date and time of a moment, or of now."""
    return utime.gmtime((time() if seconds is None else seconds) + _EPOCH_S)


localtime = gmtime


def mktime(date):
    """Return the moment of a date and time, which a board does not know zones of."""
    year, month, day, hour, minute, second = date[:6]
    # Years that begin in March end with the leap day.
    year -= month < 3
    days = year * 365 + year // 4 - year // 100 + year // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 719_469
    return ((days * 24 + hour) * 60 + minute) * 60 + second - _EPOCH_S


# What is added to the host's time; boards start from a date long ago.
_shift_s = world().get("clock_shift_s", 0)
if "starts" in _clock:
    if os.getenv("BOARD_RESET_CAUSE") == _POWER_ON:
        set_shift(_clock["starts"] - int(utime.time()))
    else:
        with HOST.open(_FILE, "r") as file:
            _shift_s = int(file.read())
