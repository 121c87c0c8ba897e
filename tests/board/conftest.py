"""What the board's tests share: programs run on MicroPython, and a server of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
import json
from pathlib import Path
import sys
from typing import Any

import pytest
import trustme

from micropython import ROOT
from micropython.provision.manifest import stage
from micropython.simulator import SimulatedBoard, bme280, wlan, write_world
from sandbox import Sandbox, Settings
from tests.brokers import Mosquitto

_PLUG_TIMEOUT_S = 60

TOKEN = "11111111-1111-4111-8111-111111111111"
BROKER_PASSWORD = "secret-of-broker"

type Run = Callable[..., Any]
type NewBoard = Callable[..., SimulatedBoard]
type Plug = Callable[..., Awaitable[str]]


def node_settings(url: str, **changes: object) -> dict[str, Any]:
    """Return settings of a node with a cable and a BME280, which reports every second.

    Of itself it says nothing: tests count variables.
    """
    return {
        "url": url,
        "token": TOKEN,
        "device_id": "dev-a",
        "interval_s": 1,
        "timeout_s": 5,
        "health_s": 0,
        "sensors": [{"type": "bme280"}],
        **changes,
    }


WIFI = {"ssid": "home", "password": "secret-of-wifi"}


def healthy_world() -> dict[str, Any]:
    """Return a world with the data sheet's BME280 and a radio in reach."""
    return {"i2c": [bme280()], "wlan": wlan()}


async def run_program(
    directory: Path,
    program: str,
    *,
    world: dict[str, Any] | None = None,
    deadline_s: float = 30,
    **values: object,
) -> Any:  # noqa: ANN401
    """Run a program on a board with the port's files.

    Args:
        directory: where the board's flash is made.
        program: MicroPython source; finds `values` as globals, and what it gives to
            `say` comes back.
        world: what surrounds the board.
        deadline_s: seconds until the program has to be through.
        values: JSON values for the program.
    """
    board = SimulatedBoard(directory, world or {}, heap="1m")
    stage(board.flash)
    (board.flash / "values.json").write_text(json.dumps(values), encoding="utf-8")
    (board.flash / "main.py").write_text(
        "import json\n"
        "with open('/values.json') as _file:\n"
        "    globals().update(json.load(_file))\n"
        "def say(value):\n"
        "    print('SAID', json.dumps(value))\n" + program,
        encoding="utf-8",
    )
    async with board:
        await board.wait_until_off(deadline_s)
    said = [
        line.removeprefix("SAID ") for line in board.lines if line.startswith("SAID ")
    ]
    assert said, "\n".join(board.lines)
    return json.loads(said[-1])


async def read_frames(
    directory: Path, program: str, cases: Sequence[tuple[str, list[str | int], Any]]
) -> dict[str, Any]:
    """Return by case what a board reads of its frames, each case on a pin of its own.

    Args:
        directory: see `run_program`.
        program: reads the sensor on each of `pins`, and says what it has read.
        cases: name, frames and something of the caller's.
    """
    pins = [10 + number for number in range(len(cases))]
    frames = {str(pin): case[1] for pin, case in zip(pins, cases, strict=True)}
    said = await run_program(directory, program, world={"dht": frames}, pins=pins)
    return {case[0]: reading for case, reading in zip(cases, said, strict=True)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return `run_program` for a board of this test's own."""
    return partial(run_program, tmp_path)


@pytest.fixture
async def new_board(tmp_path: Path) -> AsyncIterator[NewBoard]:
    """Return a function that makes a board with the port and settings on its flash."""
    boards: list[SimulatedBoard] = []

    def make(
        settings: dict[str, Any], world: dict[str, Any] | None = None
    ) -> SimulatedBoard:
        board = SimulatedBoard(
            tmp_path / f"board-{len(boards)}", world or healthy_world()
        )
        board.stage(json.dumps(settings))
        boards.append(board)
        return board

    yield make
    for board in boards:
        await board.stop()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Return a running server with the devices of the wire contract."""
    async with Sandbox(Settings(fixtures="contract", broker=None)) as server:
        yield server


@pytest.fixture
async def plug(tmp_path: Path) -> AsyncIterator[Plug]:
    """Return a function that plugs a fresh board in and returns its port."""
    boards = []

    async def plug_in(blocks: int = 256, world: dict[str, Any] | None = None) -> str:
        world_file = tmp_path / "world.json"
        write_world(world_file, world or healthy_world())
        board = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "micropython.simulator",
            f"--flash={tmp_path / 'flash.img'}",
            f"--world={world_file}",
            f"--link={tmp_path / 'board'}",
            f"--blocks={blocks}",
            f"--drive={tmp_path / 'bootsel'}",
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        boards.append(board)
        assert board.stdout
        async with asyncio.timeout(_PLUG_TIMEOUT_S):
            return (await board.stdout.readline()).decode().strip()

    yield plug_in
    for board in boards:
        board.terminate()
        await board.communicate()
    assert not (tmp_path / "board").is_symlink()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Return a broker that takes everyone."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def guarded_broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Return a broker that asks for a password."""
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    process = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-b", str(passwords), "board", BROKER_PASSWORD
    )
    assert await process.wait() == 0
    broker = Mosquitto(
        tmp_path, ("allow_anonymous false", f"password_file {passwords}")
    )
    await broker.start()
    yield broker
    await broker.stop()
