"""What is older than the recorder's states is sent by the hour."""

import time

from homeassistant.core import HomeAssistant
import pytest

from sandbox import Sandbox
from tests.integration.conftest import ALICE, SetUp
from tests.integration.house import House, mirror, mirror_of

from .recording import (
    DAY_S,
    HOUR_S,
    backfill,
    finished,
    record,
    record_hours,
    stored,
)

_TANK = mirror(entity_id=["sensor.tank"])
_CELSIUS = {"unit_of_measurement": "°C"}

pytestmark = pytest.mark.usefixtures("recorder_mock")


@pytest.fixture
def hour() -> float:
    """Return when the present hour has begun."""
    return time.time() // HOUR_S * HOUR_S


async def test_measurement_is_sent_as_its_mean_at_the_half_of_the_hour(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, hour: float
) -> None:
    """Up to the first state, from where on the states are sent."""
    hours = {hour - HOUR_S * n: 20 + n / 10 for n in (4, 3, 2, 1)}
    await record_hours(hass, "sensor.tank", hours, unit="°C", unit_class="temperature")
    await record(hass, "sensor.tank", {hour - HOUR_S * 1.5: "5"}, _CELSIUS)
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, hour - HOUR_S * 3)
    [job] = await finished(entry)
    assert (job["sent"], job["from_statistics"]) == (2, 1)
    assert stored(sandbox, "home.tank", "tank", hour) == [
        (hour - HOUR_S * 2.5, 20.3),
        (hour - HOUR_S * 1.5, 5),
    ]


async def test_total_is_sent_as_it_was_at_the_end_of_the_hour(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, hour: float
) -> None:
    hours = {hour - HOUR_S * n: 100.0 - n for n in (3, 2)}
    await record_hours(
        hass, "sensor.tank", hours, unit="kWh", unit_class="energy", is_total=True
    )
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, hour - DAY_S)
    await backfill(hass, entry, hour - DAY_S)
    first, second = await finished(entry)
    assert (first["sent"], first["from_statistics"]) == (2, 2)
    assert (second["sent"], second["known"]) == (0, 2)
    assert stored(sandbox, "home.tank", "tank") == [
        (hour - HOUR_S * 2, 97),
        (hour - HOUR_S, 98),
    ]


@pytest.mark.parametrize(
    ("unit", "unit_class", "present", "value", "variable"),
    [
        ("°F", "temperature", "°C", 20, "tank"),
        ("°F", "temperature", "bananas", 68, "tank_f"),
        ("°F", None, "°C", 20, "tank"),
        ("apples", None, "bananas", 68, "tank_apples"),
        (None, None, None, 68, "tank"),
    ],
)
async def test_hours_are_sent_in_the_present_unit_if_they_can_be(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    hour: float,
    unit: str | None,
    unit_class: str | None,
    present: str | None,
    value: float,
    variable: str,
) -> None:
    """Else they go where their unit does."""
    house.entity("sensor.tank", "21", unit=present)
    await record_hours(
        hass, "sensor.tank", {hour - DAY_S: 68}, unit=unit, unit_class=unit_class
    )
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, hour - 2 * DAY_S)
    await finished(entry)
    [(at, number)] = stored(sandbox, "home.tank", variable, hour - HOUR_S)
    assert at == hour - DAY_S + HOUR_S / 2
    assert number == pytest.approx(value)


async def test_hour_of_which_the_server_has_anything_is_left_out(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, hour: float
) -> None:
    """It was sent state by state when the recorder still had it so."""
    await record(hass, "sensor.tank", {hour - HOUR_S * 2.2: "5"})
    entry = await set_up(_TANK, **ALICE)
    await backfill(hass, entry, hour - DAY_S)
    await finished(entry)
    await hass.services.async_call(
        "recorder",
        "purge_entities",
        {"entity_id": ["sensor.tank"], "keep_days": 0},
        blocking=True,
    )
    hours = {hour - HOUR_S * n: float(n) for n in (4, 3, 2)}
    await record_hours(hass, "sensor.tank", hours, unit=None, unit_class=None)
    await backfill(hass, entry, hour - DAY_S)
    _, job = await finished(entry)
    assert (job["sent"], job["known"]) == (2, 1)
    assert stored(sandbox, "home.tank", "tank", hour) == [
        (hour - HOUR_S * 3.5, 4),
        (hour - HOUR_S * 2.2, 5),
        (hour - HOUR_S * 1.5, 2),
    ]


async def test_months_are_filled_and_the_rhythm_of_the_mirror_holds(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, hour: float
) -> None:
    """One number a day of 24 hours, for three months."""
    start = (hour // DAY_S - 90) * DAY_S
    hours = {start + HOUR_S * n: float(n) for n in range(24 * 80)}
    await record_hours(hass, "sensor.tank", hours, unit=None, unit_class=None)
    seldom = mirror_of(
        {
            "target": {"entity_id": ["sensor.tank"]},
            "sending": {"when": "limited", "interval": DAY_S},
        }
    )
    entry = await set_up(seldom, **ALICE)
    await backfill(hass, entry, start)
    [job] = await finished(entry)
    assert (job["state"], job["sent"]) == ("done", 80)
    sent = stored(sandbox, "home.tank", "tank")
    assert sent[0] == (start + HOUR_S * 23.5, 23)
    assert sent[-1] == (start + DAY_S * 80 - HOUR_S / 2, 24 * 80 - 1)


async def test_dense_history_of_the_server_is_asked_for_day_by_day(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, hour: float
) -> None:
    """And nothing of it is stored twice."""
    start = (hour // DAY_S - 60) * DAY_S
    hours = {start + HOUR_S * n: float(n) for n in range(24 * 50)}
    await record_hours(hass, "sensor.tank", hours, unit=None, unit_class=None)
    entry = await set_up(_TANK, **ALICE)
    for _ in range(2):
        await backfill(hass, entry, start)
        await finished(entry)
    assert len(stored(sandbox, "home.tank", "tank")) == 24 * 50
