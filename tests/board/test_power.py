"""A board that sleeps, falls ill, blinks, and says how it is."""

import asyncio
from itertools import pairwise
import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from benchmarks.mosquitto import Mosquitto
from micropython.simulator import Clock, SimulatedBoard, bme280, wlan
from sandbox import Sandbox

from .conftest import TOKEN, WIFI, NewBoard, healthy_world, node_settings
from .jumping import jumping_board
from .test_node import eventually, temperatures

_HOUR_MS = 3_600_000
_HEALTH = {
    "uptime_s",
    "reset_cause",
    "last_error",
    "dropped",
    "superseded",
    "free_memory",
}


def _sleeper(
    directory: Path, url: str, clock: Clock, sleep: str = "deep", **changes: object
) -> SimulatedBoard:
    settings = node_settings(url, interval_s=600, wifi=WIFI, sleep=sleep, **changes)
    world = {
        "i2c": [bme280(log=directory / "log")],
        "wlan": wlan(),
        "rtc_memory": True,
    }
    return jumping_board(directory, settings, world, clock)


def _read_times_ms(directory: Path) -> list[int]:
    return [int(line.split()[1]) for line in (directory / "log").open()]


def _stored(sandbox: Sandbox, variable: str) -> list[float]:
    return [float(row.value) for row in sandbox.store.values("dev-a", variable)]


async def test_deep_sleeper_wakes_for_each_reading_and_delivers_it(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    board = _sleeper(tmp_path, sandbox.url, clock)
    async with board:
        await eventually(lambda: board.wakes >= 12)
    gaps_s = {
        round((after - before) / 1000)
        for before, after in pairwise(_read_times_ms(tmp_path))
    }
    assert gaps_s <= {600, 601, 602, 603}
    assert len(temperatures(sandbox)) >= 12
    assert board.resets == 0


async def test_deep_sleeper_leaves_a_dead_server_alone_for_longer_and_longer(
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path / "clock")
    board = _sleeper(tmp_path, "http://127.0.0.1:1", clock)
    async with board:
        await eventually(lambda: board.wakes >= 16, 60)
    tries = [line for line in board.lines if line.startswith("not delivered: ")]
    # After a failure it leaves out 1, then 3, then 6 readings, which is an hour.
    assert 3 <= len(tries) <= 4
    assert len(_read_times_ms(tmp_path)) >= 16


async def _publications(
    broker: Mosquitto, count: int, is_ready: asyncio.Event
) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("indcloud/devices/+/telemetry", qos=1)
        is_ready.set()
        async for message in client.messages:
            messages.append(json.loads(message.payload))
            if len(messages) == count:
                break
    return messages


async def test_deep_sleeper_keeps_readings_in_the_clocks_memory_until_some_are_sent(
    tmp_path: Path,
) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        is_ready = asyncio.Event()
        heard = asyncio.create_task(_publications(broker, 11, is_ready))
        await is_ready.wait()
        clock = Clock(tmp_path / "clock")
        store = {"every": 5, "every_s": 86400}
        board = _sleeper(tmp_path, broker.url, clock, store=store)
        async with board, asyncio.timeout(60):
            messages = await heard
    finally:
        await broker.kill()
    # The first at once, then five at a time, each with the time at which it was read.
    times = [message["timestamp"] for message in messages]
    assert times == sorted(set(times))
    assert {message["apiToken"] for message in messages} == {TOKEN}
    joined = [line for line in board.lines if line.startswith("wifi: ")]
    assert len(joined) == 3
    # So the readings between are not told twice, nor is any left out.
    sent = [line for line in board.lines if line.startswith("delivered ")]
    assert len(sent) - len(messages) in range(5)


@pytest.mark.parametrize("sleep", ["light", "deep"])
async def test_light_sleeper_keeps_its_memory_and_its_watchdog_fed(
    tmp_path: Path, sandbox: Sandbox, sleep: str
) -> None:
    clock = Clock(tmp_path / "clock")
    # A Pico's clock has no memory, so its deep sleep is a light one too.
    radio = wlan([1, 2, 3], port="cyw43")
    board = jumping_board(
        tmp_path,
        node_settings(
            sandbox.url, interval_s=600, wifi=WIFI, sleep=sleep, watchdog_s=2
        ),
        {"i2c": [bme280(log=tmp_path / "log")], "wlan": radio},
        clock,
    )
    async with board:
        await eventually(lambda: len(temperatures(sandbox)) >= 8)
    assert board.wakes == board.resets == 0
    # The radio is off while the board sleeps.
    assert len([line for line in board.lines if line.startswith("wifi: ")]) >= 8


async def test_health_is_told_after_the_first_reading_and_then_each_hour(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    settings = node_settings(sandbox.url, interval_s=600, health_s=3600)
    board = jumping_board(tmp_path, settings, healthy_world(), clock)
    async with board:
        await eventually(lambda: len(_stored(sandbox, "uptime_s")) >= 4)
    first = board.lines.index(await board.wait_for_line("delivered "))
    assert "uptime_s" not in board.lines[first]
    assert "uptime_s" in board.lines[first + 1]
    assert {row.variable for row in sandbox.store.values("dev-a")} >= _HEALTH
    uptimes_s = _stored(sandbox, "uptime_s")
    assert {round(after - before) for before, after in pairwise(uptimes_s)} <= {
        3600,
        3601,
    }
    assert set(_stored(sandbox, "reset_cause")) == {1}
    assert set(_stored(sandbox, "last_error")) == {0}
    assert min(_stored(sandbox, "free_memory")) > 20_000


@pytest.mark.parametrize("has_memory", [True, False])
async def test_crash_is_told_to_the_server_after_the_reset(
    new_board: NewBoard, sandbox: Sandbox, *, has_memory: bool
) -> None:
    world = {**healthy_world(), "rtc_memory": has_memory}
    settings = node_settings(sandbox.url, wifi=WIFI, health_s=3600)
    board = new_board(settings, {**world, "wlan": "no radio at all"})
    async with board:
        await board.wait_for_line("AttributeError: ")
        board.change_world(world)
        await eventually(lambda: _stored(sandbox, "last_error") == [6])
        # A sensor that comes back makes the next report, and by then all is well.
        for other in ({**world, "i2c": []}, world):
            seen = len(board.lines)
            board.change_world(other)
            await board.wait_for_line("sensor bme280: ", after=seen)
        await eventually(lambda: _stored(sandbox, "last_error")[-1] < 6)
    assert board.resets == 1
    assert _stored(sandbox, "reset_cause")[0] == 2


async def test_bite_of_the_watchdog_is_told_to_the_server(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    settings = node_settings(sandbox.url, watchdog_s=1, health_s=3600)
    stuck = {**bme280(), "blocks": True}
    async with new_board(settings, {**healthy_world(), "i2c": [stuck]}) as board:
        await eventually(lambda: board.resets == 1)
        board.change_world(healthy_world())
        await eventually(lambda: _stored(sandbox, "last_error") == [7])
    assert _stored(sandbox, "reset_cause") == [3]


async def test_sensor_that_fails_is_told_to_the_server_once(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sensors = [{"type": "bme280"}, {"type": "bme280", "name": "out", "address": 119}]
    settings = node_settings(sandbox.url, sensors=sensors, health_s=3600)
    async with new_board(settings):
        await eventually(lambda: len(temperatures(sandbox)) >= 4)
    assert _stored(sandbox, "last_error") == [1]


async def test_loop_that_is_stuck_is_ended_and_told(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    board = jumping_board(
        tmp_path,
        node_settings(sandbox.url, interval_s=60, health_s=3600),
        healthy_world(),
        clock,
    )
    # A driver that waits for ever, but lets the other loops run.
    driver = board.flash / "sensorvision" / "sensors" / "bme280.py"
    good = driver.read_text(encoding="utf-8")
    driver.write_text(
        "import asyncio\n"
        "class BME280:\n"
        "    OPTIONS = {}\n"
        "    def __init__(self, options): pass\n"
        "    async def read(self): await asyncio.sleep(10**6)\n",
        encoding="utf-8",
    )
    async with board:
        await board.wait_for_line("RuntimeError: read is stuck")
        driver.write_text(good, encoding="utf-8")
        await eventually(lambda: _stored(sandbox, "last_error") == [5])
    assert board.resets == 1


async def test_nothing_delivered_for_an_hour_resets_the_board(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    board = jumping_board(
        tmp_path,
        node_settings("http://127.0.0.1:1", interval_s=60),
        healthy_world(),
        clock,
    )
    async with board:
        await board.wait_for_line("RuntimeError: nothing delivered for an hour")
        await eventually(lambda: board.resets == 1)


async def test_light_is_on_at_the_start_and_counts_out_what_is_wrong(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    world = {**healthy_world(), "watched_pins": [2]}
    with_sensor = node_settings("http://127.0.0.1:1", led=2)
    async with new_board(with_sensor, world) as board:
        await eventually(lambda: len(board.pin_changes) >= 12)
    changes = board.pin_changes
    assert changes[0] == "2 1"
    assert set(changes) == {"2 0", "2 1"}
    async with new_board(node_settings(sandbox.url, led=2), world) as board:
        await eventually(lambda: len(temperatures(sandbox)) >= 3)
        seen = len(board.pin_changes)
    # On and off for each delivery, and no more than that.
    assert seen <= 2 * len(temperatures(sandbox)) + 2


_SELF_TEST = "from sensorvision.selftest import run\nrun()\n"


async def _self_test(board: SimulatedBoard) -> list[str]:
    (board.flash / "main.py").write_text(_SELF_TEST, encoding="utf-8")
    async with board:
        await board.wait_until_off()
    return [line for line in board.lines if line.startswith("selftest: ")]


async def test_self_test_says_each_step_and_delivers(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    board = new_board(node_settings(sandbox.url, wifi=WIFI))
    steps = await _self_test(board)
    assert steps[0] == f"selftest: settings ok: {sandbox.url}"
    assert steps[1].startswith("selftest: sensor bme280 ok: {")
    assert steps[2:] == [
        "selftest: wifi ok: -60 dBm",
        "selftest: delivery ok: delivered",
    ]
    assert len(temperatures(sandbox)) == 1


async def test_self_test_names_what_fails(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sensors = [{"type": "bme280", "name": "out", "sda": 1, "scl": 2}]
    board = new_board(node_settings(sandbox.url, sensors=sensors))
    steps = await _self_test(board)
    assert steps[1].startswith(
        "selftest: sensor out_bme280 failed: no answer at I2C address"
    )
    assert steps[2] == "selftest: delivery failed: nothing was measured"
    radio = wlan([1001, 201])
    board = new_board(
        node_settings(sandbox.url, wifi=WIFI), {**healthy_world(), "wlan": radio}
    )
    steps = await _self_test(board)
    assert steps[-1].startswith("selftest: wifi failed: wifi home (status 201) can't")
    board = new_board(node_settings("http://127.0.0.1:1"))
    steps = await _self_test(board)
    assert steps[-1] == (
        "selftest: delivery failed: 127.0.0.1:1, connecting: ECONNREFUSED"
    )
    board = new_board(
        node_settings(sandbox.url, token="99999999-9999-4999-8999-999999999999")
    )
    steps = await _self_test(board)
    assert steps[-1].startswith(
        "selftest: delivery failed: the server said Invalid API key (401)"
    )
    board = new_board(node_settings(sandbox.url, interval_s=0))
    assert await _self_test(board) == [
        (
            "selftest: settings failed: interval_s 0 is not between 1 and 86400. "
            'Write it like "interval_s": 60'
        )
    ]
