"""Stand in for time from the network: the host's clock, or none where the world says so.

The world's `ntp` is true where every server answers, or gives answers by the names of those
that do: true, or the seconds since 1970 that a server wrongly tells.
"""

import time as _time

import utime

from world import world

host = "pool.ntp.org"
timeout = 1


def time():
    """Ask the server, or raise OSError as a lost packet does."""
    answer = world().get("ntp", True)
    if isinstance(answer, dict):
        answer = answer.get(host, False)
    if answer is False:
        raise OSError(110)
    if answer is True:
        answer = int(utime.time())
    return answer + _time.mktime((1970, 1, 1, 0, 0, 0))


def settime():
    """Set the clock to what the server says."""
    _time.set_date(_time.gmtime(time()))
