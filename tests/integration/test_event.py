"""The event that automations can start from when the delivery fails or recovers."""

from homeassistant.const import CONF_API_KEY
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
import pytest

from sandbox import Sandbox

from .conftest import TOKEN, SetUp
from .house import House, mirror, numbers, until

DELIVERY = "event.sensorvision_delivery"

type Fired = list[tuple[str, str | None]]


@pytest.fixture
def fired(hass: HomeAssistant) -> Fired:
    """Return the events that fire, with the problem that they tell of."""
    fired: Fired = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state and (event_type := state.attributes.get("event_type")):
            fired.append((event_type, state.attributes.get("problem")))

    async_track_state_change_event(hass, [DELIVERY], note)
    return fired


async def test_outage_fires_once_when_it_begins_and_once_when_it_ends(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, fired: Fired
) -> None:
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert fired == []

    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: fired)
    arrived = len(sandbox.requests)
    await until(lambda: len(sandbox.requests) > arrived + 2)
    [(event_type, problem)] = fired
    assert event_type == "failed"
    assert problem
    assert "503" in problem

    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])
    await until(lambda: entry.runtime_data.status.delivered == 2)
    hass.states.async_set("sensor.tank", "72")
    await until(lambda: entry.runtime_data.status.delivered == 3)
    assert fired[1:] == [("recovered", None)]


async def test_refused_credential_is_a_failure_until_there_is_a_good_one(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, fired: Fired
) -> None:
    entry = await set_up(api_key="99999999-9999-4999-8999-999999999999")
    await until(lambda: fired)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_API_KEY: TOKEN}
    )
    await until(lambda: len(fired) == 2)
    assert [event_type for event_type, _ in fired] == ["failed", "recovered"]


@pytest.mark.usefixtures("sandbox")
async def test_switching_the_mirroring_is_no_failure(
    hass: HomeAssistant, set_up: SetUp, fired: Fired
) -> None:
    entry = await set_up()
    await until(lambda: entry.runtime_data.status.is_connected)
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    assert entry.runtime_data.status.is_connected is None
    entry.runtime_data.switch_on()
    await until(lambda: entry.runtime_data.status.is_connected)
    assert fired == []
