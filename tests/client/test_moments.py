"""Many moments are said in the very words that JSON and `datetime` would choose."""

import datetime as dt
import json

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.sensorvision.client.exceptions import ValidationError
from custom_components.sensorvision.client.models import format_instant, instant_of
from custom_components.sensorvision.client.moments import body_of, moments_of
from custom_components.sensorvision.client.protocol import VALUE_LIMIT
from custom_components.sensorvision.client.readings import (
    END_OF_TIME,
    FIRST_TIME,
    Entry,
    Reading,
)

NUMBERS = st.one_of(
    st.integers(1 - 10**14, 10**14 - 1),
    st.floats(-VALUE_LIMIT, VALUE_LIMIT, exclude_min=True, exclude_max=True),
    st.booleans(),
)
TIMES = st.floats(FIRST_TIME, END_OF_TIME, exclude_max=True)
NAMES = st.text(min_size=1, max_size=100).filter(str.strip)
READINGS = st.builds(
    Reading,
    st.sampled_from(["d", "home.kitchen", "A-1_b"]),
    st.sampled_from(["a", "b", "c"]),
    NUMBERS,
    st.sampled_from([0.0, 1.5, 1.5000004]),
)


def _entries(readings: list[Reading]) -> list[Entry]:
    return [Entry(number, reading) for number, reading in enumerate(readings, 1)]


def _said(*readings: Reading) -> object:
    return json.loads(body_of([_entries(list(readings))]))


@given(st.one_of(TIMES, st.floats(1e9, 4e9)))
@settings(max_examples=500)
def test_an_instant_is_what_datetime_makes_of_it(seconds: float) -> None:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert instant_of(seconds) == format_instant(moment)


@pytest.mark.parametrize(
    ("seconds", "instant"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-0.25, "1969-12-31T23:59:59.750000Z"),
        (1e9 + 0.9999999, "2001-09-09T01:46:41.000000Z"),
        (FIRST_TIME, "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_an_instant_has_microseconds_and_a_zone(seconds: float, instant: str) -> None:
    assert instant_of(seconds) == instant


@given(NUMBERS, NAMES)
def test_a_number_and_its_name_are_said_as_json_says_them(
    number: float, name: str
) -> None:
    assert _said(Reading("d", name, number, 0)) == [
        {
            "deviceId": "d",
            "variables": {name: number},
            "timestamp": "1970-01-01T00:00:00.000000Z",
        }
    ]


def test_what_belongs_together_is_one_item() -> None:
    assert _said(Reading("d", "a", 1, 0.5), Reading("d", "b", 2.5, 0.5)) == [
        {
            "deviceId": "d",
            "variables": {"a": 1, "b": 2.5},
            "timestamp": "1970-01-01T00:00:00.500000Z",
        }
    ]


@given(st.lists(READINGS, max_size=12), st.sets(st.integers(1, 12)))
def test_moments_tell_everything_once_and_each_variable_in_order(
    readings: list[Reading], alone: set[int]
) -> None:
    entries = _entries(readings)
    moments = moments_of(entries, alone)
    told = [entry for moment in moments for entry in moment]
    assert sorted(told) == entries
    for address in {reading[:2] for reading in readings}:
        ids = [entry.id for entry in told if entry.reading[:2] == address]
        assert ids == sorted(ids)
    for moment in moments:
        assert len({(e.reading.device_id, e.reading.time) for e in moment}) == 1
        assert len({entry.reading.variable for entry in moment}) == len(moment)
        assert len(moment) == 1 or not alone & {entry.id for entry in moment}


@pytest.mark.parametrize(
    ("reading", "field"),
    [
        (Reading("no/id", "a", 1, 0), "device id"),
        (Reading("d", " ", 1, 0), "variable name"),
        (Reading("d", "a" * 101, 1, 0), "variable name"),
        (Reading("d", "power_factor", 100, 0), "power_factor"),
        (Reading("d", "a", float("nan"), 0), "a"),
        (Reading("d", "a", 1e14, 0), "a"),
    ],
)
def test_what_the_server_would_choke_on_is_refused_whole(
    reading: Reading, field: str
) -> None:
    moments = [_entries([Reading("d", "a", 1, 0)]), _entries([reading])]
    with pytest.raises(ValidationError) as raised:
        body_of(moments)
    assert raised.value.field == field


def test_a_reserved_variable_takes_all_that_its_table_holds() -> None:
    assert body_of([_entries([Reading("d", "power_factor", 99.999, 0)])])
