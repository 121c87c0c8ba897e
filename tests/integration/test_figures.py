"""The sensors that show what became of the readings, in figures."""

from dataclasses import replace
from datetime import timedelta

from homeassistant.components.sensor import ATTR_STATE_CLASS
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_UNIT_OF_MEASUREMENT,
    EVENT_STATE_CHANGED,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components import sensorvision
from custom_components.sensorvision.client import RetryPolicy
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, add_mirror, mirror, until

KEYS = (
    "delivered",
    "waiting",
    "superseded",
    "refused",
    "oldest_waiting",
    "round_trip_time",
)


@pytest.fixture
def set_up(hass: HomeAssistant, set_up: SetUp) -> SetUp:
    """Set an entry up as one whose every entity a person has enabled."""

    async def set_up_enabled(
        *mirrors: ConfigSubentryData, **changes: str
    ) -> MockConfigEntry:
        entry = await set_up(**changes)
        registry = er.async_get(hass)
        for key in KEYS:
            registry.async_update_entity(f"sensor.sensorvision_{key}", disabled_by=None)
        # Then the core loads the entry again.
        _half_a_minute_passes(hass)
        await hass.async_block_till_done()
        for chosen in mirrors:
            add_mirror(hass, entry, chosen)
        await hass.async_block_till_done()
        return entry

    return set_up_enabled


def _shown(hass: HomeAssistant) -> dict[str, float | None]:
    """Return what the sensors show, by key."""
    shown = {}
    for key in KEYS:
        state = hass.states.get(f"sensor.sensorvision_{key}")
        assert state
        shown[key] = None if state.state == STATE_UNKNOWN else float(state.state)
    return shown


def _half_a_minute_passes(hass: HomeAssistant) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=31))


@pytest.mark.usefixtures("sandbox")
async def test_new_entry_has_counted_nothing(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """Only the server's time is unknown."""
    await set_up()
    assert _shown(hass) == {**dict.fromkeys(KEYS, 0), "round_trip_time": None}


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("key", "device_class", "state_class", "unit"),
    [
        ("delivered", None, "total_increasing", "readings"),
        ("waiting", None, "measurement", "readings"),
        ("superseded", None, "total_increasing", "readings"),
        ("refused", None, "total_increasing", "readings"),
        ("oldest_waiting", "duration", "measurement", "s"),
        ("round_trip_time", "duration", "measurement", "ms"),
    ],
)
async def test_figure_says_what_it_is(
    hass: HomeAssistant,
    set_up: SetUp,
    key: str,
    device_class: str | None,
    state_class: str,
    unit: str,
) -> None:
    """So that Home Assistant keeps statistics of it and converts it."""
    await set_up()
    state = hass.states.get(f"sensor.sensorvision_{key}")
    assert state
    assert state.attributes.get(ATTR_DEVICE_CLASS) == device_class
    assert state.attributes.get(ATTR_STATE_CLASS) == state_class
    assert state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) == unit


async def test_first_delivery_is_shown_at_once(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Whoever sets it up waits for it."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _shown(hass)["delivered"] == 1)
    shown = _shown(hass)
    assert shown["waiting"] == 0
    assert shown["round_trip_time"]
    took_s = entry.runtime_data.status.round_trip_s
    assert shown["round_trip_time"] == pytest.approx(took_s * 1000)


async def test_outage_is_shown_at_once_and_what_waits_in_due_course(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """All figures are of the same moment."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    await until(lambda: entry.runtime_data.status.delivered == 2)
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: entry.runtime_data.status.is_connected is False)
    shown = _shown(hass)
    assert (shown["delivered"], shown["waiting"]) == (2, 1)
    assert shown["oldest_waiting"]
    assert shown["oldest_waiting"] < 5

    for number in range(10):
        hass.states.async_set("sensor.well", str(number))
    await until(lambda: entry.runtime_data.outbox.superseded)
    assert _shown(hass)["superseded"] == 0
    _half_a_minute_passes(hass)
    await until(lambda: _shown(hass)["superseded"])
    assert _shown(hass)["waiting"] == 2

    sandbox.faults.clear()
    await until(lambda: _shown(hass)["waiting"] == 1)
    await until(lambda: entry.runtime_data.status.delivered == 4)
    _half_a_minute_passes(hass)
    await until(lambda: _shown(hass)["delivered"] == 4)
    shown = _shown(hass)
    assert (shown["waiting"], shown["oldest_waiting"]) == (0, 0)
    assert shown["superseded"] == entry.runtime_data.outbox.superseded


async def test_what_waits_is_shown_though_the_server_is_away_for_hours(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within a minute; what has not changed is not written again."""
    hours = RetryPolicy(first_delay_s=36_000, max_delay_s=36_000)
    monkeypatch.setattr(sensorvision, "PACE", replace(sensorvision.PACE, backoff=hours))
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "unknown")
    sandbox.faults.set("http_503")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    await until(lambda: entry.runtime_data.status.is_connected is False)
    _half_a_minute_passes(hass)
    await until(lambda: _shown(hass)["waiting"] == 1)

    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    hass.states.async_set("sensor.well", "5")
    await hass.async_block_till_done()
    assert _shown(hass)["waiting"] == 1
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await hass.async_block_till_done()
    assert _shown(hass)["waiting"] == 2
    assert {event.data["entity_id"] for event in changes} == {
        "sensor.well",
        "sensor.sensorvision_waiting",
        "sensor.sensorvision_oldest_waiting",
    }


async def test_refused_reading_is_counted(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """It is neither delivered nor waiting."""
    meter = house.device("Meter")
    house.entity("sensor.load", "100", device=meter, original_name="Load")
    house.entity("sensor.price", "0.3", device=meter, original_name="Price")
    sandbox.store.connection.execute(
        "CREATE TRIGGER small BEFORE INSERT ON variable_values"
        " WHEN CAST(NEW.value AS REAL) >= 100 BEGIN"
        " SELECT RAISE(ABORT, 'numeric field overflow'); END"
    )
    entry = await set_up(mirror(entity_id=["sensor.load", "sensor.price"]))
    await until(lambda: entry.runtime_data.status.refused == 1)
    await until(lambda: entry.runtime_data.status.delivered == 1)
    _half_a_minute_passes(hass)
    await until(lambda: _shown(hass)["refused"] == 1)
    shown = _shown(hass)
    assert (shown["delivered"], shown["waiting"]) == (1, 0)


async def test_age_is_that_of_the_oldest_reading_and_never_negative(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A clock that was set back makes readings of the future."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    sandbox.faults.set("http_503")
    an_hour_ago = dt_util.utcnow().timestamp() - 3600
    hass.states.async_set("sensor.tank", "71", timestamp=an_hour_ago)
    await until(lambda: len(entry.runtime_data.outbox) == 1)
    assert 3600 <= entry.runtime_data.figures.oldest_waiting_s < 3700
    hass.states.async_set("sensor.tank", "72", timestamp=an_hour_ago + 7200)
    await until(lambda: entry.runtime_data.outbox.superseded == 1)
    assert entry.runtime_data.figures.oldest_waiting_s == 0
    sandbox.faults.clear()
