"""Which number stands for which state."""

import math

from homeassistant.core import State
from hypothesis import given, strategies as st
import pytest

from custom_components.sensorvision.mapping import SkipReason, number_of

UNKNOWN = SkipReason.UNKNOWN
UNAVAILABLE = SkipReason.UNAVAILABLE
TEXT = SkipReason.TEXT
OUT_OF_RANGE = SkipReason.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21.5", 21.5),
        ("21", 21),
        ("-7", -7),
        ("+3", 3),
        ("007", 7),
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0.0),
        ("1e3", 1000.0),
        ("1E-7", 1e-7),
        (".5", 0.5),
        (" 4 ", 4),
        ("9007199254740993", OUT_OF_RANGE),
        ("99999999999999", 99999999999999),
        ("-99999999999999.5", -99999999999999.5),
        ("99999999999999.999999", OUT_OF_RANGE),
        ("1e14", OUT_OF_RANGE),
        ("-1e14", OUT_OF_RANGE),
        ("1e15", OUT_OF_RANGE),
        ("1e400", OUT_OF_RANGE),
        ("9" * 255, OUT_OF_RANGE),
        ("NaN", OUT_OF_RANGE),
        ("inf", OUT_OF_RANGE),
        ("-Infinity", OUT_OF_RANGE),
        ("unknown", UNKNOWN),
        ("unavailable", UNAVAILABLE),
        ("", TEXT),
        ("1_000", TEXT),
        ("1,5", TEXT),
        ("1 000", TEXT),
        ("0x10", TEXT),
        ("21.5 °C", TEXT),
        ("True", TEXT),
        ("On", TEXT),
        ("2026-11-21", TEXT),
        ("2026-11-21T05:00:00+00:00", TEXT),
        ("12:30", TEXT),
    ],
)
def test_number_is_read_as_it_is_written(
    text: str, expected: float | SkipReason
) -> None:
    """An int stays an int, and what is no number is said to be none."""
    number = number_of(State("sensor.x", text))
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize(
    ("entity_id", "text", "expected"),
    [
        ("binary_sensor.x", "on", 1),
        ("binary_sensor.x", "off", 0),
        ("switch.x", "on", 1),
        ("light.x", "off", 0),
        ("fan.x", "on", 1),
        ("input_boolean.x", "off", 0),
        ("automation.x", "on", 1),
        ("update.x", "on", 1),
        ("humidifier.x", "on", 1),
        ("calendar.x", "off", 0),
        ("group.lamps", "on", 1),
        ("group.family", "not_home", 0),
        ("group.doors", "locked", 1),
        ("sun.sun", "above_horizon", 1),
        ("sun.sun", "below_horizon", 0),
        ("number.x", "7", 7),
        ("counter.x", "3", 3),
        ("zone.home", "2", 2),
        ("cover.x", "open", 1),
        ("cover.x", "opening", 1),
        ("cover.x", "closing", 1),
        ("cover.x", "closed", 0),
        ("cover.x", "unknown", UNKNOWN),
        ("valve.x", "open", 1),
        ("valve.x", "closing", 1),
        ("valve.x", "closed", 0),
        ("lock.x", "locked", 1),
        ("lock.x", "unlocked", 0),
        ("lock.x", "open", 0),
        ("lock.x", "locking", TEXT),
        ("lock.x", "jammed", TEXT),
        ("person.x", "home", 1),
        ("person.x", "not_home", 0),
        ("person.x", "Work", 0),
        ("person.x", "42", 0),
        ("person.x", "unknown", UNKNOWN),
        ("person.x", "unavailable", UNAVAILABLE),
        ("device_tracker.x", "home", 1),
        ("device_tracker.x", "School", 0),
        ("alarm_control_panel.x", "disarmed", TEXT),
        ("climate.x", "off", TEXT),
        ("climate.x", "heat", TEXT),
        ("input_select.x", "on", TEXT),
        ("lawn_mower.x", "docked", TEXT),
        ("media_player.x", "off", TEXT),
        ("media_player.x", "on", TEXT),
        ("select.x", "off", TEXT),
        ("select.x", "60", 60),
        ("vacuum.x", "docked", TEXT),
        ("water_heater.x", "off", TEXT),
        ("weather.x", "sunny", TEXT),
        ("scene.x", "2026-11-21T05:00:00+00:00", TEXT),
    ],
)
def test_word_has_the_number_of_its_domain(
    entity_id: str, text: str, expected: int | SkipReason
) -> None:
    """Two-valued states are 1 and 0; of many words none is sent, not even `off`."""
    assert number_of(State(entity_id, text)) == expected


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        (["on", "off"], "on", 1),
        (["open", "closed"], "closed", 0),
        (["on", "off", "standby"], "off", TEXT),
        (["idle", "heating"], "idle", TEXT),
        ([], "on", 1),
        (None, "on", 1),
        (5, "on", 1),
        ("on", "on", 1),
        ([["on"], {}], "on", TEXT),
        (["off", 1], "off", TEXT),
    ],
)
def test_enum_sensor_is_sent_only_if_all_its_words_have_a_number(
    options: object, text: str, expected: int | SkipReason
) -> None:
    """A last value that says off for ever would be false.

    Anything can be an attribute, so that odd options do no harm.
    """
    assert number_of(State("sensor.x", text, {"options": options})) == expected


_TEXTS = st.one_of(
    st.text(max_size=255),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["on", "off", "open", "home", "nan", "inf", "1_0", "unknown"]),
    st.from_regex(
        r"[+-]?[0-9\u0660-\u0669_.]{1,20}([eE][+-]?[0-9]{1,4})?", fullmatch=True
    ),
)
_DOMAINS = st.sampled_from(
    ["sensor", "binary_sensor", "cover", "lock", "person", "climate", "select", "sun"]
)


@given(domain=_DOMAINS, text=_TEXTS)
def test_only_finite_numbers_that_the_server_can_hold_come_out(
    domain: str, text: str
) -> None:
    """Whatever a state says, one bad number would make the server refuse all."""
    number = number_of(State(f"{domain}.x", text, validate_entity_id=False))
    if isinstance(number, SkipReason):
        return
    assert type(number) in (int, float)
    assert math.isfinite(number)
    assert abs(number) < 1e14


@given(
    st.floats(-1e14, 1e14, exclude_min=True, exclude_max=True)
    | st.integers(-(10**14) + 1, 10**14 - 1)
)
def test_every_number_in_range_is_sent_unchanged(number: float) -> None:
    """Nothing is rounded on the way."""
    assert number_of(State("sensor.x", str(number))) == number
