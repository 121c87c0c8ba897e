"""What Home Assistant's system information says of the servers."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info

from custom_components.sensorvision import system_health
from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, until
from .test_translations import TEXTS


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    """Return what is shown, with what takes a moment."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    info: dict[str, Any] = await get_system_health_info(hass, DOMAIN)
    info["reachable"] = await info["reachable"]
    assert info.keys() == TEXTS["system_health"]["info"].keys()
    return info


async def test_it_says_how_many_servers_answer_and_what_waits(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The credential is not needed for that."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await set_up(api_key="99999999-9999-4999-8999-999999999999")
    status = entry.runtime_data.status
    await until(lambda: status.delivered == 1)
    assert await _info(hass) == {
        "servers": 2,
        "reachable": "ok",
        "waiting": 0,
        "last_delivered": dt_util.utc_from_timestamp(status.last_delivered),
    }
    assert sandbox.requests[-1].path == "/api/v1/connectivity/http"
    assert "x-api-key" not in {name.lower() for name in sandbox.requests[-1].headers}


@pytest.mark.parametrize("fault", ["reset", "http_503", "latency"])
async def test_it_names_the_server_that_does_not_answer(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """And what has to wait for it."""
    monkeypatch.setattr(system_health, "_TIMEOUT_S", 0.2)
    house.entity("sensor.tank", "70")
    sandbox.faults.set(fault)
    await set_up(mirror(entity_id=["sensor.tank"]))
    info = await _info(hass)
    assert info["reachable"] == {"type": "failed", "error": "unreachable: 127.0.0.1"}
    assert info["waiting"] == 1
    assert info["last_delivered"] is None
    sandbox.faults.clear()
