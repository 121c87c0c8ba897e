"""When an entity's number is sent: on a change, not too often, in snapshots, again."""

import asyncio
from datetime import timedelta
import time

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from sandbox import Sandbox

from .conftest import ALICE, SetUp
from .house import mirror_of, numbers, until

_HOUR_S = 3600
_BLINK_MIN = 0.0005


def _mirror_that_sends(**sending: float | str) -> ConfigSubentryData:
    target = {"entity_id": ["sensor.tank", "sensor.well"]}
    return mirror_of({"target": target, "sending": sending})


def _tank(sandbox: Sandbox) -> list[float]:
    return numbers(sandbox, "home.tank", "tank")


async def _ring(
    hass: HomeAssistant, entry: SensorVisionConfigEntry, after_s: float
) -> None:
    """Let everything happen that is set for the time until then."""
    # Or a request that is under way would be timed out, and sent again.
    await _settled(hass, entry)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=after_s))
    await hass.async_block_till_done()


async def _settled(hass: HomeAssistant, entry: SensorVisionConfigEntry) -> None:
    """Wait until everything that was captured has been stored."""
    await hass.async_block_till_done()
    entry.runtime_data.flush()
    await until(lambda: not entry.runtime_data.outbox)


async def test_of_changes_that_come_too_soon_the_last_one_is_sent_later(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """With the time at which it was true."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(when="limited", interval=_HOUR_S))
    await until(lambda: _tank(sandbox) == [70])
    hass.states.async_set("sensor.tank", "71")
    hass.states.async_set("sensor.tank", "72")
    changed = hass.states.get("sensor.tank")
    assert changed
    hass.states.async_set("sensor.well", "5")
    await _settled(hass, entry)
    assert numbers(sandbox, "home.well", "well") == [5]
    assert _tank(sandbox) == [70]
    sandbox.faults.set("http_503")
    await _ring(hass, entry, _HOUR_S + 1)
    oldest = entry.runtime_data.outbox.oldest
    await until(lambda: oldest() == changed.last_updated_timestamp)
    sandbox.faults.clear()
    await until(lambda: _tank(sandbox) == [70, 72])
    # The hour begins anew.
    hass.states.async_set("sensor.tank", "73")
    await _settled(hass, entry)
    assert _tank(sandbox) == [70, 72]


async def test_change_that_was_held_back_is_taken_at_the_end(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Nothing is missing up to there."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(when="limited", interval=_HOUR_S), **ALICE)
    await until(lambda: _tank(sandbox) == [70])
    await _settled(hass, entry)
    hass.states.async_set("sensor.tank", "71")
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_remove("sensor.tank")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: _tank(sandbox) == [70, 71])


async def test_change_that_comes_late_enough_is_sent_at_once(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    await set_up(_mirror_that_sends(when="limited", interval=0.001))
    await until(lambda: _tank(sandbox) == [70])
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: _tank(sandbox) == [70, 71])


async def test_state_that_sends_nothing_does_not_use_up_the_interval(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "unavailable")
    entry = await set_up(_mirror_that_sends(when="limited", interval=_HOUR_S))
    hass.states.async_set("sensor.tank", "unknown")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: _tank(sandbox) == [71])
    hass.states.async_set("sensor.tank", "71", {"friendly_name": "Rain tank"})
    await _ring(hass, entry, _HOUR_S + 1)
    await _settled(hass, entry)
    assert _tank(sandbox) == [71]


async def test_what_is_held_back_is_sent_when_its_entity_leaves(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Also when another rhythm comes, or an end."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(when="limited", interval=_HOUR_S))
    [subentry] = entry.subentries.values()
    await until(lambda: _tank(sandbox) == [70])
    hass.states.async_set("sensor.tank", "71")
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "sending": {}}
    )
    await until(lambda: _tank(sandbox) == [70, 71])
    hass.config_entries.async_update_subentry(
        entry,
        subentry,
        data={**subentry.data, "sending": {"when": "limited", "interval": _HOUR_S}},
    )
    hass.states.async_set("sensor.tank", "72")
    hass.config_entries.async_update_subentry(
        entry, subentry, data={"target": {"entity_id": ["sensor.well"]}}
    )
    await until(lambda: _tank(sandbox) == [70, 71, 72])


async def test_snapshot_holds_everything_as_it_is_at_that_moment(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    hass.states.async_set("sensor.well", "5")
    entry = await set_up(_mirror_that_sends(when="snapshot", interval=_HOUR_S))
    await until(lambda: _tank(sandbox) == [70])
    hass.states.async_set("sensor.tank", "71")
    hass.states.async_set("sensor.tank", "72")
    await _settled(hass, entry)
    assert _tank(sandbox) == [70]
    sandbox.faults.set("http_503")
    before = time.time()
    await _ring(hass, entry, _HOUR_S + 1)
    oldest = entry.runtime_data.outbox.oldest()
    assert oldest is not None
    assert oldest >= before
    sandbox.faults.clear()
    await until(lambda: _tank(sandbox) == [70, 72])
    await until(lambda: numbers(sandbox, "home.well", "well") == [5, 5])


async def test_steady_number_is_sent_again_after_a_while(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(heartbeat=_BLINK_MIN))
    await until(lambda: _tank(sandbox) == [70])
    await _minutes_pass(hass, entry, 3)
    assert len(_tank(sandbox)) >= 3
    assert set(_tank(sandbox)) == {70}


async def _minutes_pass(
    hass: HomeAssistant, entry: SensorVisionConfigEntry, minutes: int
) -> None:
    now = dt_util.utcnow()
    for minute in range(1, minutes + 1):
        # Longer than the heartbeats that are to be felt.
        await asyncio.sleep(_BLINK_MIN * 60)
        await _settled(hass, entry)
        async_fire_time_changed(hass, now + timedelta(minutes=minute))
    await _settled(hass, entry)


async def test_heart_does_not_beat_before_its_time_or_for_what_is_unavailable(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(heartbeat=30))
    await until(lambda: _tank(sandbox) == [70])
    await _ring(hass, entry, 61)
    await _settled(hass, entry)
    assert _tank(sandbox) == [70]
    [subentry] = entry.subentries.values()
    hass.states.async_set("sensor.tank", "unavailable")
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "sending": {"heartbeat": _BLINK_MIN}}
    )
    hass.states.async_set("sensor.well", "5")
    await _minutes_pass(hass, entry, 3)
    assert len(numbers(sandbox, "home.well", "well")) >= 3
    assert _tank(sandbox) == [70]
    hass.states.async_set("sensor.tank", "70")
    await until(lambda: _tank(sandbox)[:2] == [70, 70])


async def test_without_a_heartbeat_nothing_is_sent_again(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(_mirror_that_sends(heartbeat=0))
    await until(lambda: _tank(sandbox) == [70])
    await _ring(hass, entry, 2 * 24 * _HOUR_S)
    await _settled(hass, entry)
    assert _tank(sandbox) == [70]
