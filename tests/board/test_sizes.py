"""What the port costs on a board may only go down."""

import asyncio
import json
from pathlib import Path
import sys

import pytest

from benchmarks.board.client import Client
from benchmarks.board.costs import (
    MEASURED_MODULES,
    compile_to,
    node_delivers,
    smallest_heap_bytes,
)
from benchmarks.board.senders import http_client, mqtt_client, requests_client
from benchmarks.loopback import loopback
from sandbox import Sandbox
from tests.brokers import Mosquitto
from tests.budgets import budgets_of, earlier_budgets_of_the_board, raised

from .conftest import TOKEN, WIFI, node_settings

BUDGETS = budgets_of("board")

# What was promised. The budgets are what is needed of it.
PROMISED = {
    "mpy_bytes": {"http_bme280_settings": 12288, "all_files": 32768},
    "heap_bytes": {"http_bme280_settings": 40960, "whole_node": 98304},
    "allocated_bytes": {"http_send_that_waits": 2784},
    "writes": {"http_send": 1, "mqtt_send": 1},
}


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """Return a folder with the port's bytecode."""
    compile_to(tmp_path)
    return tmp_path


def test_bytecode_keeps_to_its_budgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = compile_to(tmp_path)
    totals = {
        name: sum(sizes[module] for module in modules)
        for name, modules in MEASURED_MODULES.items()
    }
    with capsys.disabled():
        sys.stdout.write(f"\n.mpy bytes: {totals}\n")
    for name, total in totals.items():
        assert total <= BUDGETS["mpy_bytes"][name]


async def test_one_reading_is_sent_in_the_heap_of_its_budget(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    smallest = await smallest_heap_bytes(sandbox.url, TOKEN)
    with capsys.disabled():
        sys.stdout.write(f"\nheap bytes: {smallest}\n")
    assert smallest <= BUDGETS["heap_bytes"]["http_bme280_settings"]
    assert sandbox.store.values("dev-a", "temperature")


async def test_a_send_makes_half_the_garbage_of_requests(
    compiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Its answers come in one piece, as a board gets them.
    async with loopback() as server:
        ours, theirs = [
            await asyncio.to_thread(
                client(
                    compiled, f"http://127.0.0.1:{server.port}", TOKEN
                ).allocated_bytes
            )
            for client in (http_client, requests_client)
        ]
    with capsys.disabled():
        sys.stdout.write(f"\nbytes allocated by a send: {ours}, requests: {theirs}\n")
    assert ours <= BUDGETS["allocated_bytes"]["http_send_that_waits"]
    assert 2 * ours <= theirs


async def test_a_send_over_http_is_one_write(sandbox: Sandbox, compiled: Path) -> None:
    client = http_client(compiled, sandbox.url, TOKEN)
    writes = await asyncio.to_thread(client.writes_per_send)
    assert writes == BUDGETS["writes"]["http_send"]


async def test_a_send_over_mqtt_is_one_write(broker: Mosquitto, compiled: Path) -> None:
    client = mqtt_client(compiled, broker.url)
    writes = await asyncio.to_thread(client.writes_per_send)
    assert writes == BUDGETS["writes"]["mqtt_send"]


async def test_heap_does_not_grow_with_ten_thousand_readings_over_http(
    compiled: Path,
) -> None:
    async with loopback() as server:
        client = http_client(compiled, f"http://127.0.0.1:{server.port}", TOKEN)
        heaps = await _heaps_in_use(client, "http_bme280_settings")
    assert server.readings == 10_000
    assert server.connections == 1
    assert_no_growth(heaps)


async def test_heap_does_not_grow_with_ten_thousand_readings_over_mqtt(
    broker: Mosquitto, compiled: Path
) -> None:
    # Each of them has been acknowledged when the program ends.
    client = mqtt_client(compiled, broker.url)
    assert_no_growth(await _heaps_in_use(client, "whole_node"))


async def _heaps_in_use(client: Client, budget: str) -> list[int]:
    heap_bytes = BUDGETS["heap_bytes"][budget]
    return await asyncio.to_thread(client.heaps_in_use, heap_bytes, 10, 1000)


def assert_no_growth(heaps: list[int]) -> None:
    """Make sure that as much is in use after each thousand readings."""
    assert len(heaps) == 10
    # What still lies on the stack differs a little; a leak would be of 32 bytes at least,
    # every thousand readings 32,000.
    assert max(heaps) - min(heaps) < 1024


@pytest.mark.parametrize("transport", ["http", "mqtt"])
async def test_whole_node_with_a_store_and_both_transports_runs_in_its_budget(
    transport: str, broker: Mosquitto, tmp_path: Path
) -> None:
    directory = tmp_path / "board"
    directory.mkdir()
    async with loopback() as server:
        urls = {"http": f"http://127.0.0.1:{server.port}", "mqtt": broker.url}
        settings = node_settings(
            urls[transport],
            store={"kb": 64, "every": 2, "every_s": 2},
            wifi=WIFI,
            mqtt={"user": "board"},
        )
        heap_bytes = BUDGETS["heap_bytes"]["whole_node"]
        assert await node_delivers(directory, json.dumps(settings), heap_bytes)


def test_budgets_are_within_what_was_promised() -> None:
    assert {group: set(budgets) for group, budgets in BUDGETS.items()} == {
        group: set(budgets) for group, budgets in PROMISED.items()
    }
    assert raised(BUDGETS, PROMISED) == []


def test_no_budget_was_ever_smaller() -> None:
    for before in earlier_budgets_of_the_board():
        assert raised(BUDGETS, before) == []
