"""The guide's examples of history run, and what they return is explained."""

from datetime import UTC, datetime

from homeassistant.core import HomeAssistant
import pytest

from sandbox import Sandbox
from tests.integration.conftest import ALICE, SetUp
from tests.integration.house import mirror
from tests.integration.test_guide import _PROSE, _act, _example

from .recording import finished, jobs, record, record_hours, stored

pytestmark = pytest.mark.usefixtures("recorder_mock")


async def test_history_of_the_example_is_sent_and_what_it_returns_is_explained(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Of the month that it names."""
    within = datetime(2025, 12, 24, 12, tzinfo=UTC).timestamp()
    hours = {within: 20.0, within - 60 * 24 * 3600: 10.0}
    await record_hours(hass, "sensor.attic", hours, unit=None, unit_class=None)
    await record(hass, "sensor.attic", {within + 1e7: "30"})
    entry = await set_up(mirror("Climate", entity_id=["sensor.attic"]), **ALICE)
    response = await _act(hass, _example("sensorvision.backfill", entry))
    [job] = response["jobs"]
    assert len(job) > 7
    assert {name for name in job if f"`{name}`" not in _PROSE} == set()
    await finished(entry)
    assert stored(sandbox, "home.attic", "attic") == [(within + 1800, 20)]


async def test_history_is_paused_as_in_the_example(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Before any of it is sent."""
    entry = await set_up(mirror("Climate", entity_id=["sensor.attic"]), **ALICE)
    sandbox.faults.set("http_503")
    entry.runtime_data.backfill.add(entry.subentries, 0, 1e9)
    await _act(hass, _example("sensorvision.pause_backfill", entry))
    assert [job["state"] for job in jobs(entry)] == ["paused"]
