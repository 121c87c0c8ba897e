"""What goes over MQTT is what the server reads, however fast it is put together."""

import datetime as dt
import enum
import json

from hypothesis import example, given, strategies as st
import pytest

from custom_components.sensorvision.client import ValidationError
from custom_components.sensorvision.client.models import format_instant
from custom_components.sensorvision.client.readings import Entry, Reading
from custom_components.sensorvision.client.samples import moments_of, samples_of
from custom_components.sensorvision.client.telemetry import Envelope, format_time

from .servers import TOKEN


class Level(enum.IntEnum):
    """Shows itself as no number does."""

    HIGH = 3


class Ratio(float):
    """Shows itself as no number does, as those of NumPy."""

    def __repr__(self) -> str:
        """Show its class."""
        return f"Ratio({float(self)})"


@given(st.floats(-62_135_596_800, 253_402_300_798.9))
@example(0.0)
@example(-0.25)
@example(1e9 + 0.9999996)
@example(1e9 + 0.0000005)
@example(1e9 + 0.0000015)
def test_time_is_formatted_as_its_moment(at: float) -> None:
    """To the same microsecond, also on the border between two."""
    assert format_time(at) == format_instant(dt.datetime.fromtimestamp(at, dt.UTC))


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20).filter(str.strip),
        st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e12, 1e12)),
        min_size=1,
    )
)
def test_payload_says_just_the_numbers(variables: dict[str, int | float]) -> None:
    """Under whatever names."""
    said = json.loads(Envelope("d", TOKEN).payload(variables, "then"))
    assert said == {
        "deviceId": "d",
        "variables": variables,
        "timestamp": "then",
        "apiToken": TOKEN,
    }


def test_number_of_a_class_that_shows_itself_otherwise_is_sent_as_a_number() -> None:
    payload = Envelope("d", None).payload({"a": Level.HIGH, "b": Ratio(0.5)}, None)
    assert json.loads(payload) == {"deviceId": "d", "variables": {"a": 3, "b": 0.5}}


@pytest.mark.parametrize(
    ("device_id", "token"), [("a/b", None), ("", None), ("d", "no-token")]
)
def test_device_that_cannot_be_named_has_no_envelope(
    device_id: str, token: str | None
) -> None:
    with pytest.raises(ValidationError):
        Envelope(device_id, token)


def test_readings_of_one_device_and_time_are_one_moment() -> None:
    """Also if others came in between, and only those."""
    entries = _entries(("d", "a", 5), ("e", "a", 5), ("d", "b", 6), ("d", "c", 5))
    told = [[entry.id for entry in moment.told] for moment in moments_of(entries)]
    assert told == [[1, 4], [2], [3]]


def test_reading_is_not_told_before_an_earlier_one_of_its_variable() -> None:
    """Though its clock was set back, or stood still."""
    entries = _entries(("d", "a", 5), ("d", "a", 4), ("d", "a", 5), ("d", "a", 5))
    told = [[entry.id for entry in moment.told] for moment in moments_of(entries)]
    assert told == [[1], [2], [3], [4]]


def test_reading_that_is_to_be_judged_by_itself_is_told_alone() -> None:
    entries = _entries(("d", "a", 5), ("d", "b", 5), ("d", "c", 5))
    told = [[entry.id for entry in each] for _, each in samples_of(entries, {2})]
    assert told == [[1, 3], [2]]


@given(
    st.lists(
        st.tuples(st.sampled_from("de"), st.sampled_from("abc"), st.integers(0, 3))
    ),
    st.sets(st.integers(1, 20)),
)
def test_moments_hold_every_reading_in_the_order_of_its_variable(
    facts: list[tuple[str, str, int]], alone: set[int]
) -> None:
    """In whatever order the times come."""
    entries = _entries(*facts)
    moments = moments_of(entries, alone)
    for device_id, variable in {fact[:2] for fact in facts}:
        ids = [
            entry.id
            for moment in moments
            for entry in moment.told
            if entry.reading[:2] == (device_id, variable)
        ]
        assert ids == sorted(ids)
    assert sorted(entry.id for each in moments for entry in each.told) == [
        entry.id for entry in entries
    ]
    for moment in moments:
        assert {(e.reading.device_id, e.reading.time) for e in moment.told} == {
            (moment.device_id, moment.at)
        }
        assert moment.variables == {
            entry.reading.variable: entry.reading.value for entry in moment.told
        }


def _entries(*facts: tuple[str, str, float]) -> tuple[Entry, ...]:
    """Return readings of devices, variables and times, numbered from 1."""
    return tuple(
        Entry(number, Reading(device_id, variable, number, at))
        for number, (device_id, variable, at) in enumerate(facts, 1)
    )
