"""What Home Assistant sees of the way to the server."""

from dataclasses import replace
import json
import logging

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest

from custom_components import sensorvision
from custom_components.sensorvision.mapping import SkipReason
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, numbers, until

_INGEST = "/api/v1/ingest/"


def _posts(sandbox: Sandbox, device_id: str) -> list[dict[str, float]]:
    """Return the bodies that were posted for a device, without the probes."""
    return [
        body
        for request in sandbox.requests
        if request.path == f"{_INGEST}{device_id}"
        and (body := json.loads(request.body))
    ]


async def test_changes_of_one_window_are_one_request_per_device(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """At the start and later; a number that was overtaken in the window is left out."""
    meter = house.device("Meter")
    for name in ("Power", "Energy", "Price"):
        house.entity(f"sensor.{name.lower()}", "1", device=meter, original_name=name)
    house.entity("sensor.tank", "70")
    chosen = ["sensor.power", "sensor.energy", "sensor.price", "sensor.tank"]
    entry = await set_up(mirror(entity_id=chosen))
    await until(lambda: _posts(sandbox, "home.meter") and _posts(sandbox, "home.tank"))
    await until(lambda: not entry.runtime_data.outbox)

    hass.states.async_set("sensor.power", "2")
    hass.states.async_set("sensor.energy", "3")
    hass.states.async_set("sensor.power", "4")
    await until(lambda: len(_posts(sandbox, "home.meter")) == 2)
    assert _posts(sandbox, "home.meter") == [
        {"energy": 1, "power": 1, "price": 1},
        {"power": 4, "energy": 3},
    ]
    assert _posts(sandbox, "home.tank") == [{"tank": 70}]
    assert entry.runtime_data.outbox.superseded == 1


async def test_only_what_changes_the_state_is_sent(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A new attribute is no reading; the same number measured anew is one."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: not entry.runtime_data.outbox)
    hass.states.async_set("sensor.tank", "70", {"battery": 50})
    hass.states.async_set("sensor.tank", "70", {"battery": 49})
    await hass.async_block_till_done()
    assert not entry.runtime_data.outbox
    hass.states.async_set("sensor.tank", "70", force_update=True)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 70])


async def test_present_states_are_sent_once_at_the_start(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Neither the end of the start nor news in a registry repeats them."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    hass.bus.async_fire("homeassistant_started")
    house.entity("sensor.well", "5")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])
    await until(lambda: entry.runtime_data.status.delivered == 2)


async def test_states_without_a_number_are_skipped_and_counted(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """They never become 0, and they hold up nothing."""
    for name, state in (
        ("gone", "unavailable"),
        ("late", "unknown"),
        ("text", "sunny"),
        ("huge", "1e15"),
        ("nan", "nan"),
        ("good", "1"),
    ):
        house.entity(f"sensor.{name}", state)
    entry = await set_up(
        mirror(
            entity_id=[
                f"sensor.{name}"
                for name in ("gone", "late", "text", "huge", "nan", "good", "absent")
            ]
        )
    )
    await until(lambda: numbers(sandbox, "home.good", "good") == [1])
    hass.states.async_set("sensor.good", STATE_UNKNOWN)
    hass.states.async_set("sensor.late", "7")
    await until(lambda: numbers(sandbox, "home.late", "late") == [7])
    [followed] = entry.runtime_data.mirrors.values()
    assert followed.skipped == {
        SkipReason.UNAVAILABLE: 1,
        SkipReason.UNKNOWN: 2,
        SkipReason.TEXT: 1,
        SkipReason.OUT_OF_RANGE: 2,
    }
    homes = [d.external_id for d in sandbox.store.devices() if "home" in d.external_id]
    assert homes == ["home.good", "home.late"]


class _Odd:
    """What some integration may say for a unit, as an array of several numbers does."""

    def __bool__(self) -> bool:
        """Refuse to be taken for either."""
        raise ValueError("ambiguous")


async def test_state_that_cannot_be_captured_keeps_no_other_out(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    house.entity("sensor.odd", "unknown")
    house.entity("sensor.good", "1")
    await set_up(mirror(entity_id=["sensor.odd", "sensor.good"]))
    await until(lambda: numbers(sandbox, "home.good", "good") == [1])
    hass.states.async_set("sensor.odd", "7", {"unit_of_measurement": _Odd()})
    hass.states.async_set("sensor.good", "2")
    await until(lambda: numbers(sandbox, "home.good", "good") == [1, 2])
    assert "The state of sensor.odd can't be captured" in caplog.text


async def test_server_that_is_away_at_the_start_gets_everything_later(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The entry is set up all the same, and the log says it once each way."""
    caplog.set_level(logging.INFO)
    sandbox.faults.set("reset")
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    assert entry.state is ConfigEntryState.LOADED
    await until(lambda: entry.runtime_data.status.is_connected is False)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: entry.runtime_data.outbox.superseded == 1)
    before = len(sandbox.requests)
    await until(lambda: len(sandbox.requests) > before + 3)
    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [71])
    await until(lambda: numbers(sandbox, "home.well", "well") == [5])
    said = [
        (record.levelname, said)
        for record in caplog.records
        for said in ("is away", "is back")
        if said in record.getMessage()
    ]
    assert said == [("INFO", "is away"), ("INFO", "is back")]


@pytest.mark.parametrize(
    "fault", ["http_503", "http_500", "html_200", "http_301", "reset"]
)
async def test_readings_wait_while_the_server_is_away(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, fault: str
) -> None:
    """The newest of each variable goes out when it is back, in whatever way it went."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    sandbox.faults.set(fault)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: entry.runtime_data.status.is_connected is False)
    hass.states.async_set("sensor.tank", "72")
    sandbox.faults.clear()
    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [72])
    await until(lambda: not entry.runtime_data.outbox)


async def test_waiting_readings_outlast_a_new_credential(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that were on their way, too: the server never answered for them."""
    slow = replace(sensorvision.PACE, window_s=0)
    monkeypatch.setattr(sensorvision, "PACE", slow)
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: not entry.runtime_data.outbox)
    sandbox.faults.set("slow_commit", seconds=30, path=f"{_INGEST}home.tank")
    sent = len(sandbox.requests)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: len(sandbox.requests) > sent)

    device = sandbox.store.device("dev-a")
    assert device
    token = "33333333-3333-4333-8333-333333333333"
    sandbox.store.update_device(device, api_token=token)
    sandbox.faults.clear()
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_API_KEY: token}
    )
    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [71])
    assert entry.runtime_data.outbox.superseded == 0
    await until(lambda: entry.runtime_data.status.delivered == 2)
