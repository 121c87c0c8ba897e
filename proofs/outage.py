"""Let a day of readings wait for a server, and see how fast they drain.

The outbox and the delivery of the integration run in a process of their own, the server
in another one. While the server is away, 24 hours of 500 entities with one change a
minute each are appended: 720,000 readings, with the times that they had. Then the server
comes back. All of them must be in its database in the end, each with its own time.
"""

import argparse
import asyncio
import json
from pathlib import Path
import resource
import tempfile
import time
from typing import Any

from rich.console import Console

from demo.processes import StartError, running
from demo.server import Server, server

from .faulty import clear_faults, set_fault
from .judgement import Change, judge, read_stored
from .verdict import Verdict
from .waiting import Order

ENTITIES = 500
_DAY_S = 24 * 60 * 60
_CHANGE_EVERY_S = 60
_READINGS = ENTITIES * _DAY_S // _CHANGE_EVERY_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--readings",
        type=int,
        default=_READINGS,
        help="how many are to wait (%(default)s)",
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Let readings wait, drain them, and judge."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-outage-") as name:
        folder = Path(name)
        log = folder / "sent.json"
        changes = _changes(options.readings)
        log.write_text(json.dumps(changes))
        async with server(folder) as sensorvision:
            figures = await _drain(folder, log, sensorvision)
        server_cpu_s = _children_cpu_s() - figures["process_s"]
        stored = read_stored(sensorvision.database)
    judgement = judge(changes, stored, (), interval_s=0)
    return Verdict(
        sent=judgement.due,
        delivered=judgement.delivered,
        superseded=0,
        lost=judgement.due - judgement.delivered,
        duplicated=judgement.duplicated,
        faults=1,
        least_sent=options.readings,
        least_faults=1,
        extra={
            "mistimed": judgement.mistimed,
            **figures,
            "server_process_s": round(server_cpu_s, 1),
        },
    )


def _changes(count: int) -> list[Change]:
    """Return changes of the last day until now, the oldest first, each at its own time."""
    step_s = _CHANGE_EVERY_S / ENTITIES
    begun = time.time() - count * step_s
    return [
        # As exact as the server keeps it.
        Change(number, round(begun + number * step_s, 6))
        for number in range(1, count + 1)
    ]


def _children_cpu_s() -> float:
    """Return the processor time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def _drain(folder: Path, log: Path, sensorvision: Server) -> dict[str, Any]:
    """Let readings wait while the server is away, and return how they drained."""
    console = Console(stderr=True)
    await set_fault(sensorvision, "http_503")
    order = folder / "order.json"
    Order(
        sensorvision.url,
        sensorvision.username,
        sensorvision.password,
        str(log),
        str(folder / "outbox"),
        ENTITIES,
    ).write(order)
    wait = ["-m", "proofs.waiting", str(order)]
    error_log = folder / "waiting.log"
    async with running(wait, error_log, asyncio.subprocess.PIPE) as process:
        waiting = await _line(process, error_log)
        console.print(f"Waiting: {waiting}")
        await clear_faults(sensorvision)
        drained = await _line(process, error_log)
        console.print(f"Drained: {drained}")
    return {**waiting, **drained}


async def _line(process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    """Return the next line of JSON that a process prints.

    Raises:
        StartError: it has ended without one.
    """
    line = await process.stdout.readline() if process.stdout else b""
    if not line:
        error = await asyncio.to_thread(log.read_text)
        raise StartError(f"The process that waits has ended: {error}")
    told: dict[str, Any] = json.loads(line)
    return told
