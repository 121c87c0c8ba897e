"""Kill Home Assistant at random instants, and see that it loses no reading.

A real Home Assistant mirrors 200 entities, which change 50 times a second, with an
account. Again and again it is killed with SIGKILL, while it mirrors or while it starts,
and every other time the server was away. What was older than the commit interval
at a kill must be in the server's database in the end, with its own time.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
import random
from statistics import mean
import tempfile
import time

from rich.console import Console

from demo.processes import running
from demo.server import Server, server

from .driver import Order
from .faulty import clear_faults, set_fault
from .home import Home, make_home, wait_until_mirroring
from .judgement import Judgement, Log, judge, read_log, read_stored
from .verdict import Verdict

_ENTITY_IDS = tuple(f"sensor.thing_{number:03}" for number in range(200))
_RATE_HZ = 50
_COMMIT_INTERVAL_S = 1
_LEAST_SENT_A_ROUND = 50

_MIRRORING_S = (1, 12)
_SHARE_WHILE_STARTING = 0.2
_AWAY_EVERY = 2

_LAST_LIFE_S = 3
_DRAIN_TIMEOUT_S = 120
_LOOK_EVERY_S = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--rounds", type=int, default=50, help="how often to kill it (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=3, help="of the random instants (%(default)s)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave logs and databases here"
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Kill it as often as was asked for, and judge."""
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        return await _prove(options.keep, options.rounds, options.seed)
    with tempfile.TemporaryDirectory(prefix="sensorvision-kill-") as folder:
        return await _prove(Path(folder), options.rounds, options.seed)


@dataclass(frozen=True)
class Kill:
    """A kill that has happened.

    Attributes:
        at: when, in seconds since 1970 (UTC).
        while_starting: whether it did not mirror yet.
        while_away: whether the server was away.
    """

    at: float
    while_starting: bool
    while_away: bool


async def _prove(folder: Path, rounds: int, seed: int) -> Verdict:
    console = Console(stderr=True)
    console.print(f"Killing Home Assistant {rounds} times, seed {seed}")
    log = folder / "driver.jsonl"
    log.unlink(missing_ok=True)
    order = folder / "order.json"
    async with server(folder) as sensorvision:
        home = await make_home(folder, sensorvision, _ENTITY_IDS)
        Order(home.url, home.token, _ENTITY_IDS, _RATE_HZ).write(order)
        drive = ["-m", "proofs.driver", str(order), str(log)]
        async with running(drive, folder / "driver.log") as driver:
            kills = []
            async for kill in _kills(home, sensorvision, rounds, random.Random(seed)):
                kills.append(kill)
                console.print(f"{len(kills)}: {kill}")
            async with home.life("last") as life:
                await wait_until_mirroring(life)
                await asyncio.sleep(_LAST_LIFE_S)
                driver.terminate()
                await driver.wait()
                judgement = await _judge_drained(log, sensorvision.database, kills)
    return _verdict(read_log(log), judgement, kills)


async def _kills(
    home: Home, sensorvision: Server, rounds: int, chance: random.Random
) -> AsyncIterator[Kill]:
    """Run it and kill it, and yield each kill."""
    start_s = 0.0
    for number in range(1, rounds + 1):
        while_starting = number > 1 and chance.random() < _SHARE_WHILE_STARTING
        while_away = number % _AWAY_EVERY == 0
        if while_away:
            await set_fault(sensorvision, "http_503")
        begun = time.monotonic()
        async with home.life(f"life-{number}") as life:
            if while_starting:
                await asyncio.sleep(chance.uniform(0, start_s))
            else:
                await wait_until_mirroring(life)
                start_s = time.monotonic() - begun
                await asyncio.sleep(chance.uniform(*_MIRRORING_S))
            killed_at = time.time()
            life.process.kill()
            await life.process.wait()
        await clear_faults(sensorvision)
        yield Kill(killed_at, while_starting, while_away)


async def _judge_drained(log: Path, database: Path, kills: list[Kill]) -> Judgement:
    """Judge as soon as everything has arrived, or nothing more does."""
    changes = read_log(log).taken
    moments = [kill.at for kill in kills]
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    count = -1
    while True:
        stored = read_stored(database)
        judgement = judge(changes, stored, moments, _COMMIT_INTERVAL_S)
        is_complete = judgement.delivered == judgement.due and len(stored) == count
        if is_complete or time.monotonic() > deadline:
            return judgement
        count = len(stored)
        await asyncio.sleep(_LOOK_EVERY_S)


def _verdict(log: Log, judgement: Judgement, kills: list[Kill]) -> Verdict:
    return Verdict(
        sent=judgement.due,
        delivered=judgement.delivered,
        superseded=0,
        lost=judgement.due - judgement.delivered,
        duplicated=judgement.duplicated,
        faults=len(kills),
        least_sent=_LEAST_SENT_A_ROUND * len(kills),
        least_faults=1,
        extra={
            "taken": len(log.taken),
            "unanswered": log.unanswered,
            "mistimed": judgement.mistimed,
            "kills_while_starting": sum(kill.while_starting for kill in kills),
            "kills_while_server_away": sum(kill.while_away for kill in kills),
            "younger_than_interval": sum(judgement.young),
            "of_these_lost": sum(judgement.young_lost),
            "of_these_lost_per_kill": round(mean(judgement.young_lost), 1),
            "of_these_lost_at_most": max(judgement.young_lost),
        },
    )
