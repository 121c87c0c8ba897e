"""The button that hurries, and the switch that stops."""

from dataclasses import replace

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.aiohttp_client import async_get_clientsession
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.sensorvision
from custom_components.sensorvision.client.http import RetryPolicy
from custom_components.sensorvision.const import (
    CONF_ATTRIBUTES,
    CONF_TARGET,
    CONF_VALUES,
)
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, mirror_of, numbers, until
from .test_entities import CONNECTED, MIRRORING, SEND_NOW
from .test_translations import TEXTS


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses after a failure last for ages."""
    ages = RetryPolicy(first_delay_s=1e6, max_delay_s=1e6)
    pace = replace(custom_components.sensorvision.PACE, backoff=ages)
    monkeypatch.setattr(custom_components.sensorvision, "PACE", pace)


async def _press(hass: HomeAssistant) -> None:
    await hass.services.async_call(
        "button", "press", {"entity_id": SEND_NOW}, blocking=True
    )


async def _switch(hass: HomeAssistant, action: str) -> None:
    await hass.services.async_call(
        "switch", action, {"entity_id": MIRRORING}, blocking=True
    )
    await hass.async_block_till_done()


def _state(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state
    return state.state


@pytest.mark.usefixtures("patient")
async def test_button_ends_the_pause(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A person knows sooner that the server is back."""
    house.entity("sensor.tank", "70")
    sandbox.faults.set("http_503")
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)
    sandbox.faults.clear()
    await _press(hass)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)


async def test_nothing_is_captured_or_sent_while_it_is_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """When it is on again, the present states are sent."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    await until(lambda: entry.runtime_data.status.delivered == 2)
    await _switch(hass, "turn_off")
    assert (_state(hass, MIRRORING), _state(hass, CONNECTED)) == (
        STATE_OFF,
        STATE_UNKNOWN,
    )
    arrived = len(sandbox.requests)
    hass.states.async_set("sensor.tank", "71")
    hass.states.async_set("sensor.tank", "72")
    await hass.async_block_till_done()
    assert not entry.runtime_data.outbox
    assert len(sandbox.requests) == arrived

    await _switch(hass, "turn_on")
    assert _state(hass, MIRRORING) == STATE_ON
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 72])
    await until(lambda: numbers(sandbox, "home.well", "well") == [5, 5])
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)


async def test_attributes_are_sent_too_when_it_is_on_again(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """As the mirror says, which has not changed meanwhile."""
    house.entity("light.lamp", "on")
    hass.states.async_set("light.lamp", "on", {"brightness": 100})
    chosen = {
        CONF_TARGET: {"entity_id": ["light.lamp"]},
        CONF_VALUES: {CONF_ATTRIBUTES: ["light-brightness"]},
    }
    entry = await set_up(mirror_of(chosen))
    await until(lambda: entry.runtime_data.status.delivered == 2)
    await _switch(hass, "turn_off")
    hass.states.async_set("light.lamp", "on", {"brightness": 200})
    await _switch(hass, "turn_on")
    await until(lambda: entry.runtime_data.status.delivered == 4)
    stored = {
        variable: [float(row.value) for row in rows]
        for variable in ("lamp", "lamp_brightness")
        if (rows := sandbox.store.values("home.lamp", variable))
    }
    assert stored == {"lamp": [1, 1], "lamp_brightness": [100, 200]}
    hass.states.async_set("light.lamp", "on", {"brightness": 300})
    await until(lambda: numbers(sandbox, "home.lamp", "lamp_brightness")[2:] == [300])


async def test_what_waits_goes_on_waiting_while_it_is_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Even if it is connected anew meanwhile; it is sent when it is on again."""
    house.entity("sensor.tank", "70")
    sandbox.faults.set("http_503")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)
    await _switch(hass, "turn_off")
    hass.states.async_remove("sensor.tank")
    # A post that was cut off on its way has arrived before this.
    session = async_get_clientsession(hass)
    async with session.get(f"{sandbox.url}/api/v1/connectivity/http") as response:
        assert response.status == 503
    sandbox.faults.clear()
    arrived = len(sandbox.requests)
    entry.runtime_data.reconnect()
    await hass.async_block_till_done()
    assert len(entry.runtime_data.outbox) == 1
    assert len(sandbox.requests) == arrived
    await _switch(hass, "turn_on")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


async def test_switch_stays_off_over_a_restart(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Whoever switched it off is not to find it on."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await _switch(hass, "turn_off")
    arrived = len(sandbox.requests)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert _state(hass, MIRRORING) == STATE_OFF
    hass.states.async_set("sensor.tank", "71")
    await hass.async_block_till_done()
    assert len(sandbox.requests) == arrived
    await _switch(hass, "turn_on")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])


async def test_renamed_entity_stays_chosen_while_it_is_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The registries are followed all the same."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await _switch(hass, "turn_off")
    er.async_get(hass).async_update_entity(
        "sensor.tank", new_entity_id="sensor.cistern"
    )
    hass.states.async_set("sensor.cistern", "71")
    [mirrored] = entry.runtime_data.mirrors.values()
    await until(lambda: mirrored.entity_ids == {"sensor.cistern"})
    await _switch(hass, "turn_on")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])


@pytest.mark.usefixtures("sandbox")
async def test_nothing_can_be_hurried_while_it_is_off(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """The text says why, and what to do."""
    entry: MockConfigEntry = await set_up()
    await _switch(hass, "turn_off")
    with pytest.raises(ServiceValidationError) as refused:
        await _press(hass)
    error = refused.value
    assert (error.translation_domain, error.translation_key) == (
        "sensorvision",
        "mirroring_off",
    )
    assert error.translation_placeholders == {"entry": entry.title}
    text = TEXTS["exceptions"]["mirroring_off"]["message"]
    assert "127.0.0.1" in text.format(**error.translation_placeholders)
