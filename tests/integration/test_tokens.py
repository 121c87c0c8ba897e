"""Each device that is delivered over a broker has the token that its server wants."""

import asyncio
from dataclasses import replace
import json
import logging

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.sensorvision.const import DOMAIN
from custom_components.sensorvision.provisioning import Provisioning
from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from custom_components.sensorvision.tokens import tokens_store
from sandbox import Sandbox, Settings

from .brokers import (
    BROKER_ID,
    OTHER_BROKER_ID,
    TANK_TOKEN,
    Mosquitto,
    add_tank,
    broker,
    choice_over,
    mirror_over,
)
from .conftest import ALICE, SETTINGS, Ask, SetUp
from .house import House, add_mirror, mirror_of, numbers, until
from .test_problems import shown_issues
from .test_translations import TEXTS

_TANK = mirror_over(entity_id=["sensor.tank"])
_NEEDED = [("device_token_needed", {"entry": "127.0.0.1", "device": "home.tank"})]


@pytest.fixture
def settings(mosquitto: Mosquitto) -> Settings:
    """Return how a server is made that checks the tokens of messages."""
    return replace(SETTINGS, broker=mosquitto.url)


@pytest.fixture(autouse=True)
def _tank(house: House) -> None:
    """Have an entity that is mirrored."""
    house.entity("sensor.tank", "70")


def _token(sandbox: Sandbox, device_id: str = "home.tank") -> str | None:
    device = sandbox.store.device(device_id)
    assert device
    return device.api_token


def _known(entry: SensorVisionConfigEntry) -> str | None:
    return entry.runtime_data.tokens.of("home.tank")


async def _open(hass: HomeAssistant, ask: Ask) -> tuple[str, str]:
    """Open the fix of the only issue; return which step it shows, and the flow."""
    [issue] = [
        issue for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN
    ]
    assert issue.is_fixable
    shown = await ask("", {"handler": DOMAIN, "issue_id": issue.issue_id})
    texts = TEXTS["issues"]["device_token_needed"]["fix_flow"]["step"]
    for step in texts.values():
        assert "{" not in step["description"].format(
            **shown["description_placeholders"]
        )
    return shown["step_id"], shown["flow_id"]


async def test_device_that_is_made_has_a_token_that_is_known_here_alone(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Nobody has seen the one that the server made with it."""
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert _known(entry) == _token(sandbox)
    assert not shown_issues(hass)


async def test_token_is_generated_for_a_device_that_has_none(
    sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    add_tank(sandbox, token=None)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert _known(entry) == _token(sandbox)


async def test_token_outlives_a_restart_and_is_asked_for_once(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    token = _token(sandbox)
    assert await hass.config_entries.async_reload(entry.entry_id)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1] == 71)
    assert _known(entry) == _token(sandbox) == token
    asked = [request.path for request in sandbox.requests if "/token/" in request.path]
    # One was there, so that this was tried first.
    assert [path.rpartition("/")[2] for path in asked] == ["generate", "rotate"]


@pytest.mark.parametrize("credential", [ALICE, {}], ids=["account", "token"])
async def test_existing_token_is_never_replaced_unasked_but_asked_for(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    ask: Ask,
    credential: dict[str, str],
) -> None:
    """Its readings wait, and arrive as soon as it is entered."""
    add_tank(sandbox)
    entry = await set_up(broker(mosquitto.port), _TANK, **credential)
    await until(lambda: shown_issues(hass) == _NEEDED)
    assert _token(sandbox) == TANK_TOKEN
    assert len(entry.runtime_data.ways.brokers.routes[BROKER_ID].outbox) == 1
    step_id, flow_id = await _open(hass, ask)
    if credential:
        assert step_id == "init"
        form = await ask(f"/{flow_id}", {"next_step_id": "enter"})
        step_id = form["step_id"]
    assert step_id == "enter"
    form = await ask(f"/{flow_id}", {"token": "A0000000-0000-4000-8000-000000000000"})
    assert form["errors"] == {"token": "invalid_token"}
    done = await ask(f"/{flow_id}", {"token": f" {TANK_TOKEN} "})
    assert done["type"] == "create_entry"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert not shown_issues(hass)
    assert _token(sandbox) == TANK_TOKEN


async def test_token_is_replaced_when_a_person_chooses_so(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    ask: Ask,
) -> None:
    """And stays as it was while the server can't do it."""
    add_tank(sandbox)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: shown_issues(hass) == _NEEDED)
    step_id, flow_id = await _open(hass, ask)
    assert step_id == "init"
    form = await ask(f"/{flow_id}", {"next_step_id": "rotate"})
    assert form["step_id"] == "rotate"
    sandbox.faults.set("http_503")
    form = await ask(f"/{flow_id}", {})
    assert form["errors"] == {"base": "not_rotated"}
    assert form["description_placeholders"]["message"]
    assert _token(sandbox) == TANK_TOKEN
    sandbox.faults.clear()
    done = await ask(f"/{flow_id}", {})
    assert done["type"] == "create_entry"
    assert _known(entry) == _token(sandbox) != TANK_TOKEN
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert not shown_issues(hass)


@pytest.mark.parametrize("step", ["enter", "rotate"])
async def test_nothing_is_mended_while_the_entry_is_not_loaded(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    ask: Ask,
    step: str,
) -> None:
    add_tank(sandbox)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: shown_issues(hass) == _NEEDED)
    _, flow_id = await _open(hass, ask)
    await ask(f"/{flow_id}", {"next_step_id": step})
    assert await hass.config_entries.async_unload(entry.entry_id)
    ended = await ask(f"/{flow_id}", {"token": TANK_TOKEN} if step == "enter" else {})
    assert (ended["type"], ended["reason"]) == ("abort", "not_loaded")
    assert _token(sandbox) == TANK_TOKEN


async def test_token_of_anothers_device_is_asked_for(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """The account can't give it one."""
    store = sandbox.store
    store.add_device(
        organization_id=store.organization_id("Organization B"),
        external_id="home.tank",
        now_us=0,
        token=TANK_TOKEN,
    )
    await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: shown_issues(hass) == _NEEDED)
    assert _token(sandbox) == TANK_TOKEN


@pytest.mark.parametrize("fault", ["http_503", "reset"])
async def test_token_is_obtained_once_the_server_is_back(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    fault: str,
) -> None:
    """Nothing is asked of a person meanwhile."""
    sandbox.faults.set(fault)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: entry.runtime_data.status.is_connected is False)
    assert len(entry.runtime_data.ways.brokers.routes[BROKER_ID].outbox) == 1
    assert not shown_issues(hass)
    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


async def test_device_that_somebody_makes_meanwhile_keeps_its_token(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Whoever has made it may have seen it."""
    entry = await set_up(**ALICE)
    runtime = entry.runtime_data

    def somebody_makes(_device_id: str) -> dict[str, str]:
        add_tank(sandbox)
        return {}

    provisioning = Provisioning(
        entry,
        runtime.tokens,
        client=lambda: runtime.ways.http.client,
        details_of_new=somebody_makes,
        on_change=lambda: None,
        on_known=lambda: None,
    )
    assert await provisioning.token_of("home.tank") is None
    assert provisioning.needed == {"home.tank"}
    assert _token(sandbox) == TANK_TOKEN


async def test_token_that_nobody_waits_for_any_more_is_kept(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The server shows it only once; and that it fails is no error then."""
    entry = await set_up(**ALICE)
    provisioning = entry.runtime_data.ways.brokers.provisioning
    waiting = asyncio.ensure_future(provisioning.token_of("home.tank"))
    await asyncio.sleep(0)
    waiting.cancel()
    await until(lambda: _known(entry))
    assert _known(entry) == _token(sandbox)
    sandbox.faults.set("http_503")
    seen = len(sandbox.requests)
    waiting = asyncio.ensure_future(provisioning.token_of("home.well"))
    await asyncio.sleep(0)
    waiting.cancel()
    await until(lambda: len(sandbox.requests) > seen)
    await hass.async_block_till_done()


async def test_two_brokers_share_the_token_of_a_device(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    house: House,
) -> None:
    """It is asked for once, whichever needs it first."""
    device = house.device("Well")
    house.entity("sensor.level", "1", device=device, original_name="Level")
    house.entity("sensor.flow", "2", device=device, original_name="Flow")
    entry = await set_up(
        broker(mosquitto.port),
        broker(mosquitto.port, "Other", OTHER_BROKER_ID),
        mirror_over(entity_id=["sensor.level"]),
        **ALICE,
    )
    add_mirror(
        hass,
        entry,
        mirror_of(choice_over(OTHER_BROKER_ID, entity_id=["sensor.flow"]), "Flow"),
    )
    await until(lambda: numbers(sandbox, "home.well", "flow") == [2])
    await until(lambda: numbers(sandbox, "home.well", "level") == [1])
    asked = [request.path for request in sandbox.requests if "/token/" in request.path]
    assert len(asked) == 2


async def test_token_of_a_deleted_device_is_forgotten(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Another device of that id has another one."""
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    runtime = entry.runtime_data
    [mirror_id] = runtime.mirrors
    hass.config_entries.async_remove_subentry(entry, mirror_id)
    await hass.async_block_till_done()
    assert not await runtime.delete_devices(["home.tank"])
    assert sandbox.store.device("home.tank") is None
    assert _known(entry) is None
    stored = await tokens_store(hass, entry.entry_id).async_load()
    assert stored == {}


async def test_token_stands_in_one_private_file_and_nowhere_else(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor in the log, however much of it is written."""
    logging.getLogger("custom_components.sensorvision").setLevel(logging.DEBUG)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    token = _token(sandbox)
    assert token
    # The plugin tells what it keeps in place of files.
    logged = [record for record in caplog.records if "pytest" not in record.name]
    assert logged
    assert not [record for record in logged if token in record.getMessage()]
    assert tokens_store(hass, entry.entry_id)._private
    assert token not in json.dumps(entry.as_dict(), default=str)
