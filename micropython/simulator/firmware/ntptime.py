"""Stand in for time from the network: the host's clock, or none where the world says so."""

import time

from world import world

host = "pool.ntp.org"
timeout = 1


def settime():
    """Set the clock right, or raise OSError as a lost packet does."""
    if world().get("ntp", True) is not True:
        raise OSError(110)
    time.set_shift(0)
