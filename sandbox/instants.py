"""Instants as the server's Java runtime reads and writes them.

They are whole nanoseconds since 1970: Python's ``datetime`` ends at the year 9999, while a
time in milliseconds that is taken for seconds lands in the year 55840 and is accepted.
"""

from datetime import UTC, date, datetime, timedelta
import re

_DAY_S = 86_400
_NS = 1_000_000_000
_ERA_YEARS = 400
_ERA_DAYS = 146_097
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MAX_OFFSET_S = 18 * 3600

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_LOCAL = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
)


def _day_number(year: int, month: int, day: int) -> int:
    """Count days since 1970. The calendar repeats every 400 years."""
    era, year_of_era = divmod(year, _ERA_YEARS)
    ordinal = date(year_of_era + _ERA_YEARS, month, day).toordinal()
    return ordinal + (era - 1) * _ERA_DAYS - _EPOCH_DAY


def _time_of_day(hour: int, minute: int, second: int) -> int:
    """Return seconds since midnight; 24:00:00 and a leap second are accepted."""
    if (hour, minute, second) == (24, 0, 0):
        return _DAY_S
    if (hour, minute, second) == (23, 59, 60):
        second = 59
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    return hour * 3600 + minute * 60 + second


def _fraction_ns(digits: str | None) -> int:
    """Return the nanoseconds of a decimal fraction's digits."""
    return int((digits or "").ljust(9, "0"))


def parse_instant(text: str) -> int:
    """Return the nanoseconds since 1970 of an ISO instant with a zone.

    Raises:
        ValueError: The text is not ``YYYY-MM-DDTHH:MM:SS[.f]`` with ``Z`` or ``±HH:MM``.
    """
    if (found := _INSTANT.fullmatch(text)) is None:
        raise ValueError(f"Text '{text}' could not be parsed")
    *numbers, fraction, sign, offset_hours, offset_minutes = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    seconds = _day_number(year, month, day) * _DAY_S
    time_of_day = _time_of_day(hour, minute, second)
    if time_of_day == _DAY_S and int(fraction or 0):
        raise ValueError("no such time of day")
    seconds += time_of_day
    if sign:
        offset_s = int(offset_hours) * 3600 + int(offset_minutes) * 60
        if int(offset_minutes) > 59 or offset_s > _MAX_OFFSET_S:
            raise ValueError("no such offset")
        seconds -= offset_s if sign == "+" else -offset_s
    return seconds * _NS + _fraction_ns(fraction)


def parse_local(text: str) -> int:
    """Return the nanoseconds since 1970 of a zone-less time, read as UTC.

    Raises:
        ValueError: The text is not ``YYYY-MM-DDTHH:MM[:SS[.f]]``.
    """
    if (found := _LOCAL.fullmatch(text)) is None:
        raise ValueError(f"Text '{text}' could not be parsed")
    year, month, day, hour, minute = map(int, found.groups()[:5])
    second, fraction = found.groups()[5:]
    if hour > 23 or minute > 59 or int(second or 0) > 59:
        raise ValueError("no such time of day")
    seconds = _day_number(year, month, day) * _DAY_S
    seconds += hour * 3600 + minute * 60 + int(second or 0)
    return seconds * _NS + _fraction_ns(fraction)


def to_us(nanoseconds: int) -> int:
    """Round to the microseconds that the database keeps."""
    return (nanoseconds + 500) // 1000


def _civil(seconds: int) -> tuple[str, str]:
    """Return the ISO date and time of day of seconds since 1970."""
    days, second_of_day = divmod(seconds, _DAY_S)
    era, day_of_era = divmod(days + _EPOCH_DAY - 1, _ERA_DAYS)
    day = date.fromordinal(day_of_era + 1)
    year = day.year + era * _ERA_YEARS
    sign = "+" if year > 9999 else "-" if year < 0 else ""
    hour, rest = divmod(second_of_day, 3600)
    minute, second = divmod(rest, 60)
    return (
        f"{sign}{abs(year):04}-{day.month:02}-{day.day:02}",
        f"{hour:02}:{minute:02}:{second:02}",
    )


def format_instant(nanoseconds: int) -> str:
    """Write an instant with ``Z`` and 0, 3, 6 or 9 digits of fraction."""
    seconds, fraction = divmod(nanoseconds, _NS)
    day, time_of_day = _civil(seconds)
    if not fraction:
        return f"{day}T{time_of_day}Z"
    digits = f"{fraction:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{day}T{time_of_day}.{digits}Z"


def format_us(microseconds: int | None) -> str | None:
    """Write an instant that was read from the database."""
    return None if microseconds is None else format_instant(microseconds * 1000)


def format_local(microseconds: int | None) -> str | None:
    """Write a time without its zone, as fields of Java's ``LocalDateTime`` are."""
    text = format_us(microseconds)
    return text and text[:-1]


def to_datetime(microseconds: int) -> datetime:
    """Return an aware datetime in UTC.

    Raises:
        OverflowError: The year is beyond what ``datetime`` holds.
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
