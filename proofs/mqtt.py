"""Kill an MQTT broker while Home Assistant publishes, and see that no reading is lost.

A real Home Assistant mirrors 200 entities, which change 50 times a second, over a real
Mosquitto that forgets everything with its process. Again and again it is killed with
SIGKILL, and started again after a while. Every change that Home Assistant has taken must
be in the server's database in the end, with its own time.

The server itself loses what the broker takes while the server is not connected to it, so
nobody else is let in to a new broker before the server. What a broker has acknowledged
and never handed on died with it: that is seen from outside, on the way to it, and shown
apart.
"""

import argparse
import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
import json
from pathlib import Path
import random
import tempfile
import time

import aiohttp
from rich.console import Console

from benchmarks.mosquitto import Mosquitto
from demo.processes import StartError, running
from demo.server import Server, server

from .driver import Order
from .home import make_home, wait_until_mirroring
from .judgement import in_us, read_log, read_stored
from .tap import Tap
from .verdict import Verdict

_ENTITY_IDS = tuple(f"sensor.thing_{number:03}" for number in range(200))
_RATE_HZ = 50
_LEAST_SENT_A_ROUND = 50

_UP_S = (2, 6)
_DOWN_S = (0, 4)

_DRAIN_TIMEOUT_S = 120
_LOOK_EVERY_S = 1
_START_TIMEOUT_S = 20
_LOOK_FOR_SESSION_EVERY_S = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--rounds", type=int, default=20, help="how often to kill it (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=3, help="of the random instants (%(default)s)"
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Kill the broker as often as was asked for, and judge."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-mqtt-") as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        await broker.start()
        tap = Tap(broker.port)
        try:
            async with (
                tap.listening(),
                server(folder, broker=broker.url) as sensorvision,
            ):
                return await _prove(
                    folder,
                    sensorvision,
                    broker,
                    tap,
                    options.rounds,
                    random.Random(options.seed),
                )
        finally:
            await broker.kill()


async def _prove(
    folder: Path,
    sensorvision: Server,
    broker: Mosquitto,
    tap: Tap,
    rounds: int,
    chance: random.Random,
) -> Verdict:
    console = Console(stderr=True)
    console.print(f"Killing Mosquitto {rounds} times")
    log, order = folder / "driver.jsonl", folder / "order.json"
    home = await make_home(folder, sensorvision, _ENTITY_IDS, broker_port=tap.port)
    Order(home.url, home.token, _ENTITY_IDS, _RATE_HZ).write(order)
    drive = ["-m", "proofs.driver", str(order), str(log)]
    async with home.life("publishing") as life:
        await wait_until_mirroring(life)
        async with running(drive, folder / "driver.log") as driver:
            for number in range(1, rounds + 1):
                await asyncio.sleep(chance.uniform(*_UP_S))
                await broker.kill()
                tap.is_open = False
                down_s = chance.uniform(*_DOWN_S)
                console.print(f"{number}: away for {down_s:.1f} s")
                await asyncio.sleep(down_s)
                await broker.start()
                await _until_subscribed(sensorvision)
                tap.is_open = True
            await asyncio.sleep(chance.uniform(*_UP_S))
            driver.terminate()
            await driver.wait()
        changes = read_log(log).taken
        sent = {(change.number, in_us(change.at)) for change in changes}
        stored = await _stored(sensorvision, sent)
    acknowledged = set(_told(tap.acknowledged))
    copies = len(read_stored(sensorvision.database))
    return Verdict(
        sent=len(sent),
        delivered=len(sent & stored),
        superseded=0,
        lost=len(sent - stored - acknowledged),
        duplicated=copies - len(stored),
        faults=rounds,
        least_sent=_LEAST_SENT_A_ROUND * rounds,
        least_faults=1,
        flaws=["The broker was told to retain messages."] if tap.retained else (),
        extra={
            "acknowledged": len(sent & acknowledged),
            "acknowledged_and_not_stored": len((sent & acknowledged) - stored),
            "mistimed": len({number for number, _ in stored - sent} & _numbers(sent)),
        },
    )


async def _until_subscribed(sensorvision: Server) -> None:
    """Wait until the server has a session with its broker: it can send a command then.

    Raises:
        StartError: it has none in time.
    """
    api = f"{sensorvision.url}/api/v1"
    account = {"username": sensorvision.username, "password": sensorvision.password}
    command = f"{api}/devices/{sensorvision.device_id}/commands"
    deadline = time.monotonic() + _START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{api}/auth/login", json=account) as response:
            token = (await response.json())["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        while time.monotonic() < deadline:
            async with session.post(
                command, json={"command": "identify"}, headers=headers
            ) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(_LOOK_FOR_SESSION_EVERY_S)
    raise StartError("The server found no way to its broker")


async def _stored(
    sensorvision: Server, sent: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return what the server has as soon as it has everything, or nothing more comes."""
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    count = -1
    while True:
        stored = {
            (int(reading.number), reading.at_us)
            for reading in read_stored(sensorvision.database)
        }
        if sent <= stored or (time.monotonic() > deadline and len(stored) == count):
            return stored
        count = len(stored)
        await asyncio.sleep(_LOOK_EVERY_S)


def _told(payloads: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the numbers in messages, each with its time in microseconds."""
    for payload in payloads:
        message = json.loads(payload)
        at = datetime.fromisoformat(message["timestamp"]).timestamp()
        for number in message["variables"].values():
            yield number, in_us(at)


def _numbers(sent: set[tuple[int, int]]) -> set[int]:
    return {number for number, _ in sent}
