"""What happened while nothing was captured is filled from the recorder by itself."""

from datetime import timedelta
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_API_KEY, CONF_NAME
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.sensorvision.backfill_job import jobs_store
from custom_components.sensorvision.client.credentials import USER_KEY
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.const import (
    CONF_CREDENTIAL,
    CONF_FILL_GAPS,
    CONF_HISTORY,
    CONF_HISTORY_DAYS,
    CONF_MIRRORING,
    CONF_TARGET,
    SUBENTRY_TYPE_MIRROR,
)
from custom_components.sensorvision.delivering import outbox_path
from sandbox import Sandbox
from tests.integration.conftest import ALICE, ALICE_KEY, SetUp
from tests.integration.house import choose, mirror, numbers, until

from .recording import DAY_S, HOUR_S, backfill, finished, jobs, record, stored

_TANK = mirror("Tanks", entity_id=["sensor.tank"])
_KEY = {CONF_API_KEY: ALICE_KEY, CONF_CREDENTIAL: USER_KEY}

with_recorder = pytest.mark.usefixtures("recorder_mock")


async def _unloaded_for_an_hour(
    hass: HomeAssistant, set_up: SetUp, **credential: str
) -> MockConfigEntry:
    """Return an entry that has captured nothing for an hour."""
    hass.states.async_set("sensor.tank", "0", timestamp=time.time() - DAY_S)
    entry = await set_up(_TANK, **credential)
    await until(
        lambda: entry.runtime_data.status.delivered and not entry.runtime_data.outbox
    )
    assert await hass.config_entries.async_unload(entry.entry_id)
    await _mark(hass, entry, time.time() - HOUR_S)
    return entry


async def _mark(hass: HomeAssistant, entry: MockConfigEntry, until_s: float) -> None:
    """Let the entry's outbox have captured up to a time."""
    outbox = CompleteOutbox(str(outbox_path(hass, entry.entry_id)))
    await outbox.open()
    assert outbox.captured_until == pytest.approx(time.time(), abs=60)
    outbox.mark_captured(until_s)
    await outbox.close()


@with_recorder
@pytest.mark.parametrize("credential", [ALICE, _KEY], ids=["account", "user key"])
async def test_gap_is_filled_at_the_next_start(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, credential: dict[str, str]
) -> None:
    """From where nothing was captured any more to where it is again."""
    entry = await _unloaded_for_an_hour(hass, set_up, **credential)
    now = float(int(time.time()))
    past = {now - 2 * HOUR_S: "1", now - 1800: "2", now - 900.5: "3"}
    await record(hass, "sensor.tank", past)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [job] = await finished(entry)
    assert (job["mirror"], job["state"], job["sent"]) == ("Tanks", "done", 2)
    assert stored(sandbox, "home.tank", "tank") == [
        (now - 1800, 2),
        (now - 900.5, 3),
    ]


@with_recorder
async def test_gap_is_filled_once_home_assistant_has_started(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Before, entities are still to come."""
    entry = await _unloaded_for_an_hour(hass, set_up, **ALICE)
    now = float(int(time.time()))
    await record(hass, "sensor.tank", {now - 1800: "2"})
    hass.set_state(CoreState.starting)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert [job["state"] for job in jobs(entry)] == ["waiting"]
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await hass.async_block_till_done()
    [job] = await finished(entry)
    assert job["state"] == "done"
    assert stored(sandbox, "home.tank", "tank") == [(now - 1800, 2)]


@with_recorder
@pytest.mark.parametrize(
    ("options", "ago_s"),
    [
        ({CONF_FILL_GAPS: False}, HOUR_S),
        ({CONF_MIRRORING: False}, HOUR_S),
        ({}, 1),
        ({}, -HOUR_S),
    ],
    ids=["not wished", "switched off", "too short", "in the future"],
)
async def test_what_is_no_gap_is_not_filled(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    options: dict[str, Any],
    ago_s: float,
) -> None:
    entry = await _unloaded_for_an_hour(hass, set_up, **ALICE)
    hass.config_entries.async_update_entry(entry, options=options)
    outbox = CompleteOutbox(str(outbox_path(hass, entry.entry_id)))
    await outbox.open()
    outbox.mark_captured(time.time() - ago_s)
    await outbox.close()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert jobs(entry) == []


@with_recorder
async def test_token_fills_no_gap(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The server takes only what is true now."""
    entry = await _unloaded_for_an_hour(hass, set_up)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert jobs(entry) == []


@with_recorder
async def test_quiet_house_is_marked_every_five_minutes(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """And one whose mirroring is switched off is not."""
    entry = await set_up(_TANK, **ALICE)
    outbox = entry.runtime_data.outbox
    for is_mirroring in (True, False):
        if not is_mirroring:
            entry.runtime_data.switch_off()
            await hass.async_block_till_done()
        before = outbox.captured_until
        freezer.tick(timedelta(minutes=5, seconds=1))
        async_fire_time_changed(hass, dt_util.utcnow())
        await hass.async_block_till_done()
        assert (outbox.captured_until == time.time()) is is_mirroring
        assert (outbox.captured_until == before) is not is_mirroring


@with_recorder
async def test_new_mirror_sends_the_history_that_its_form_asks_for(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Once: it is no setting that acts again."""
    now = float(int(time.time()))
    await record(hass, "sensor.tank", {now - 5 * DAY_S: "1", now - DAY_S: "2"})
    entry = await set_up(**ALICE)
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    assert form["data_schema"]
    assert CONF_HISTORY in form["data_schema"].schema
    await choose(
        hass,
        form["flow_id"],
        {
            CONF_NAME: "Tanks",
            CONF_TARGET: {"entity_id": ["sensor.tank"]},
            CONF_HISTORY: {CONF_HISTORY_DAYS: 3},
        },
    )
    await hass.async_block_till_done()
    [job] = await finished(entry)
    assert (job["mirror"], job["state"], job["sent"]) == ("Tanks", "done", 1)
    assert stored(sandbox, "home.tank", "tank") == [(now - DAY_S, 2)]
    [subentry] = entry.subentries.values()
    assert dict(subentry.data) == {
        CONF_TARGET: {"entity_id": ["sensor.tank"]},
        "diagnostics": False,
    }
    form = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["data_schema"]
    assert CONF_HISTORY not in form["data_schema"].schema


@pytest.mark.parametrize("days", [0, 3])
async def test_new_mirror_without_a_recorder_mirrors_and_says_so(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, days: int
) -> None:
    """If history is asked for at all."""
    hass.states.async_set("sensor.tank", "7")
    entry = await set_up(**ALICE)
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    created = await choose(
        hass,
        form["flow_id"],
        {
            CONF_NAME: "Tanks",
            CONF_TARGET: {"entity_id": ["sensor.tank"]},
            CONF_HISTORY: {CONF_HISTORY_DAYS: days},
        },
    )
    assert (CONF_HISTORY in created["data"]) is bool(days)
    await hass.async_block_till_done()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [7])
    found = [(job["state"], job["problem"]) for job in await finished(entry)]
    why = "Home Assistant runs without its recorder. Set it up first"
    assert found == ([("failed", why)] if days else [])


async def test_token_is_not_asked_for_history(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    entry = await set_up()
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    assert form["data_schema"]
    assert CONF_HISTORY not in form["data_schema"].schema


async def test_without_a_recorder_there_is_nothing_to_fill(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await _unloaded_for_an_hour(hass, set_up, **ALICE)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as refused:
        await backfill(hass, entry, time.time() - DAY_S)
    assert refused.value.translation_key == "no_recorder"
    assert jobs(entry) == []


@with_recorder
async def test_removed_entry_leaves_no_jobs(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await _unloaded_for_an_hour(hass, set_up, **ALICE)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await finished(entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    store = jobs_store(hass, entry.entry_id)
    kept = await store.async_load()
    assert kept
    assert len(kept["jobs"]) == 1
    await hass.config_entries.async_remove(entry.entry_id)
    assert await jobs_store(hass, entry.entry_id).async_load() is None
