"""Ages and numbers are said as short as they can be."""

import datetime as dt

import pytest

from cli.output import age, number

_NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7199, "1 h"),
        (200_000, "2 d"),
        (-3, "in 3 s"),
    ],
)
def test_age_is_said_in_its_largest_unit(seconds: int, said: str) -> None:
    assert age(_NOW - dt.timedelta(seconds=seconds), _NOW) == said


def test_what_was_never_seen_has_no_age() -> None:
    assert age(None, _NOW) == "never"


@pytest.mark.parametrize(
    ("value", "said"),
    [(21.5, "21.5"), (48.0, "48"), (-0.000001, "-0.000001"), (1e20, "1e+20")],
)
def test_number_has_no_digits_that_say_nothing(value: float, said: str) -> None:
    assert number(value) == said
