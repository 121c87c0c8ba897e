"""Stand in for a board's clock, which runs from a wrong date until someone sets it."""

import utime
from utime import *  # noqa: F403

from world import world

# What is added to the host's time; boards start from a date long ago.
_shift_s = world().get("clock_shift_s", 0)


def set_shift(seconds):
    """Set how far the board's clock is off the host's."""
    global _shift_s
    _shift_s = seconds


def time():
    """Return the seconds since 1970, a whole number as on boards."""
    return int(utime.time()) + _shift_s


def gmtime(seconds=None):
    """Return the date and time of a moment, or of now."""
    return utime.gmtime(time() if seconds is None else seconds)


localtime = gmtime
