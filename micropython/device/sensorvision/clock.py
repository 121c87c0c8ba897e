"""Set the clock from the network, and stamp what is measured before it is set."""

import time

from micropython import const

# No message and no certificate of today was there before this was written.
_FIRST_YEAR = const(2026)
# Zero, as a server says that does not know the time (RFC 5905, 6): `ntptime` reads it so.
_UNKNOWN_TIME_S = const(2085978496)
_HOSTS = ("pool.ntp.org", "time.google.com")
_TRIES = const(2)
_TIMEOUT_S = const(2)
_PAUSE_MS = const(100)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

# ESP32 counts from 2000, RP2 from 1970.
_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0

jump = 0
"""How many seconds the clock has jumped, all in all, whenever it was set."""


def is_set() -> bool:
    """Tell whether the clock shows a date that can be true."""
    return time.gmtime()[0] >= _FIRST_YEAR


def now() -> int:
    """Return the seconds since 1970 that the clock shows."""
    return time.time() + _EPOCH


def stamp() -> int:
    """Return seconds that go on whenever the clock is set; with `jump` they are a time then."""
    return now() - jump


def iso(seconds: int) -> str:
    """Write seconds since 1970 like 2026-11-28T18:22:03Z."""
    return "{}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}Z".format(*time.gmtime(seconds - _EPOCH))


async def set_clock(hosts=None) -> bool:
    """Ask time servers in turn, each for two seconds at most, and tell if the clock is right.

    Args:
        hosts: their names; two that anybody may ask where there are none.
    """
    import asyncio

    import ntptime

    for ntptime.host in list(hosts or _HOSTS) * _TRIES:
        ntptime.timeout = _TIMEOUT_S
        try:
            seconds = ntptime.time()
            if seconds + _EPOCH != _UNKNOWN_TIME_S and _set(time.gmtime(seconds)):
                return True
        except Exception:  # noqa: S110
            # No packet, half of one or no such name: the next may know better.
            pass
        await asyncio.sleep_ms(_PAUSE_MS)
    return is_set()


def set_from_date(text: str) -> bool:
    """Set a clock that is not set yet from the `Date` of an answer (RFC 9110, 5.6.7)."""
    try:
        _, day, month, year, clock, _ = text.split()
        month = _MONTHS.index(month) // 3 + 1
        return is_set() or _set([year, month, day] + clock.split(":"))
    except ValueError:
        return is_set()


def _set(date):
    global jump  # noqa: PLW0603  there is one clock
    from machine import RTC

    date = tuple(map(int, date[:6]))
    if date[0] < _FIRST_YEAR:
        return False
    before = now()
    # Firmware works out the day of the week.
    RTC().datetime(date[:3] + (0,) + date[3:] + (0,))
    jump += now() - before
    return True
