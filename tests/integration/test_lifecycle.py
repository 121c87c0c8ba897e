"""Setting up, unloading, reloading and removing an entry leaves nothing behind."""

import asyncio
from datetime import timedelta
import logging
import re
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_NAME, CONF_URL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.const import CONF_TARGET, DOMAIN
from custom_components.sensorvision.delivering import open_outboxes, outbox_path
from sandbox import Sandbox

from .conftest import TOKEN, SetUp, connection
from .house import House, begun, choose, mirror, numbers, read_on, until


def _ours(hass: HomeAssistant, *entries: MockConfigEntry) -> dict[str, list[Any]]:
    """Return everything in the core that belongs to the integration."""
    registry = dr.async_get(hass)
    return {
        "tasks": [
            task.get_name() for task in asyncio.all_tasks() if DOMAIN in task.get_name()
        ],
        "issues": [key for key in ir.async_get(hass).issues if key[0] == DOMAIN],
        "entities": [
            entity.entity_id
            for entity in er.async_get(hass).entities.values()
            if entity.platform == DOMAIN
        ],
        "devices": [
            device.name
            for entry in entries
            for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        ],
        "flows": [*hass.config_entries.flow.async_progress_by_handler(DOMAIN)],
    }


@pytest.fixture
def run(hass: HomeAssistant, house: House) -> None:
    """Put something into the house that keeps every part of the integration busy."""
    area = ar.async_get(hass).async_create("Kitchen")
    house.entity("sensor.tank", "70", area_id=area.id)


_BUSY = mirror(area_id=["kitchen"], entity_id=["sensor.gone"])


@pytest.mark.usefixtures("run")
async def test_unloaded_entry_leaves_nothing_running(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """No listener, no task, no issue; what changes is not sent any more."""
    entry = await set_up(_BUSY)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert _ours(hass)["tasks"]
    assert _ours(hass)["issues"]

    # Something is just about to be resolved.
    ar.async_get(hass).async_create("Attic")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    left = _ours(hass, entry)
    assert (left["tasks"], left["issues"], left["flows"]) == ([], [], [])
    sent = len(sandbox.requests)
    hass.states.async_set("sensor.tank", "71")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=2))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(sandbox.requests) == sent


@pytest.mark.usefixtures("run")
async def test_unloaded_entry_listens_to_nothing(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """After another round everything that listens was there before it."""
    entry = await set_up(_BUSY)
    listening = []
    for _ in range(2):
        await until(lambda: entry.runtime_data.status.is_connected)
        assert await hass.config_entries.async_unload(entry.entry_id)
        # The core's registries and sessions have listeners of their own until then.
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1))
        await hass.async_block_till_done()
        listening.append(hass.bus.async_listeners())
        assert await hass.config_entries.async_setup(entry.entry_id)
    assert listening[0] == listening[1]
    assert listening[0] != hass.bus.async_listeners()


@pytest.mark.usefixtures("run")
async def test_reloaded_entry_goes_on(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Under the same names, and with one delivery, not two."""
    entry = await set_up(_BUSY)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    for _ in range(3):
        assert await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: len(numbers(sandbox, "home.tank", "tank")) > 1)
    await until(lambda: not entry.runtime_data.outbox)
    before = len(numbers(sandbox, "home.tank", "tank"))
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "home.tank", "tank")[before:] == [71])
    assert len(_ours(hass)["tasks"]) == 1


@pytest.mark.usefixtures("run")
async def test_removed_entry_leaves_no_trace(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    hass_storage: dict[str, Any],
) -> None:
    """Neither in the registries nor on disk, even if a token was asked for."""
    entry = await set_up(_BUSY)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    device = sandbox.store.device("dev-a")
    assert device
    sandbox.store.update_device(device, api_token="other")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: _ours(hass)["flows"])
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2))
    await until(lambda: f"{DOMAIN}.{entry.entry_id}.names" in hass_storage)

    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert _ours(hass, entry) == {
        "tasks": [],
        "issues": [],
        "entities": [],
        "devices": [],
        "flows": [],
    }
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1))
    await hass.async_block_till_done()
    assert not [key for key in hass_storage if key.startswith(DOMAIN)]


async def test_entry_that_never_ran_can_be_removed(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """There is no file of names to delete."""
    entry = await set_up()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not hass.config_entries.async_entries(DOMAIN)


@pytest.mark.usefixtures("run")
async def test_two_entries_do_not_disturb_each_other(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Each has its own prefix, names and issues."""
    first = await set_up(_BUSY)
    await set_up(_BUSY, prefix="cabin")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: numbers(sandbox, "cabin.tank", "tank") == [70])
    assert len(_ours(hass)["issues"]) == 2
    await hass.config_entries.async_remove(first.entry_id)
    assert len(_ours(hass)["issues"]) == 1
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "cabin.tank", "tank") == [70, 71])
    assert numbers(sandbox, "home.tank", "tank") == [70]


async def test_stopping_home_assistant_writes_the_names(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    hass_storage: dict[str, Any],
) -> None:
    """It does not unload entries before it stops, and waits for none of them."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    async with asyncio.timeout(1):
        await hass.async_stop(force=True)
    assert entry.state is ConfigEntryState.LOADED
    assert not _ours(hass)["tasks"]
    names = hass_storage[f"{DOMAIN}.{entry.entry_id}.names"]["data"]
    assert list(names["devices"].values()) == ["home.tank"]


async def test_log_says_what_each_stage_of_the_stop_took(
    hass: HomeAssistant,
    set_up: SetUp,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who asks why a stop takes long finds the integration's share there."""
    caplog.set_level(logging.DEBUG, "custom_components.sensorvision.stopping")
    house.entity("sensor.tank", "70")
    await set_up(mirror(entity_id=["sensor.tank"]))
    await hass.async_stop(force=True)
    took = [
        record.getMessage()
        for record in caplog.records
        if record.name == "custom_components.sensorvision.stopping"
    ]
    assert [line.split()[0] for line in took] == [
        "homeassistant_stop",
        "homeassistant_final_write",
    ]
    assert all(re.fullmatch(r"\w+ took \d+\.\d{3} s", line) for line in took)


async def test_names_are_written_once_they_are_given_and_not_again(
    hass: HomeAssistant, set_up: SetUp, house: House, hass_storage: dict[str, Any]
) -> None:
    """Registries change all day, and memory cards wear out."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    key = f"{DOMAIN}.{entry.entry_id}.names"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2))
    await until(lambda: key in hass_storage)
    del hass_storage[key]
    resolved = ar.async_get(hass).async_create("Attic")
    assert resolved
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=4))
    await hass.async_block_till_done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))
    await hass.async_block_till_done()
    assert key not in hass_storage


async def test_whole_way_from_the_form_to_removal_is_quiet_and_keeps_the_secret(
    hass: HomeAssistant,
    sandbox: Sandbox,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Home Assistant has nothing to complain about, and no token is in the log."""
    caplog.set_level(logging.DEBUG)
    device = house.device("Kitchen")
    house.entity("sensor.heat", "21.5", device=device, original_name="Heat")
    menu = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    form = await hass.config_entries.flow.async_configure(
        menu["flow_id"], {"next_step_id": "key"}
    )
    connected = await hass.config_entries.flow.async_configure(
        form["flow_id"], connection(sandbox.url)
    )
    created = await read_on(hass, connected)
    await choose(
        hass,
        created["next_flow"][1],
        {CONF_NAME: "Kitchen", CONF_TARGET: {"device_id": [device.id]}},
    )
    await until(lambda: numbers(sandbox, "home.kitchen", "heat") == [21.5])
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.data[CONF_URL] == sandbox.url
    assert entry.data[CONF_API_KEY] == TOKEN
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.heat", "22")
    await until(lambda: entry.runtime_data.status.is_connected is False)
    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.kitchen", "heat")[-1:] == [22])
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()

    assert "Detected that custom integration" not in caplog.text
    assert TOKEN not in caplog.text
    assert not [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        # It says of a busy machine that it is slow.
        and record.name != "asyncio"
        and "has not been tested by Home Assistant" not in record.getMessage()
    ]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("is_open", [False, True], ids=["while opening", "later"])
async def test_setup_that_is_cancelled_lets_go_of_its_file(
    hass: HomeAssistant, sandbox: Sandbox, is_open: bool
) -> None:
    """Or nobody could open it again."""
    entry = MockConfigEntry(
        domain=DOMAIN, title="127.0.0.1", data=connection(sandbox.url)
    )
    entry.add_to_hass(hass)
    path = outbox_path(hass, entry.entry_id)
    task = asyncio.ensure_future(hass.config_entries.async_setup(entry.entry_id))

    @callback
    def cancel(_event: Event[Any]) -> None:
        task.cancel()

    if is_open:
        # Its device is made between its file and its platforms.
        hass.bus.async_listen_once(dr.EVENT_DEVICE_REGISTRY_UPDATED, cancel)
    else:
        await begun(path)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if entry.state is ConfigEntryState.LOADED:
        # Nothing had to be waited for any more that could have been cancelled.
        await hass.config_entries.async_unload(entry.entry_id)
    else:
        assert entry.state is ConfigEntryState.SETUP_ERROR
    outbox = (await open_outboxes(hass, entry)).own
    outbox.append([Reading("home.tank", "tank", 70, time=0)])
    await outbox.commit()
    assert outbox.problem is None
    await outbox.close()
