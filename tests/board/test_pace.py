"""A board whose time jumps where it only waits: days of it in moments."""

import asyncio
from itertools import pairwise
import json
from pathlib import Path

from micropython.simulator import Clock, SimulatedBoard, bme280, wlan
from sandbox import Sandbox

from .conftest import WIFI, node_settings

_HOUR_MS = 3_600_000
_DEADLINE_S = 60


def _board(
    directory: Path, url: str, clock: Clock | None = None, **parts: object
) -> SimulatedBoard:
    board = SimulatedBoard(
        directory,
        {"i2c": [bme280(log=directory / "log")], "wlan": wlan(), **parts},
        clock=clock,
        has_image=True,
    )
    board.stage(json.dumps(node_settings(url, interval_s=60, wifi=WIFI)))
    return board


def _times_ms(directory: Path) -> list[int]:
    return [int(line.split()[1]) for line in (directory / "log").open()]


async def test_hours_pass_at_the_bus_as_they_do_on_a_board(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    began_ms = clock.now_ms()
    async with (
        _board(tmp_path, sandbox.url, clock) as board,
        asyncio.timeout(_DEADLINE_S),
    ):
        await clock.reach(began_ms + 5 * _HOUR_MS)
    times_ms = _times_ms(tmp_path)
    assert 299 <= len(times_ms) <= 301
    assert {round((after - before) / 1000) for before, after in pairwise(times_ms)} == {
        60
    }
    # The power goes while the last ones may be on their way.
    assert len([line for line in board.lines if "delivered" in line]) >= 297
    assert board.resets == 0


async def test_time_stands_still_until_it_may_go_on(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    end_ms = clock.now_ms() + _HOUR_MS
    async with _board(tmp_path, sandbox.url, clock), asyncio.timeout(_DEADLINE_S):
        await clock.reach(end_ms)
        await asyncio.sleep(0.2)
    assert _times_ms(tmp_path)[-1] < end_ms + 60_000


async def test_watchdog_bites_a_board_that_hangs(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    began_ms = clock.now_ms()
    chip = bme280()
    chip["blocks"] = True
    async with _board(tmp_path, sandbox.url, clock, i2c=[chip]) as board:
        async with asyncio.timeout(_DEADLINE_S):
            await clock.reach(began_ms + 60_000)
    # Every eight seconds, and each start takes a while.
    assert 3 <= len(board.bites_ms) <= 8
    assert len(board.bites_ms) == board.resets


async def test_board_that_sleeps_bears_a_network_that_takes_long_to_be_missed(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    clock = Clock(tmp_path / "clock")
    board = _board(tmp_path, sandbox.url, clock, wlan=wlan([1001]))
    settings = node_settings(sandbox.url, interval_s=60, wifi=WIFI, sleep="light")
    board.stage(json.dumps(settings))
    began_ms = clock.now_ms()
    async with board, asyncio.timeout(_DEADLINE_S):
        await clock.reach(began_ms + _HOUR_MS // 2)
    assert any("can't be joined" in line for line in board.lines)
    assert board.resets == 0


async def test_ticks_begin_anew_after_30_bits_as_on_boards(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    board = SimulatedBoard(tmp_path, {}, clock=clock)
    program = """
import asyncio, time
begin = time.ticks_ms()
async def wait():
    await asyncio.sleep(5000)
asyncio.run(wait())
end = time.ticks_ms()
print(begin > 1 << 29, end < 1 << 29, time.ticks_diff(end, begin) // 1000)
print(time.ticks_diff(time.ticks_add(begin, 5000_000), end) // 1000)
"""
    (board.flash / "main.py").write_text(program)
    began_ms = clock.now_ms()
    async with board, asyncio.timeout(_DEADLINE_S):
        await clock.reach(began_ms + 2 * _HOUR_MS, lambda: board.is_on)
    assert board.lines[0] == "True True 5000"
    assert board.lines[1] in ("0", "-1")


async def test_power_goes_in_the_middle_of_a_write(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    board = _board(tmp_path, sandbox.url)
    image = tmp_path / "flash.img"
    program = (
        "with open('/note', 'w') as file:\n    file.write('x' * 9000)\nprint('whole')"
    )
    (board.flash / "main.py").write_text(program)
    board.fill()
    before = image.read_bytes()
    board.change_world({"writes_left": 2})
    async with board:
        await board.wait_until_off()
    assert board.has_lost_power
    assert not board.lines
    assert image.read_bytes() != before
    board.change_world({})
    async with board:
        await board.wait_for_line("whole")
        await board.wait_until_off()
    assert not board.has_lost_power
