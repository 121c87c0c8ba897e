"""What was true before is sent on demand, once, and behind what is true now."""

from datetime import UTC, datetime, timedelta
import time
from typing import Any

from homeassistant.components.recorder import Recorder
from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.sensorvision.backfill_job import jobs_store
from custom_components.sensorvision.client.credentials import USER_KEY
from custom_components.sensorvision.const import (
    CONF_CREDENTIAL,
    CONF_TARGET,
)
from sandbox import Sandbox
from tests.integration.conftest import ALICE, ALICE_KEY, SetUp
from tests.integration.house import House, add_mirror, mirror, mirror_of, until

from .recording import (
    DAY_S,
    HOUR_S,
    act,
    backfill,
    finished,
    jobs,
    record,
    stored,
)

_TANK = mirror("Tanks", entity_id=["sensor.tank"])
_KEY = {CONF_API_KEY: ALICE_KEY, CONF_CREDENTIAL: USER_KEY}

pytestmark = pytest.mark.usefixtures("recorder_mock")


@pytest.fixture
def now() -> float:
    """Return a time, without fractions that no file would keep."""
    return float(int(time.time()))


async def test_period_is_sent_with_its_times(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """Over the days, oldest first, and without what there is no number for."""
    past = {
        now - 3 * DAY_S: "1",
        now - 2 * DAY_S: "2",
        now - DAY_S: "unavailable",
        now - HOUR_S: "unknown",
        now - 1800.25: "3.5",
    }
    await record(hass, "sensor.tank", past)
    entry = await set_up(_TANK, **ALICE)
    [job] = await backfill(hass, entry, now - 2.5 * DAY_S)
    assert (job["mirror"], job["state"]) == ("Tanks", "waiting")
    [job] = await finished(entry)
    assert (job["state"], job["problem"], job["percent"]) == ("done", None, 100)
    assert (job["entities"], job["entities_done"]) == (1, 1)
    assert (job["sent"], job["known"], job["from_statistics"]) == (2, 0, 0)
    assert stored(sandbox, "home.tank", "tank") == [
        (now - 2 * DAY_S, 2),
        (now - 1800.25, 3.5),
    ]


async def test_present_reading_comes_last(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """The server takes a device for silent since its last reading."""
    await record(hass, "sensor.tank", {now - DAY_S: "1", now - HOUR_S: "2"})
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, now - 2 * DAY_S)
    await finished(entry)
    await until(lambda: len(sandbox.store.values("home.tank", "tank")) == 4)
    last = sandbox.store.values("home.tank", "tank")[-1]
    assert (float(last.value), last.timestamp.timestamp() >= now) == (2, True)


async def test_attributes_that_are_chosen_are_sent_too(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """Each when it has changed, and the state when that has."""
    for at, state, brightness in (
        (now - 3 * HOUR_S, "on", 51),
        (now - 2 * HOUR_S, "on", 255),
        (now - HOUR_S, "off", None),
    ):
        await record(hass, "light.lamp", {at: state}, {"brightness": brightness})
    lamp = mirror_of(
        {
            CONF_TARGET: {"entity_id": ["light.lamp"]},
            "values": {"attributes": ["light-brightness"]},
        }
    )
    entry = await set_up(lamp, **ALICE)
    await backfill(hass, entry, now - DAY_S)
    await finished(entry)
    assert stored(sandbox, "home.lamp", "lamp") == [
        (now - 3 * HOUR_S, 1),
        (now - HOUR_S, 0),
    ]
    assert stored(sandbox, "home.lamp", "lamp_brightness") == [
        (now - 3 * HOUR_S, 51),
        (now - 2 * HOUR_S, 255),
    ]


@pytest.mark.parametrize("when", ["limited", "snapshot"])
async def test_rhythm_of_the_mirror_holds(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, when: str
) -> None:
    """No more than the newest of each interval is sent."""
    quarter_s = 15 * 60
    start = time.time() // HOUR_S * HOUR_S - 2 * HOUR_S
    past = {start + 60 * minute: str(minute) for minute in range(1, 30, 2)}
    await record(hass, "sensor.tank", past)
    seldom = mirror_of(
        {
            CONF_TARGET: {"entity_id": ["sensor.tank"]},
            "sending": {"when": when, "interval": quarter_s},
        }
    )
    entry = await set_up(seldom, **ALICE)
    await backfill(hass, entry, start)
    [job] = await finished(entry)
    assert job["sent"] == 2
    assert stored(sandbox, "home.tank", "tank") == [
        (start + 60 * 13, 13),
        (start + 60 * 29, 29),
    ]


async def test_number_in_another_unit_than_now_goes_where_its_unit_does(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, now: float
) -> None:
    """And nobody is told that the unit has changed."""
    house.entity("sensor.tank", "20", unit="°C")
    fahrenheit = {"unit_of_measurement": "°F"}
    await record(hass, "sensor.tank", {now - HOUR_S: "68"}, fahrenheit)
    await record(hass, "sensor.tank", {now: "21"}, {"unit_of_measurement": "°C"})
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, now - DAY_S)
    await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == []
    assert stored(sandbox, "home.tank", "tank_f") == [(now - HOUR_S, 68)]


async def test_what_is_filled_twice_is_stored_once_with_an_account(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """The server is asked, however the times lie in its microseconds."""
    past = {now - DAY_S + 0.1 * n: str(n) for n in range(250)}
    await record(hass, "sensor.tank", past)
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, now - 2 * DAY_S)
    await finished(entry)
    before = stored(sandbox, "home.tank", "tank")
    assert len(before) == 250
    await backfill(hass, entry, now - 3 * DAY_S, end=_iso(now - HOUR_S))
    first, second = await finished(entry)
    assert (first["sent"], first["known"]) == (250, 0)
    assert (second["sent"], second["known"]) == (0, 250)
    assert stored(sandbox, "home.tank", "tank") == before


async def test_user_key_can_fill_but_stores_twice(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """The server shows it nothing."""
    await record(hass, "sensor.tank", {now - HOUR_S: "1"})
    entry = await set_up(_TANK, **_KEY)
    for _ in range(2):
        await backfill(hass, entry, now - DAY_S)
        await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == [(now - HOUR_S, 1)] * 2


async def test_one_mirror_is_filled_by_its_name(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    await record(hass, "sensor.tank", {now - HOUR_S: "1"})
    await record(hass, "sensor.well", {now - HOUR_S: "2"})
    wells = mirror("Wells", entity_id=["sensor.well"])
    entry = await set_up(_TANK, wells, **ALICE)
    [job] = await backfill(hass, entry, now - DAY_S, mirror="Wells")
    assert job["mirror"] == "Wells"
    await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == []
    assert stored(sandbox, "home.well", "well") == [(now - HOUR_S, 2)]
    tanks, _ = await backfill(hass, entry, now - DAY_S)
    assert tanks["mirror"] == "Tanks"
    await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == [(now - HOUR_S, 1)]


@pytest.mark.parametrize(
    ("start", "end", "key"),
    [
        (timedelta(hours=1), None, "period_to_come"),
        (timedelta(hours=-2), timedelta(hours=1), "period_to_come"),
        (timedelta(hours=-1), timedelta(hours=-2), "period_empty"),
        (timedelta(hours=-1), timedelta(hours=-1), "period_empty"),
    ],
)
async def test_bad_period_is_refused(
    hass: HomeAssistant,
    set_up: SetUp,
    start: timedelta,
    end: timedelta | None,
    key: str,
) -> None:
    entry = await set_up(_TANK, **ALICE)
    now = dt_util.utcnow()
    data = {"start": (now + start).isoformat()}
    if end is not None:
        data["end"] = (now + end).isoformat()
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, entry, "backfill", data)
    assert refused.value.translation_key == key
    assert str(refused.value)
    assert jobs(entry) == []


@pytest.mark.parametrize(
    ("mirrors", "credential", "called", "key"),
    [
        ([_TANK], {}, {}, "history_not_possible"),
        ([], ALICE, {}, "nothing_to_fill"),
        ([_TANK], ALICE, {"mirror": "Wells"}, "no_such_mirror"),
    ],
)
async def test_what_cannot_be_filled_is_said(
    hass: HomeAssistant,
    set_up: SetUp,
    now: float,
    mirrors: list[Any],
    credential: dict[str, str],
    called: dict[str, str],
    key: str,
) -> None:
    """Such as that a device token knows only what is true now."""
    entry = await set_up(*mirrors, **credential)
    with pytest.raises(ServiceValidationError) as refused:
        await backfill(hass, entry, now - DAY_S, **called)
    assert refused.value.translation_key == key
    assert jobs(entry) == []


async def _stuck(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> MockConfigEntry:
    """Return an entry with a job that can't go on, because the server is away."""
    for entity_id in ("sensor.tank", "sensor.well"):
        past = {now - DAY_S + n: str(n) for n in range(900)}
        await record(hass, entity_id, past)
    entry = await set_up(
        mirror("Water", entity_id=["sensor.tank", "sensor.well"]), **ALICE
    )
    runtime = entry.runtime_data
    await until(lambda: runtime.status.is_connected and not runtime.outbox)
    await backfill(hass, entry, now - 2 * DAY_S, end=_iso(now - HOUR_S))
    sandbox.faults.set("http_503", path="/api/v1/data/bulk")
    await until(lambda: len(runtime.outbox) >= 500)
    await until(lambda: runtime.status.is_connected is False)
    return entry


def _counts(sandbox: Sandbox) -> tuple[int, int]:
    """Return how many times and how many values the server has of each variable."""
    rows = [
        (name, at)
        for name in ("tank", "well")
        for at, _ in stored(sandbox, f"home.{name}", name)
    ]
    return len(set(rows)), len(rows)


async def test_progress_is_shown(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """In percent, and in the status with what has become of each."""
    entry = await _stuck(hass, sandbox, set_up, now)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=1))
    await hass.async_block_till_done()
    assert 0 < int(_progress(hass)) < 50
    status = await act(hass, entry, "status")
    [job] = status["backfill"]
    assert (job["mirror"], job["state"]) == ("Water", "running")
    assert job["start"] == _iso(now - 2 * DAY_S)
    assert job["end"] == _iso(now - HOUR_S)
    assert (job["entities"], job["entities_done"]) == (2, 0)
    assert 0 < job["percent"] < 50
    sandbox.faults.clear()
    await finished(entry)
    assert entry.runtime_data.backfill.percent == 100
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=1))
    await hass.async_block_till_done()
    assert _progress(hass) == "100"


def _progress(hass: HomeAssistant) -> str:
    state = hass.states.get("sensor.sensorvision_backfill_progress")
    assert state
    return state.state


async def test_live_readings_do_not_wait_behind_the_past(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """No more of the past waits than a few requests take."""
    entry = await _stuck(hass, sandbox, set_up, now)
    assert len(entry.runtime_data.outbox) < 700
    hass.states.async_set("sensor.tank", "4711")
    await hass.async_block_till_done()
    sandbox.faults.clear()
    await until(lambda: _values_of(sandbox, 4711))
    assert _counts(sandbox)[1] < 1800
    await finished(entry)
    assert _counts(sandbox) == (1800, 1800)


def _values_of(sandbox: Sandbox, value: float) -> bool:
    rows = sandbox.store.values("home.tank", "tank")
    return any(float(row.value) == value for row in rows)


async def test_job_can_be_paused_and_resumed(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """Over a restart it stays paused, and what was sent is not sent again."""
    entry = await _stuck(hass, sandbox, set_up, now)
    await act(hass, entry, "pause_backfill")
    assert [job["state"] for job in jobs(entry)] == ["paused"]
    sandbox.faults.clear()
    await until(lambda: not entry.runtime_data.outbox)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert [job["state"] for job in jobs(entry)] == ["paused"]
    assert 500 <= _counts(sandbox)[1] < 1800
    await act(hass, entry, "resume_backfill")
    [job] = await finished(entry)
    assert job["state"] == "done"
    assert _counts(sandbox) == (1800, 1800)


@pytest.mark.parametrize("credential", [ALICE, _KEY], ids=["account", "user key"])
async def test_job_goes_on_after_a_restart(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    now: float,
    credential: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it was left, so that not even a user key stores anything twice."""
    monkeypatch.setitem(globals(), "ALICE", credential)
    entry = await _stuck(hass, sandbox, set_up, now)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: jobs(entry)[0]["state"] == "running")
    sandbox.faults.clear()
    [job] = await finished(entry)
    assert (job["state"], job["sent"]) == ("done", 1800)
    assert _counts(sandbox) == (1800, 1800)


async def test_job_goes_on_after_a_crash(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """It is kept only now and then, so what waits and what is stored is left out."""
    entry = await _stuck(hass, sandbox, set_up, now)
    assert await hass.config_entries.async_unload(entry.entry_id)
    store = jobs_store(hass, entry.entry_id)
    kept = await store.async_load()
    assert kept
    kept["jobs"][0] |= {"entity_id": "", "until": 0, "sent": 0}
    await store.async_save(kept)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: jobs(entry)[0]["known"])
    sandbox.faults.clear()
    [job] = await finished(entry)
    assert (job["state"], job["sent"] + job["known"]) == ("done", 1800)
    assert job["known"] >= 500
    assert _counts(sandbox) == (1800, 1800)


async def test_job_can_be_cancelled(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """What was to be sent already is sent."""
    entry = await _stuck(hass, sandbox, set_up, now)
    await act(hass, entry, "cancel_backfill")
    assert [job["state"] for job in jobs(entry)] == ["cancelled"]
    sandbox.faults.clear()
    await finished(entry)
    assert 500 <= _counts(sandbox)[1] < 1800
    percent = entry.runtime_data.backfill.percent
    assert percent is not None
    assert percent < 100


async def test_removed_mirror_cancels_its_jobs(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """Those of the others go on."""
    entry = await _stuck(hass, sandbox, set_up, now)
    [water] = entry.subentries
    await record(hass, "sensor.rain", {now - HOUR_S: "5"})
    add_mirror(hass, entry, mirror("Rain", entity_id=["sensor.rain"]))
    await hass.async_block_till_done()
    await backfill(hass, entry, now - DAY_S, mirror="Rain")
    assert hass.config_entries.async_remove_subentry(entry, water)
    await until(lambda: jobs(entry)[0]["state"] == "cancelled")
    assert jobs(entry)[0]["problem"] == "The mirror was removed"
    sandbox.faults.clear()
    assert (await finished(entry))[1]["state"] == "done"
    assert stored(sandbox, "home.rain", "rain") == [(now - HOUR_S, 5)]


async def test_jobs_rest_while_mirroring_is_switched_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    entry = await _stuck(hass, sandbox, set_up, now)
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    sandbox.faults.clear()
    assert [job["state"] for job in jobs(entry)] == ["waiting"]
    entry.runtime_data.switch_on()
    await hass.async_block_till_done()
    [job] = await finished(entry)
    assert job["state"] == "done"
    assert _counts(sandbox) == (1800, 1800)


async def test_failing_look_up_is_tried_again(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, now: float
) -> None:
    """And shown meanwhile; nothing is sent on the chance that the server lacks it."""
    await record(hass, "sensor.tank", {now - HOUR_S: "1"})
    entry = await set_up(_TANK, **ALICE)
    for _ in range(2):
        sandbox.faults.set("http_503", path="/api/v1/devices")
        await backfill(hass, entry, now - DAY_S)
        await until(lambda: "503" in str(jobs(entry)[-1]["problem"]))
        assert len(stored(sandbox, "home.tank", "tank")) <= 1
        sandbox.faults.clear()
        await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == [(now - HOUR_S, 1)]
    assert [job["problem"] for job in jobs(entry)] == [None, None]


async def test_error_is_shown_and_the_next_job_goes_on(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    recorder_mock: Recorder,
    now: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged once, and nothing ends silently."""
    await record(hass, "sensor.tank", {now - HOUR_S: "1"})
    doors = mirror("Doors", entity_id=["binary_sensor.door"])
    entry = await set_up(_TANK, doors, **ALICE)
    await recorder_mock.async_add_executor_job(_drop_statistics, recorder_mock)
    await backfill(hass, entry, now - DAY_S)
    first, second = await finished(entry)
    assert (first["mirror"], first["state"]) == ("Tanks", "failed")
    assert first["problem"] == "An unexpected OperationalError. See the log"
    assert (second["mirror"], second["state"]) == ("Doors", "done")
    assert caplog.text.count("What the recorder has can't be sent") == 1


def _drop_statistics(recorder: Recorder) -> None:
    """Damage the recorder's database."""
    with recorder.get_session() as session:
        session.connection().exec_driver_sql("DROP TABLE statistics_meta")
        session.commit()


async def test_only_the_last_finished_jobs_are_kept(
    hass: HomeAssistant, set_up: SetUp, now: float
) -> None:
    entry = await set_up(_TANK, **ALICE)
    for n in range(25):
        await backfill(hass, entry, now - DAY_S - n)
    await finished(entry)
    await until(lambda: len(jobs(entry)) == 20)
    assert jobs(entry)[-1]["start"] == _iso(now - DAY_S - 24)


async def test_job_waits_until_the_recorder_has_migrated(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    recorder_mock: Recorder,
    now: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.sensorvision.recorded._MIGRATION_S", 0.01)
    await record(hass, "sensor.tank", {now - HOUR_S: "1"})
    entry = await set_up(_TANK, **ALICE)
    recorder_mock.migration_in_progress = True
    await backfill(hass, entry, now - DAY_S)
    await hass.async_block_till_done()
    assert jobs(entry)[0]["state"] == "running"
    assert stored(sandbox, "home.tank", "tank") == []
    recorder_mock.migration_in_progress = False
    await finished(entry)
    assert stored(sandbox, "home.tank", "tank") == [(now - HOUR_S, 1)]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
