"""What mirrors deliver over a broker ends at the server, whatever happens on the way."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.const import DOMAIN, OVER_HTTP
from custom_components.sensorvision.delivering import open_outboxes, outbox_path
from custom_components.sensorvision.figures import refused_readings
from custom_components.sensorvision.routes import Route
from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from sandbox import Sandbox, Settings

from .brokers import (
    BROKER_ID,
    BROKER_LOGIN,
    BROKER_PASSWORD,
    MIRROR_ID,
    TANK_TOKEN,
    Line,
    Mosquitto,
    add_tank,
    broker,
    choice_over,
    mirror_over,
    password_listener,
    settings_of,
)
from .conftest import ALICE, SETTINGS, SetUp, connection
from .house import House, begun, numbers, until
from .test_problems import shown_issues

_TANK = mirror_over(entity_id=["sensor.tank"])

# MQTT 3.1.1, section 3.4.
_PUBACK_BYTES = 4


@pytest.fixture
def checks_tokens() -> bool:
    """Tell whether the server checks the tokens of messages."""
    return True


@pytest.fixture
def settings(mosquitto: Mosquitto, checks_tokens: bool) -> Settings:
    """Return how a server is made that listens to the broker."""
    return replace(SETTINGS, broker=mosquitto.url, mqtt_auth=checks_tokens)


@pytest.fixture
async def line(mosquitto: Mosquitto) -> AsyncGenerator[Line]:
    """Lead to the broker on a line that can be cut, so that the server stays there."""
    line = Line(mosquitto.port)
    await line.mend()
    yield line
    await line.cut()


def _show(hass: HomeAssistant, value: float) -> tuple[float, float]:
    hass.states.async_set("sensor.tank", str(value))
    state = hass.states.get("sensor.tank")
    assert state
    return round(state.last_updated_timestamp, 3), value


def _tank(sandbox: Sandbox) -> list[tuple[float, float]]:
    """Return times and values that the server has, in the order of storing."""
    return [
        (round(row.timestamp.timestamp(), 3), float(row.value))
        for row in sandbox.store.values("home.tank", "tank")
    ]


def _route(entry: SensorVisionConfigEntry) -> Route:
    return entry.runtime_data.ways.brokers.routes[BROKER_ID]


async def _cut(line: Line, entry: SensorVisionConfigEntry) -> None:
    """Cut the line as soon as nothing is under way."""
    route = _route(entry)
    await until(lambda: route.status.is_connected and not route.outbox)
    await line.cut()
    await until(lambda: route.status.is_connected is False)


async def test_every_reading_arrives_with_its_own_time_and_leaves_on_the_brokers_word(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """The account has made the device and has been given its token."""
    _show(hass, 0)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: len(_tank(sandbox)) == 1)
    shown = [_show(hass, value) for value in range(1, 6)]
    await until(lambda: _tank(sandbox)[1:] == shown)
    await until(lambda: not _route(entry).outbox)
    assert _route(entry).figures.delivered == 6
    assert entry.runtime_data.figures.delivered == 0


@pytest.mark.parametrize("checks_tokens", [False])
async def test_server_that_checks_no_tokens_gets_none(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
) -> None:
    """Any credential will do then, and devices are made by their readings."""
    _show(hass, 70)
    unchecked = broker(mosquitto.port, checks_tokens=False)
    entry = await set_up(unchecked, _TANK)
    await until(lambda: len(_tank(sandbox)) == 1)
    assert not entry.runtime_data.tokens.secrets()


async def test_nothing_is_lost_while_the_broker_is_away(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """What waited arrives in its order, and the server is not taken for away."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await _cut(line, entry)
    shown = [_show(hass, value) for value in range(1, 6)]
    assert entry.runtime_data.status.is_connected
    await line.mend()
    await until(lambda: _tank(sandbox)[1:] == shown)
    assert _route(entry).status.is_connected
    assert _route(entry).figures.dropped == 0


async def test_what_waits_for_the_broker_outlives_a_restart(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """In a file of its own, with its own times."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await _cut(line, entry)
    shown = [_show(hass, value) for value in range(1, 4)]
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert outbox_path(hass, entry.entry_id, BROKER_ID).exists()
    await line.mend()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: set(shown) <= set(_tank(sandbox)))
    assert _tank(sandbox)[-1][1] == 3


@pytest.mark.parametrize("credential", [ALICE, {}], ids=["account", "token"])
async def test_removed_broker_leaves_what_waits_to_http(
    hass: HomeAssistant,
    sandbox: Sandbox,
    line: Line,
    set_up: SetUp,
    credential: dict[str, str],
) -> None:
    """And its mirror, of which a person is told, goes on over HTTP.

    A device token knows only what is true now, so only the newest is left then.
    """
    _show(hass, 0)
    add_tank(sandbox)
    entry = await set_up(broker(line.port), _TANK, **credential)
    await entry.runtime_data.tokens.keep("home.tank", TANK_TOKEN)
    await _cut(line, entry)
    shown = [_show(hass, value) for value in range(1, 4)]
    await hass.async_block_till_done()
    hass.config_entries.async_remove_subentry(entry, BROKER_ID)
    await until(lambda: 3 in [value for _, value in _tank(sandbox)])
    if credential:
        assert set(shown) <= set(_tank(sandbox))
    await hass.async_block_till_done()
    assert not outbox_path(hass, entry.entry_id, BROKER_ID).exists()
    assert not entry.runtime_data.ways.brokers.routes
    assert shown_issues(hass) == [
        ("broker_missing", {"entry": "127.0.0.1", "mirror": "All"})
    ]
    last = _show(hass, 4)
    await until(lambda: 4 in [value for _, value in _tank(sandbox)])
    assert last[1] == _tank(sandbox)[-1][1]
    _deliver_over(hass, entry, OVER_HTTP)
    await until(lambda: not shown_issues(hass))


async def test_what_a_removed_broker_leaves_stays_while_nothing_can_be_written(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """It is delivered after the next start that can write."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await _cut(line, entry)
    shown = [_show(hass, value) for value in range(1, 4)]
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_remove_subentry(entry, BROKER_ID)
    own = outbox_path(hass, entry.entry_id)
    await hass.async_add_executor_job(own.unlink)
    await hass.async_add_executor_job(own.mkdir)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert outbox_path(hass, entry.entry_id, BROKER_ID).exists()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(own.rmdir)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: set(shown) <= set(_tank(sandbox)))
    assert not outbox_path(hass, entry.entry_id, BROKER_ID).exists()


async def test_setup_that_is_cancelled_lets_go_of_all_files(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto
) -> None:
    """Or nobody could open them again."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="127.0.0.1",
        data=connection(sandbox.url),
        subentries_data=[broker(mosquitto.port)],
    )
    entry.add_to_hass(hass)
    task = asyncio.ensure_future(hass.config_entries.async_setup(entry.entry_id))
    path = outbox_path(hass, entry.entry_id, BROKER_ID)
    await begun(path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outboxes = await open_outboxes(hass, entry)
    for outbox in (outboxes.own, *outboxes.of_brokers.values()):
        outbox.append([Reading("home.tank", "tank", 70, time=0)])
        await outbox.commit()
        assert outbox.problem is None
    await outboxes.close()


async def test_mirror_that_changes_its_way_leaves_nothing_behind(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """What waits for the old way leaves by it, and the new one begins with what is now."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await _cut(line, entry)
    waiting = [_show(hass, value) for value in range(1, 4)]
    _deliver_over(hass, entry, OVER_HTTP)
    await until(lambda: [value for _, value in _tank(sandbox)] == [0, 3])
    over_http = _show(hass, 4)
    await until(lambda: over_http in _tank(sandbox))
    assert len(_route(entry).outbox) == 3
    await line.mend()
    await until(lambda: set(waiting) <= set(_tank(sandbox)))
    await until(lambda: not _route(entry).outbox)
    _deliver_over(hass, entry, BROKER_ID)
    before = _route(entry).figures.delivered
    over_broker = _show(hass, 5)
    await until(lambda: over_broker in _tank(sandbox))
    await until(lambda: _route(entry).figures.delivered > before)


def _deliver_over(
    hass: HomeAssistant, entry: SensorVisionConfigEntry, way: str
) -> None:
    hass.config_entries.async_update_subentry(
        entry,
        entry.subentries[MIRROR_ID],
        data=choice_over(way, entity_id=["sensor.tank"]),
    )


async def test_names_and_units_are_told_of_what_is_delivered_over_a_broker(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    house: House,
) -> None:
    """By HTTP, as soon as the server has it."""
    cellar = house.device("Cellar", model="T-1000")
    house.entity(
        "sensor.cellar", "12", device=cellar, original_name="Warmth", unit="°C"
    )
    await set_up(
        broker(mosquitto.port), mirror_over(entity_id=["sensor.cellar"]), **ALICE
    )
    await until(lambda: numbers(sandbox, "home.cellar", "warmth") == [12])
    store = sandbox.store
    await until(lambda: store.rows("SELECT unit FROM variables")[0]["unit"] == "°C")
    device = store.device("home.cellar")
    assert device
    assert (device.name, device.sensor_type) == ("Cellar", "T-1000")


@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
async def test_broker_that_refuses_the_login_is_told_of_until_it_takes_it(
    hass: HomeAssistant,
    sandbox: Sandbox,
    tmp_path: Path,
    set_up: SetUp,
    is_right: bool,
) -> None:
    """Its readings wait, and the server's own credential is not asked for anew."""
    _show(hass, 70)
    listener = password_listener(tmp_path)
    async with Mosquitto(tmp_path, listener) as strict:
        given = BROKER_PASSWORD if is_right else "something else"
        entry = await set_up(
            broker(strict.port, **BROKER_LOGIN | {CONF_PASSWORD: given}),
            _TANK,
            **ALICE,
        )
        if not is_right:
            await until(lambda: shown_issues(hass))
            assert shown_issues(hass) == [
                ("broker_refused", {"entry": "127.0.0.1", "broker": "Mosquitto"})
            ]
            assert len(_route(entry).outbox) == 1
            assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)
            hass.config_entries.async_update_subentry(
                entry,
                entry.subentries[BROKER_ID],
                data=settings_of(strict.port, **BROKER_LOGIN),
            )
        await until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and _route(entry).status.delivered
            )
        )
        assert not shown_issues(hass)
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_reading_that_cannot_be_published_is_told_of_and_holds_nobody_up(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """No topic can be made of such a device id; Home Assistant gives none like it."""
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    route = _route(entry)
    route.accept([Reading("home/tank", "tank", 1, time=0)])
    _show(hass, 70)
    await until(lambda: len(_tank(sandbox)) == 1)
    [(key, shown)] = shown_issues(hass)
    assert (key, shown["entry"]) == ("reading_refused", "127.0.0.1 (Mosquitto)")
    assert route.figures.refused == 1
    [refused] = await refused_readings(entry.runtime_data.ways.outboxes)
    assert refused["device"] == "home/tank"


async def test_switch_and_flush_act_on_brokers_too(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """What is switched off is neither captured nor connected."""
    _show(hass, 0)
    entry = await set_up(broker(mosquitto.port), _TANK, **ALICE)
    await until(lambda: len(_tank(sandbox)) == 1)
    runtime = entry.runtime_data
    runtime.switch_off()
    await until(lambda: _route(entry).status.is_connected is None)
    _show(hass, 1)
    runtime.switch_on()
    await until(lambda: _tank(sandbox)[-1][1] == 1)
    runtime.flush()
    _show(hass, 2)
    await until(lambda: _tank(sandbox)[-1][1] == 2)


async def test_what_comes_to_its_end_while_switched_off_vouches_for_nobody(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """Of those messages on their way that were acknowledged it still says so."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await until(lambda: _route(entry).figures.delivered == 1)
    line.answers_left = 3 * _PUBACK_BYTES
    for value in range(1, 11):
        _show(hass, value)
    await until(lambda: len(_tank(sandbox)) == 11 and not line.answers_left)
    await asyncio.sleep(0.1)
    entry.runtime_data.switch_off()
    await until(lambda: _route(entry).figures.delivered == 4)
    await until(lambda: _route(entry).status.is_connected is None)


async def test_entry_that_is_removed_takes_its_brokers_along(
    hass: HomeAssistant, sandbox: Sandbox, line: Line, set_up: SetUp
) -> None:
    """Their files, and the tokens."""
    _show(hass, 0)
    entry = await set_up(broker(line.port), _TANK, **ALICE)
    await _cut(line, entry)
    _show(hass, 1)
    await hass.async_block_till_done()
    folder = outbox_path(hass, entry.entry_id).parent
    assert len(list(folder.glob(f"sensorvision.{entry.entry_id}*"))) > 2
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not list(folder.glob(f"sensorvision.{entry.entry_id}*"))
