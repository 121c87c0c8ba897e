"""What the server has refused is sent again, as far as it may still be true."""

import time
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox

from .conftest import ALICE, Ask, SetUp
from .house import House, mirror, numbers, until
from .test_problems import shown_issues

_CREDENTIALS = pytest.mark.parametrize(
    "credential", [ALICE, {}], ids=["account", "token"]
)


def _refuse_large(sandbox: Sandbox) -> None:
    """Let the server refuse numbers from 100 on."""
    sandbox.store.connection.execute(
        "CREATE TRIGGER small BEFORE INSERT ON variable_values"
        " WHEN CAST(NEW.value AS REAL) >= 100 BEGIN"
        " SELECT RAISE(ABORT, 'numeric field overflow'); END"
    )


def _mend(sandbox: Sandbox) -> None:
    sandbox.store.connection.execute("DROP TRIGGER small")


async def _refused(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    credential: dict[str, str],
) -> MockConfigEntry:
    """Return an entry of which the load was refused, and the price accepted."""
    meter = house.device("Meter")
    house.entity("sensor.load", "100", device=meter, original_name="Load")
    house.entity("sensor.price", "0.3", device=meter, original_name="Price")
    _refuse_large(sandbox)
    entry = await set_up(
        mirror(entity_id=["sensor.load", "sensor.price"]), **credential
    )
    await until(lambda: shown_issues(hass))
    await until(lambda: numbers(sandbox, "home.meter", "price") == [0.3])
    return entry


async def _retry(
    hass: HomeAssistant, entry: MockConfigEntry, **narrowed: str
) -> dict[str, Any]:
    told = await hass.services.async_call(
        DOMAIN,
        "retry_refused",
        {"config_entry_id": entry.entry_id, **narrowed},
        blocking=True,
        return_response=True,
    )
    assert isinstance(told, dict)
    return told


@_CREDENTIALS
async def test_refused_reading_is_stored_once_the_server_is_mended(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    credential: dict[str, str],
) -> None:
    """The notice comes back until then."""
    entry = await _refused(hass, sandbox, set_up, house, credential)
    _mend(sandbox)
    assert await _retry(hass, entry, device_id="home.other") == {
        "waiting": 0,
        "superseded": 0,
    }
    assert await _retry(hass, entry, variable="price") == {
        "waiting": 0,
        "superseded": 0,
    }
    assert shown_issues(hass)
    told = await _retry(hass, entry, device_id="home.meter", variable="load")
    assert told == {"waiting": 1, "superseded": 0}
    await until(lambda: numbers(sandbox, "home.meter", "load") == [100])
    assert not shown_issues(hass)
    assert await entry.runtime_data.outbox.dead_letters() == []


@_CREDENTIALS
async def test_notice_tries_again_and_comes_back_while_it_is_refused(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    ask: Ask,
    credential: dict[str, str],
) -> None:
    entry = await _refused(hass, sandbox, set_up, house, credential)
    issue_id = f"reading_refused_{entry.entry_id}_home.meter.load"
    opening = {"handler": DOMAIN, "issue_id": issue_id}
    form = await ask("", opening)
    assert form["description_placeholders"]["variable"] == "load"
    assert (await ask(f"/{form['flow_id']}", {}))["type"] == "create_entry"
    # It takes another reading to see that the server is well.
    hass.states.async_set("sensor.price", "0.4")
    await until(lambda: entry.runtime_data.status.refused == 2)
    await until(lambda: shown_issues(hass))

    _mend(sandbox)
    form = await ask("", opening)
    await ask(f"/{form['flow_id']}", {})
    await until(lambda: numbers(sandbox, "home.meter", "load") == [100])
    await until(lambda: not shown_issues(hass))


async def test_token_sends_nothing_old_as_true_now(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """What has a newer one by now, or has waited too long."""
    entry = await _refused(hass, sandbox, set_up, house, {})
    hass.states.async_set("sensor.load", "50")
    await until(lambda: numbers(sandbox, "home.meter", "load") == [50])
    outbox = entry.runtime_data.outbox
    await until(lambda: not outbox)
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    outbox.append([Reading("home.meter", "old", 1, time.time() - 3600)])
    batch = await outbox.take("home.meter")
    assert batch
    await outbox.set_aside(batch, "no")
    entry.runtime_data.switch_on()
    await hass.async_block_till_done()
    _mend(sandbox)
    assert await _retry(hass, entry) == {"waiting": 0, "superseded": 2}
    assert entry.runtime_data.figures.superseded == 2
    await until(lambda: not outbox)
    assert 100 not in numbers(sandbox, "home.meter", "load")
    assert numbers(sandbox, "home.meter", "old") == []


async def test_nothing_is_tried_again_while_mirroring_is_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, ask: Ask
) -> None:
    """And what was refused stays where it can be seen."""
    entry = await _refused(hass, sandbox, set_up, house, ALICE)
    issue_id = f"reading_refused_{entry.entry_id}_home.meter.load"
    form = await ask("", {"handler": DOMAIN, "issue_id": issue_id})
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as refused:
        await _retry(hass, entry)
    assert refused.value.translation_key == "mirroring_off"
    ended = await ask(f"/{form['flow_id']}", {})
    assert (ended["type"], ended["reason"]) == ("abort", "not_running")
    assert len(await entry.runtime_data.outbox.dead_letters()) == 1
