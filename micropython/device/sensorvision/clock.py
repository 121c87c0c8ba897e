"""Set the clock from the network, because certificates are only valid between two dates."""

import time

from micropython import const

# No certificate of today was valid before this was written.
_FIRST_YEAR = const(2026)


def is_set() -> bool:
    """Tell whether the clock shows a date that can be true."""
    return time.gmtime()[0] >= _FIRST_YEAR


def set_clock() -> bool:
    """Ask the network for the time once, and tell whether the clock is right now."""
    import ntptime

    try:
        ntptime.settime()
    except OSError:
        pass
    return is_set()
