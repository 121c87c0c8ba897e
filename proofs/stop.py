"""Stop Home Assistant while readings wait and the server hangs, and see what is kept.

100,000 readings wait in the outbox of a real Home Assistant, and more come in while no
request is answered. Then it is told to stop, as by its restart button, and thousands come
in at that very moment. Whatever the server has not stored must be in the outbox's file.
How much of the stop is the integration's own share is read from Home Assistant's log.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import re
import tempfile
import time

from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.readings import Reading
from demo.processes import StartError, running
from demo.server import server

from . import burst
from .driver import Order
from .faulty import set_fault
from .home import Home, Life, make_home, wait_until_mirroring
from .judgement import Change, in_us, read_log, read_stored
from .verdict import Verdict

_ENTITY_IDS = tuple(f"sensor.thing_{number:03}" for number in range(200))
_RATE_HZ = 50
_LEAST_TAKEN = 100
_DRIVE_TIMEOUT_S = 60
_LOOK_EVERY_S = 0.2
_AT_ONCE = 1000
_HANG_S = 600
_FIRST_NUMBER = 1_000_000
_LIFE = "stopped"

_MAX_SHARE_S = 1
_EVENTS = {"homeassistant_stop", "homeassistant_final_write"}
_TOOK = re.compile(r"sensorvision\.stopping\].* (homeassistant_\w+) took ([\d.]+) s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--readings",
        type=int,
        default=100_000,
        help="how many wait already (%(default)s)",
    )
    parser.add_argument(
        "--burst",
        type=int,
        default=5000,
        help="how many come in when it stops (%(default)s)",
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Stop it, and look for every reading in file and database."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-stop-") as name:
        folder = Path(name)
        async with server(folder) as sensorvision:
            home = await make_home(folder, sensorvision, _ENTITY_IDS)
            burst_log = _add_burst(home, options.burst)
            waiting = _waiting(options.readings)
            await _append(home, waiting)
            await set_fault(sensorvision, "slow_commit", _HANG_S)
            taken, stop_s = await _drive_and_stop(home, folder)
            at_stop = read_log(burst_log).taken
            kept = await _kept(home)
        stored = {
            (int(reading.number), reading.at_us)
            for reading in read_stored(sensorvision.database)
        }
        shares = _shares(home.log_of(_LIFE))
    sent = {
        (change.number, in_us(change.at)) for change in (*waiting, *taken, *at_stop)
    }
    return Verdict(
        sent=len(sent),
        delivered=len(sent & stored),
        superseded=0,
        lost=len(sent - stored - kept),
        duplicated=0,
        faults=1,
        least_sent=options.readings + options.burst + 1,
        least_faults=1,
        flaws=_flaws(shares),
        extra={
            "on_disk": len(sent & kept),
            "came_while_server_hung": len(taken),
            "came_at_stop": len(at_stop),
            "stop_s": round(stop_s, 2),
            "own_share_s": round(sum(shares.values()), 3),
        },
    )


def _shares(log: Path) -> dict[str, float]:
    """Return for how many seconds the integration was busy at each event of the stop."""
    return {event: float(took_s) for event, took_s in _TOOK.findall(log.read_text())}


def _flaws(shares: dict[str, float]) -> list[str]:
    """Return what is wrong with how long it was busy."""
    if missing := _EVENTS - shares.keys():
        return [f"The log does not say how long {event} took." for event in missing]
    if (share_s := sum(shares.values())) > _MAX_SHARE_S:
        return [f"The integration's own share of the stop was {share_s:.3f} s."]
    return []


def _add_burst(home: Home, changes: int) -> Path:
    """Let states change just as Home Assistant stops; return the log that says which."""
    log = home.logs / "burst.jsonl"
    settings = {"entity_ids": _ENTITY_IDS, "changes": changes, "log": str(log)}
    # JSON is YAML too.
    home.add_integration(Path(burst.__file__).parent, json.dumps(settings))
    return log


def _waiting(count: int) -> list[Change]:
    """Return changes of the last minutes, which the server has not seen."""
    begun = time.time() - count
    return [Change(_FIRST_NUMBER + nth, begun + nth) for nth in range(count)]


async def _append(home: Home, changes: list[Change]) -> None:
    """Let readings wait, as an earlier run has left them."""
    async with _outbox(home) as outbox:
        outbox.append(
            Reading("proof.earlier", "value", number, at) for number, at in changes
        )


async def _kept(home: Home) -> set[tuple[int, int]]:
    """Return what is in the file, with times in microseconds."""
    kept = set()
    async with _outbox(home) as outbox:
        while batch := await outbox.take_backlog(_AT_ONCE):
            kept |= {(int(value), in_us(at)) for _, _, value, at in batch.readings}
    return kept


@asynccontextmanager
async def _outbox(home: Home) -> AsyncIterator[CompleteOutbox]:
    """Open the outbox of a Home Assistant that does not run."""
    [path] = (home.config_dir / ".storage").glob("sensorvision.*.outbox")
    outbox = CompleteOutbox(str(path))
    await outbox.open()
    try:
        yield outbox
    finally:
        await outbox.close()


async def _drive_and_stop(home: Home, folder: Path) -> tuple[tuple[Change, ...], float]:
    """Change states while the server hangs; return them, and how long the stop took."""
    order, log = folder / "order.json", folder / "driver.jsonl"
    Order(home.url, home.token, _ENTITY_IDS, _RATE_HZ).write(order)
    async with home.life(_LIFE) as life:
        await wait_until_mirroring(life)
        drive = ["-m", "proofs.driver", str(order), str(log)]
        async with running(drive, folder / "driver.log") as driver:
            await _until_taken(log)
            driver.terminate()
            await driver.wait()
        stop_s = await _stop(life)
    return read_log(log).taken, stop_s


async def _until_taken(log: Path) -> None:
    """Wait until Home Assistant has taken enough changes.

    Raises:
        StartError: it does not in time.
    """
    deadline = time.monotonic() + _DRIVE_TIMEOUT_S
    while time.monotonic() < deadline:
        if len(read_log(log).taken) >= _LEAST_TAKEN:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    raise StartError("Home Assistant took no changes in time")


async def _stop(life: Life) -> float:
    """Ask it to stop, and return after how many seconds it has."""
    begun = time.monotonic()
    life.process.terminate()
    await life.process.wait()
    return time.monotonic() - begun
