"""What a broker's service, the actions and the diagnostics show of it."""

from dataclasses import replace
import json
from typing import Any

from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    STATE_OFF,
    STATE_ON,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.sensorvision.const import (
    CONF_CLIENT_CERTIFICATE,
    CONF_CLIENT_KEY,
    DOMAIN,
)
from sandbox import Sandbox, Settings

from .brokers import (
    BROKER_ID,
    BROKER_LOGIN,
    BROKER_PASSWORD,
    HOST,
    Line,
    Mosquitto,
    broker,
    free_port,
    mirror_over,
    settings_of,
)
from .conftest import ALICE, SETTINGS, SetUp
from .house import House, until

CONNECTED = "binary_sensor.mosquitto_connectivity"
ACKNOWLEDGED = "sensor.mosquitto_acknowledged_by_the_broker"
_TANK = mirror_over(entity_id=["sensor.tank"])


@pytest.fixture
def settings(mosquitto: Mosquitto) -> Settings:
    """Return how a server is made that listens to the broker."""
    return replace(SETTINGS, broker=mosquitto.url)


@pytest.fixture(autouse=True)
def _tank(house: House) -> None:
    """Have an entity that is mirrored."""
    house.entity("sensor.tank", "70")


def _state(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state
    return state.state


async def test_broker_is_a_service_behind_that_of_its_server(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """With no figure that only a server can have, and no word of delivery."""
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    devices = {
        device.name: device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), entry.entry_id
        )
    }
    service = devices["Mosquitto"]
    assert service.entry_type is dr.DeviceEntryType.SERVICE
    assert service.via_device_id == devices["SensorVision"].id
    entities = {
        entity.entity_id: entity
        for entity in er.async_entries_for_device(
            er.async_get(hass), service.id, include_disabled_entities=True
        )
    }
    assert {
        entity_id: bool(entity.disabled) for entity_id, entity in entities.items()
    } == {
        CONNECTED: False,
        ACKNOWLEDGED: False,
        "sensor.mosquitto_last_acknowledged": False,
        "sensor.mosquitto_waiting": False,
        "sensor.mosquitto_dropped": False,
        "sensor.mosquitto_refused": False,
        "sensor.mosquitto_possible_duplicates": True,
        "sensor.mosquitto_oldest_waiting": True,
    }
    for entity in entities.values():
        assert entity.config_subentry_id == BROKER_ID
        assert entity.unique_id.startswith(f"{entry.entry_id}_{BROKER_ID}_")
    await until(lambda: _state(hass, ACKNOWLEDGED) == "1")
    assert _state(hass, "sensor.sensorvision_waiting") == "0"
    assert dt_util.parse_datetime(_state(hass, "sensor.mosquitto_last_acknowledged"))


async def test_connectivity_follows_the_broker_alone(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Also while nothing is sent; the server has one of its own."""
    line = Line(mosquitto.port)
    await line.mend()
    await set_up(broker(line.port), _TANK, **ALICE)
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)
    await until(lambda: _state(hass, ACKNOWLEDGED) == "1")
    await line.cut()
    await until(lambda: _state(hass, CONNECTED) == STATE_OFF)
    assert _state(hass, "binary_sensor.sensorvision_connectivity") == STATE_ON
    await line.mend()
    await until(lambda: _state(hass, CONNECTED) == STATE_ON)
    await line.cut()


async def test_removed_broker_takes_its_service_along(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    entry = await set_up(broker(mosquitto.port), **ALICE)
    hass.config_entries.async_remove_subentry(entry, BROKER_ID)
    await hass.async_block_till_done()
    assert hass.states.get(CONNECTED) is None
    [left] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert left.name == "SensorVision"
    assert left.configuration_url == entry.data[CONF_URL]


async def test_status_lists_brokers_with_what_they_have_acknowledged(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Nothing of it counts as delivered."""
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    [route] = entry.runtime_data.ways.brokers.routes.values()

    async def status() -> dict[str, Any]:
        response = await hass.services.async_call(
            DOMAIN,
            "status",
            {"config_entry_id": entry.entry_id},
            blocking=True,
            return_response=True,
        )
        assert response
        return dict(response)

    [shown] = (await status())["brokers"]
    assert shown["name"] == "Mosquitto"
    await until(lambda: route.figures.delivered == 1)
    found = await status()
    [shown] = found["brokers"]
    assert found["delivered"] == 0
    assert dt_util.parse_datetime(shown.pop("last_acknowledged"))
    assert shown == {
        "name": "Mosquitto",
        "connected": True,
        "problem": None,
        "acknowledged": 1,
        "waiting": 0,
        "dropped": 0,
        "possible_duplicates": 0,
        "refused": 0,
        "oldest_waiting_s": 0,
    }


async def test_what_waits_for_brokers_counts_in_the_system_information(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up(broker(free_port()), _TANK, **ALICE)
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    [route] = entry.runtime_data.ways.brokers.routes.values()
    await until(lambda: len(route.outbox) == 1)
    info = await get_system_health_info(hass, DOMAIN)
    assert info["waiting"] == 1
    assert await info["reachable"] == "ok"


async def test_diagnostics_show_brokers_without_a_secret(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
) -> None:
    """Also not where a broker, or a server, has repeated one."""
    assert await async_setup_component(hass, "http", {})
    secret = {
        **BROKER_LOGIN,
        CONF_CLIENT_CERTIFICATE: "-----a certificate",
        CONF_CLIENT_KEY: "-----a private key",
    }
    entry = await set_up(broker(mosquitto.port, **secret), _TANK, **ALICE)
    [route] = entry.runtime_data.ways.brokers.routes.values()
    await until(lambda: route.figures.delivered == 1)
    token = entry.runtime_data.tokens.of("home.tank")
    assert token
    route.status.problem = f"{BROKER_PASSWORD} and {token} are wrong"
    found = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert isinstance(found, dict)
    [shown] = found["brokers"]
    assert shown["settings"] == settings_of(
        mosquitto.port, **dict.fromkeys(secret, "**REDACTED**")
    )
    assert shown["settings"][CONF_HOST] == HOST
    assert shown["figures"]["acknowledged"] == 1
    assert shown["status"]["problem"] == "**REDACTED** and **REDACTED** are wrong"
    text = json.dumps(found)
    for hidden in (token, BROKER_PASSWORD, *secret.values()):
        if hidden != secret[CONF_USERNAME]:
            assert hidden not in text
    assert CONF_PASSWORD in text
