"""The entities that show how the mirroring goes."""

from datetime import UTC, datetime, timedelta

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, numbers, until

CONNECTED = "binary_sensor.sensorvision_connectivity"
LAST_DELIVERED = "sensor.sensorvision_last_delivered"
SEND_NOW = "button.sensorvision_send_now"
MIRRORING = "switch.sensorvision_mirroring"
NOISY = {
    "sensor.sensorvision_delivered",
    "sensor.sensorvision_superseded",
    "sensor.sensorvision_possible_duplicates",
    "sensor.sensorvision_oldest_waiting",
    "sensor.sensorvision_round_trip_time",
}


def _state(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state
    return state.state


async def test_entry_has_a_service_with_its_entities(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Noisy ones are off; names come from the translation and from the device class."""
    entry = await set_up()
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    assert (device.name, device.manufacturer) == ("SensorVision", "SensorVision")
    assert device.configuration_url == sandbox.url

    entities = {
        entity.entity_id: entity
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    assert {
        entity_id: bool(entity.disabled) for entity_id, entity in entities.items()
    } == {
        CONNECTED: False,
        LAST_DELIVERED: False,
        SEND_NOW: False,
        "event.sensorvision_delivery": False,
        MIRRORING: False,
        "sensor.sensorvision_waiting": False,
        "sensor.sensorvision_backfill_progress": False,
        "sensor.sensorvision_dropped": False,
        "sensor.sensorvision_refused": False,
        **dict.fromkeys(NOISY, True),
    }
    for entity in entities.values():
        assert entity.entity_category is (
            EntityCategory.CONFIG
            if entity.domain in {"button", "switch"}
            else EntityCategory.DIAGNOSTIC
        )
        assert entity.device_id == device.id
        assert entity.has_entity_name
        assert entity.unique_id.startswith(entry.entry_id)
    assert entities[LAST_DELIVERED].original_name == "Last delivered"

    await until(lambda: _state(hass, CONNECTED) == STATE_ON)
    connected, last_delivered = (
        hass.states.get(CONNECTED),
        hass.states.get(LAST_DELIVERED),
    )
    assert connected
    assert connected.attributes["device_class"] == "connectivity"
    assert connected.name == "SensorVision Connectivity"
    assert last_delivered
    assert last_delivered.attributes["device_class"] == "timestamp"
    assert last_delivered.state == "unknown"


@pytest.mark.parametrize("fault", ["reset", "http_503"])
async def test_connectivity_follows_the_server(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, fault: str
) -> None:
    """It is off while the server is away, at the start as well as later."""
    house.entity("sensor.tank", "70")
    sandbox.faults.set(fault)
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)
    sandbox.faults.clear()
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    sandbox.faults.set(fault)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)
    sandbox.faults.clear()
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)


async def test_connectivity_is_off_while_the_token_is_refused(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """A server that answers is of no use without a credential."""
    await set_up(api_key="99999999-9999-4999-8999-999999999999")
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)


async def test_connectivity_is_written_only_when_it_changes(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Deliveries come every second."""
    house.entity("sensor.tank", "70")
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    state = hass.states.get(CONNECTED)
    assert state
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])
    same = hass.states.get(CONNECTED)
    assert same
    assert same.last_reported == state.last_reported


async def test_last_delivery_is_shown_at_once_and_then_every_five_minutes(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The logbook lists each state of a time."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    status = entry.runtime_data.status
    await until(lambda: _state(hass, LAST_DELIVERED) != "unknown")
    first = _state(hass, LAST_DELIVERED)
    assert abs(datetime.fromisoformat(first) - datetime.now(UTC)) < timedelta(seconds=9)

    hass.states.async_set("sensor.tank", "71")
    await until(lambda: status.delivered == 2)
    hass.states.async_set("sensor.tank", "72")
    await until(lambda: status.delivered == 3)
    later = status.last_delivered + 100
    # So that the second is another one, as it would be after five minutes.
    status.last_delivered = later
    assert _state(hass, LAST_DELIVERED) == first
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=299))
    await hass.async_block_till_done()
    assert _state(hass, LAST_DELIVERED) == first
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=301))
    await hass.async_block_till_done()
    second = datetime.fromisoformat(_state(hass, LAST_DELIVERED))
    assert second.timestamp() == int(later)


async def test_last_delivery_is_shown_at_once_when_the_server_goes_or_returns(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Whoever looks then wants to know since when, and that it goes on."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    status = entry.runtime_data.status
    await until(lambda: _state(hass, LAST_DELIVERED) != "unknown")
    gone = status.last_delivered + 100
    # So that the second is another one.
    status.last_delivered = gone
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: status.is_connected is False)
    shown = datetime.fromisoformat(_state(hass, LAST_DELIVERED))
    assert shown.timestamp() == int(gone)
    sandbox.faults.clear()
    await until(lambda: status.delivered == 2)
    shown = datetime.fromisoformat(_state(hass, LAST_DELIVERED))
    assert abs(shown - datetime.now(UTC)) < timedelta(seconds=9)


async def test_last_delivery_outlasts_a_new_credential(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """What was counted goes on being counted."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _state(hass, LAST_DELIVERED) != "unknown")
    first = _state(hass, LAST_DELIVERED)
    entry.runtime_data.reconnect()
    assert entry.runtime_data.status.delivered == 1
    await until(lambda: entry.runtime_data.status.is_connected)
    assert _state(hass, LAST_DELIVERED) == first


async def test_entities_are_unavailable_when_the_entry_is_unloaded(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """Nobody knows any more how the mirroring goes."""
    entry = await set_up()
    assert await hass.config_entries.async_unload(entry.entry_id)
    for entity_id in (CONNECTED, LAST_DELIVERED):
        assert _state(hass, entity_id) == STATE_UNAVAILABLE
    assert er.async_get(hass).async_get(CONNECTED)
    assert hass.config_entries.async_entries(DOMAIN) == [entry]
