"""What a reading costs on its way to the server keeps to its budget."""

from collections.abc import AsyncIterator
from dataclasses import replace
import logging
import math

from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant
import pytest

from benchmarks.relay import Relay, relay_to
import custom_components.sensorvision
from custom_components.sensorvision.client import bulk
from custom_components.sensorvision.client.http import RetryPolicy
from sandbox import Sandbox
from tests.budgets import hold
from tests.counting import (
    Statements,
    blocks_of_integration,
    follow_outboxes,
    tracing,
)

from .conftest import ALICE, SetUp
from .house import House, mirror, numbers, until
from .storm import DEVICES, SENSORS, Storm, registered, times_stored

# Each request tells versions, which may become longer. And now and then somebody looks
# whether there is something to do, oftener the longer all takes.
_AIR = {"bytes_up_per_1000": 0.01, "calls_per_1000": 0.01}


@pytest.fixture(autouse=True)
def _patient(_our_integration: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server that was away be asked again only when the test says so."""
    never = RetryPolicy(first_delay_s=1e9, max_delay_s=1e9)
    pace = replace(custom_components.sensorvision.PACE, backoff=never)
    monkeypatch.setattr(custom_components.sensorvision, "PACE", pace)


@pytest.fixture(autouse=True)
def _taciturn(caplog: pytest.LogCaptureFixture) -> None:
    """Log little, also where tests are told to be verbose: what is logged is held, too."""
    caplog.set_level(logging.WARNING)


@pytest.fixture
def storm(hass: HomeAssistant, house: House) -> Storm:
    """Return a house in which everything changes at once."""
    return Storm(hass, house)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Count what SQLite does to outboxes."""
    return follow_outboxes(monkeypatch)


@pytest.fixture
async def relay(sandbox: Sandbox) -> AsyncIterator[Relay]:
    """Count what goes to the server and comes from it."""
    async with relay_to(int(sandbox.url.rpartition(":")[2])) as relay:
        yield relay


async def test_account_delivers_within_its_budget(
    sandbox: Sandbox,
    storm: Storm,
    relay: Relay,
    statements: Statements,
    set_up: SetUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes and goes between two commits costs the disk nothing but their marks."""
    # However slow this machine is, requests grow.
    monkeypatch.setattr(bulk, "_SWIFT_S", math.inf)
    monkeypatch.setattr(bulk, "_SLOW_S", math.inf)
    url = {CONF_URL: f"http://127.0.0.1:{relay.port}"}
    entry = await set_up(mirror(entity_id=storm.entity_ids), **ALICE, **url)
    await storm.settle(entry)
    await registered(entry)
    commits, rows = statements.commits, statements.rows
    costs = await storm.delivered(entry, relay)
    assert times_stored(sandbox, costs.changes) == {1: storm.changes}
    counts = {
        "requests_per_1000": costs.requests,
        "bytes_up_per_1000": costs.bytes_up,
        "calls_per_1000": costs.calls,
        "commits": statements.commits - commits,
        "rows_written": statements.rows - rows,
    }
    hold("home_assistant", "account", counts, _AIR)


async def test_what_waits_for_an_account_keeps_to_its_budget(
    hass: HomeAssistant,
    sandbox: Sandbox,
    storm: Storm,
    statements: Statements,
    set_up: SetUp,
) -> None:
    """All that comes between two commits, at the default interval, is written by one."""
    entry = await set_up(mirror(entity_id=storm.entity_ids), **ALICE)
    await storm.settle(entry)
    await registered(entry)
    runtime = entry.runtime_data
    hass.config_entries.async_update_entry(entry, options={})
    await until(lambda: runtime.outbox.limits.commit_interval_s == 1)
    sandbox.faults.set("http_503")
    first, second = storm.gather(), storm.gather()
    storm.rage(first)
    await until(lambda: runtime.status.is_connected is False)
    await runtime.outbox.commit()

    commits, rows = statements.commits, statements.rows
    # Home Assistant and the server go on meanwhile, so only what is ours counts.
    with tracing():
        storm.rage(second)
        await until(lambda: len(runtime.outbox) == 2 * storm.changes)
        in_memory = blocks_of_integration()
        await until(lambda: statements.commits > commits)
        # Returns when all that has begun is through.
        await runtime.outbox.commit()
        on_disk = blocks_of_integration()
    counts = {
        "commits": statements.commits - commits,
        "rows_written_per_1000": (statements.rows - rows) * 1000 / storm.changes,
        "blocks_in_memory": round(in_memory / storm.changes),
        "blocks_on_disk": round(on_disk / storm.changes),
    }
    sandbox.faults.clear()
    runtime.flush()
    await until(lambda: not runtime.outbox)
    assert times_stored(sandbox, first + second) == {1: 2 * storm.changes}
    hold("home_assistant", "account_with_the_server_away", counts)


@pytest.mark.parametrize("credential", [ALICE, {}], ids=["account", "token"])
async def test_nothing_is_held_of_what_was_delivered(
    storm: Storm, set_up: SetUp, credential: dict[str, str]
) -> None:
    """Of what the integration has allocated: the server is in this process, too."""
    entry = await set_up(mirror(entity_id=storm.entity_ids), **credential)
    await storm.settle(entry)
    await registered(entry)
    with tracing():
        held = []
        for _ in range(2):
            await storm.rage_to_the_end(entry, storm.gather())
            held.append(blocks_of_integration())
    blocks = max(0, round((held[1] - held[0]) / storm.changes))
    hold("home_assistant", "delivered", {"blocks": blocks})


async def test_token_delivers_within_its_budget(
    sandbox: Sandbox,
    storm: Storm,
    relay: Relay,
    set_up: SetUp,
) -> None:
    """One request for each device and window: what was overtaken in it is left out."""
    url = {CONF_URL: f"http://127.0.0.1:{relay.port}"}
    entry = await set_up(mirror(entity_id=storm.entity_ids), **url)
    await storm.settle(entry)
    superseded = entry.runtime_data.outbox.superseded
    costs = await storm.delivered(entry, relay)
    assert relay.requests == DEVICES
    assert entry.runtime_data.outbox.superseded - superseded == storm.changes - SENSORS
    for _, _, (device_id, variable, value, _) in costs.changes[-SENSORS:]:
        assert numbers(sandbox, device_id, variable)[-1] == value
    counts = {
        "requests_per_1000": costs.requests,
        "bytes_up_per_1000": costs.bytes_up,
        "calls_per_1000": costs.calls,
    }
    hold("home_assistant", "token", counts, _AIR)
