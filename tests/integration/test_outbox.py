"""What waits for the server outlives Home Assistant, and a person is told what does not."""

from pathlib import Path
import shutil
import time

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision import delivering
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.const import CONF_COMMIT_INTERVAL_S, DOMAIN
from custom_components.sensorvision.delivering import outbox_path
from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from sandbox import Sandbox

from .conftest import ALICE, SetUp
from .house import mirror, numbers, until

_TANK = mirror(entity_id=["sensor.tank"])


def _tank(sandbox: Sandbox) -> list[tuple[float, float]]:
    """Return times and values that the server has, in the order of storing."""
    return [
        (round(row.timestamp.timestamp(), 3), float(row.value))
        for row in sandbox.store.values("home.tank", "tank")
    ]


def _show(hass: HomeAssistant, value: float) -> tuple[float, float]:
    hass.states.async_set("sensor.tank", str(value))
    state = hass.states.get("sensor.tank")
    assert state
    return round(state.last_updated_timestamp, 3), value


def _issues(hass: HomeAssistant) -> dict[str | None, dict[str, str] | None]:
    return {
        issue.translation_key: issue.translation_placeholders
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    }


async def _away(sandbox: Sandbox, entry: SensorVisionConfigEntry) -> None:
    """Let the server go, as soon as nothing is under way."""
    runtime = entry.runtime_data
    await until(lambda: runtime.status.is_connected and not runtime.outbox)
    sandbox.faults.set("http_503")


async def test_every_reading_of_an_outage_arrives_with_its_time_over_a_restart(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    await _away(sandbox, entry)
    before = [_show(hass, value) for value in range(1, 6)]
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    after = [_show(hass, value) for value in range(6, 11)]
    await hass.async_block_till_done()
    sandbox.faults.clear()
    await until(lambda: not entry.runtime_data.outbox)
    stored = _tank(sandbox)
    assert set(before) | set(after) <= set(stored)
    assert max(stored)[1] == 10
    assert entry.runtime_data.figures.superseded == 0
    assert entry.runtime_data.figures.possible_duplicates == 0


async def test_present_reading_comes_last_after_an_old_one(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The server takes a device for silent since its last reading."""
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    await _away(sandbox, entry)
    # Rounded twice, what is near the half of a millisecond would come out as another.
    an_hour_ago = float(int(time.time() - 3600))
    hass.states.async_set("sensor.tank", "1", timestamp=an_hour_ago)
    await until(lambda: entry.runtime_data.status.is_connected is False)
    sandbox.faults.clear()
    await until(lambda: len(_tank(sandbox)) == 3)
    assert _tank(sandbox)[1] == (an_hour_ago, 1)
    assert _tank(sandbox)[2][0] > an_hour_ago + 3500
    assert _tank(sandbox)[2][1] == 1


async def test_newest_number_waits_over_a_restart_for_a_token(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """If its entity shows nothing then: it was true a moment ago."""
    _show(hass, 0)
    entry = await set_up(_TANK)
    await _away(sandbox, entry)
    for value in (1, 2, 3):
        _show(hass, value)
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_set("sensor.tank", "unavailable")
    assert await hass.config_entries.async_setup(entry.entry_id)
    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [0, 3])


async def test_end_of_home_assistant_leaves_what_waits_on_disk(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """It unloads no entry when it stops."""
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    await _away(sandbox, entry)
    waiting = [_show(hass, value) for value in (1, 2)]
    await hass.async_block_till_done()
    hass.bus.async_fire("homeassistant_final_write")
    await hass.async_block_till_done()
    # Nobody is there any more to take this.
    _show(hass, 3)
    await hass.async_block_till_done()
    copied = outbox_path(hass, entry.entry_id)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert copied.exists()
    sandbox.faults.clear()
    await until(lambda: set(waiting) <= set(_tank(sandbox)))


async def test_what_waits_is_on_disk_when_home_assistant_begins_to_stop(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """And what comes between that and the final write is taken in, too."""
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    hass.config_entries.async_update_entry(entry, options={CONF_COMMIT_INTERVAL_S: 60})
    await hass.async_block_till_done()
    await _away(sandbox, entry)
    early = _show(hass, 1)
    await until(lambda: entry.runtime_data.status.is_connected is False)
    hass.bus.async_fire("homeassistant_stop")
    await hass.async_block_till_done()
    path = outbox_path(hass, entry.entry_id)
    copy = await hass.async_add_executor_job(_copy, path, path.parent / "copy")
    outbox = CompleteOutbox(str(copy))
    await outbox.open()
    batch = await outbox.take_backlog(10)
    await outbox.close()
    assert batch
    assert [reading.value for reading in batch.readings] == [early[1]]
    _show(hass, 2)
    await until(lambda: len(entry.runtime_data.outbox) == 2)


@pytest.mark.parametrize("credential", [ALICE, {}], ids=["account", "token"])
async def test_restored_backup_sends_nothing_with_a_false_time(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    credential: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account's old readings are sent again as old ones, and counted as such."""
    _show(hass, 0)
    entry = await set_up(_TANK, **credential)
    await _away(sandbox, entry)
    waited = [_show(hass, value) for value in (1, 2, 3)]
    await until(lambda: entry.runtime_data.outbox)
    await entry.runtime_data.outbox.commit()
    path = outbox_path(hass, entry.entry_id)
    backup = await hass.async_add_executor_job(_copy, path, path.parent / "backup")
    sandbox.faults.clear()
    await until(lambda: not entry.runtime_data.outbox)
    assert await hass.config_entries.async_unload(entry.entry_id)
    count = len(_tank(sandbox))
    await hass.async_add_executor_job(_copy, backup, path)
    hass.states.async_set("sensor.tank", "unavailable")
    # An hour later.
    sandbox.clock.advance(3600)
    monkeypatch.setattr(
        "custom_components.sensorvision.client.outbox._STILL_TRUE_S", -1.0
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    runtime = entry.runtime_data
    await until(lambda: runtime.status.is_connected and not runtime.outbox)
    again = _tank(sandbox)[count:]
    if credential:
        assert again == waited
        assert runtime.figures.possible_duplicates == 3
    else:
        assert again == []
        assert runtime.figures.superseded == 1


def _copy(source: Path, target: Path) -> Path:
    """Copy a file of readings with what belongs to it, as a backup does."""
    for part in source.parent.glob(f"{source.name}*"):
        shutil.copy(part, f"{target}{part.name.removeprefix(source.name)}")
    return target


async def _unloaded(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> MockConfigEntry:
    """Return an entry that has sent one reading, and is not loaded any more."""
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    await until(lambda: len(_tank(sandbox)) == 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    return entry


async def test_damaged_file_is_said_and_everything_goes_on(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await _unloaded(hass, sandbox, set_up)
    path = outbox_path(hass, entry.entry_id)
    await hass.async_add_executor_job(path.write_text, "no readings" * 100)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(_tank(sandbox)) == 2)
    told = _issues(hass)["outbox_damaged"]
    assert told
    assert told["saved"] == "0"
    assert told["file"].startswith(str(path))
    assert told["reason"]


async def test_file_that_cannot_be_opened_is_said_and_everything_goes_on(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await _unloaded(hass, sandbox, set_up)
    path = outbox_path(hass, entry.entry_id)
    await hass.async_add_executor_job(path.unlink)
    await hass.async_add_executor_job(path.mkdir)
    assert await hass.config_entries.async_setup(entry.entry_id)
    _show(hass, 1)
    await until(lambda: _tank(sandbox)[-1][1] == 1)
    told = _issues(hass)["outbox_unwritable"]
    assert told == {"entry": "127.0.0.1", "reason": "unable to open database file"}
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(path.rmdir)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.status.is_connected)
    assert "outbox_unwritable" not in _issues(hass)


async def test_dropped_readings_are_said(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivering, "_BYTES_PER_MB", 0.01)
    monkeypatch.setattr(delivering, "DEFAULT_COMMIT_INTERVAL_S", 0)
    _show(hass, 0)
    entry = await set_up(_TANK, **ALICE)
    await _away(sandbox, entry)
    _show(hass, 1)
    _show(hass, 2)
    await until(lambda: entry.runtime_data.figures.dropped)
    await until(lambda: "outbox_full" in _issues(hass))
    assert (_issues(hass)["outbox_full"] or {})["dropped"] >= "1"


async def test_removed_entry_leaves_no_file(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up(_TANK)
    path = outbox_path(hass, entry.entry_id)
    assert path.exists()
    await hass.config_entries.async_remove(entry.entry_id)
    left = await hass.async_add_executor_job(list, path.parent.glob("*outbox*"))
    assert left == []
