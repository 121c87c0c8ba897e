"""Let everything fail that can, alone and one after the other, while changes go on.

For each of two credentials, a device token and an account, and for each fault and each
pair of faults in a row, a driver's changes go through a house into a server of their own.
Afterwards all that waited must have gone, and what is stored is compared with what was sent.
"""

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from .arrivals import Finding
from .changes import Plan
from .crew import Stand
from .server import DEVICE_ID, FAULTS
from .trial import ACCOUNT, CREDENTIALS, Trial
from .verdict import Verdict

_PLAN = Plan((DEVICE_ID, "home.2", "home.3"), variables=2, changes_per_s=60)
_FAULT_S = 0.8
# Longer than a server's delay.
_TAIL_S = 0.8
_START_DEADLINE_S = 30
_DRAIN_DEADLINE_S = 30
_AT_ONCE = 10

# In one fault: more would be a flood for a server that is in trouble.
_MOST_REQUESTS = 40
_MOST_MEMORY_KB = 300_000
_NO_SECOND = "alone"


@dataclass(frozen=True)
class Cell:
    """What became of the readings in one trial.

    Attributes:
        credential: of the house.
        faults: what went wrong, in order.
        finding: what arrived.
        stand: what the house said.
        drain_s: how long it took until nothing waited, or None if it never came to that.
        requests: the most requests in one fault.
    """

    credential: str
    faults: tuple[str, ...]
    finding: Finding
    stand: Stand
    drain_s: float | None
    requests: int

    @property
    def flaws(self) -> list[str]:
        """Return what is wrong, nothing if all is well."""
        finding, stand = self.finding, self.stand
        is_complete = self.credential == ACCOUNT
        # The server stores such readings when nobody waits for them any more.
        is_late = "slow_commit" in self.faults
        checks = {
            "readings lost": finding.lost,
            "readings that nobody sent": finding.strange,
            "variables out of order": 0 if is_late else finding.misplaced,
            "readings dropped": stand.dropped,
            "readings refused": stand.refused,
            "readings superseded": stand.superseded if is_complete else 0,
            "readings still wait": self.drain_s is None,
            "duplicates that nobody has counted": finding.duplicated
            > stand.possible_duplicates,
            "superseded readings that nobody has counted": finding.superseded
            > stand.superseded,
            "requests in one fault": self.requests > _MOST_REQUESTS and self.requests,
            "KB of memory": stand.memory_kb > _MOST_MEMORY_KB and stand.memory_kb,
        }
        name = f"{self.credential}, {' then '.join(self.faults)}"
        return [f"{name}: {int(n)} {what}" for what, n in checks.items() if n]

    def __str__(self) -> str:
        """Return lost, duplicated and the seconds to drain."""
        seconds = "never" if self.drain_s is None else f"{self.drain_s:.1f}"
        mark = " (!)" if self.flaws else ""
        return f"{self.finding.lost}/{self.finding.duplicated}/{seconds}{mark}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--cell",
        action="append",
        metavar="CREDENTIAL:FAULT[+FAULT]",
        help=f"only this one; credentials are {', '.join(CREDENTIALS)}, faults are"
        f" {', '.join(FAULTS)}",
    )
    parser.add_argument(
        "--at-once", type=int, default=_AT_ONCE, help="trials (%(default)s)"
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Try every cell, a few at a time."""
    due = [_cell(text) for text in options.cell or ()] or list(_all_cells())
    turns = asyncio.Semaphore(options.at_once)

    async def take_turn(credential: str, faults: tuple[str, ...]) -> Cell:
        async with turns:
            with TemporaryDirectory(prefix="sensorvision-") as directory:
                cell = await _try(credential, faults, Path(directory))
        sys.stderr.write(f"{credential} {'+'.join(faults)}: {cell}\n")
        return cell

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(take_turn(*cell)) for cell in due]
    cells = [task.result() for task in tasks]
    for credential in CREDENTIALS:
        mine = [cell for cell in cells if cell.credential == credential]
        if mine:
            sys.stderr.write(f"\n{credential}: lost/duplicated/seconds to drain\n\n")
            sys.stderr.write("\n".join(_table(mine)) + "\n\n")
    return _verdict(cells)


def _cell(text: str) -> tuple[str, tuple[str, ...]]:
    """Read ``CREDENTIAL:FAULT[+FAULT]``."""
    credential, _, faults = text.partition(":")
    names = tuple(faults.split("+"))
    if credential not in CREDENTIALS or not set(names) <= set(FAULTS):
        raise SystemExit(f"'{text}' is no cell. See scripts/prove faults --help.")
    return credential, names


def _all_cells() -> Iterator[tuple[str, tuple[str, ...]]]:
    for credential in CREDENTIALS:
        yield from ((credential, (fault,)) for fault in FAULTS)
        yield from ((credential, pair) for pair in product(FAULTS, repeat=2))


async def _try(credential: str, faults: Sequence[str], directory: Path) -> Cell:
    """Let things go wrong one after the other, and judge what arrives."""
    requests = []
    async with Trial(credential, _PLAN, directory) as trial:
        # Each number has been there once.
        await trial.until(
            lambda report: report.delivered > _PLAN.size, _START_DEADLINE_S
        )
        for fault in faults:
            before = trial.server.requests
            await trial.server.begin(fault)
            await trial.run_on(_FAULT_S)
            requests.append(trial.server.requests - before)
            await trial.server.end(fault)
        # The backlog has to go while new changes come.
        least = trial.report.delivered + _PLAN.size
        drain_s = await trial.until(
            lambda report: report.delivered > least and report.waiting <= _PLAN.size,
            _DRAIN_DEADLINE_S,
        )
        await trial.run_on(_TAIL_S)
        await trial.end_changes()
        rest_s = await trial.until(
            lambda report: report.is_fed and not report.waiting, _DRAIN_DEADLINE_S
        )
        stand = await trial.end()
        if rest_s is None:
            drain_s = None
        return Cell(
            credential, tuple(faults), trial.judge(), stand, drain_s, max(requests)
        )


def _table(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield the lines of a table in Markdown, a row for what went wrong first."""
    by_faults = {cell.faults: cell for cell in cells}
    seconds = [
        fault
        for fault in (None, *FAULTS)
        if any(_second(faults) == fault for faults in by_faults)
    ]
    yield "| first | " + " | ".join(f or _NO_SECOND for f in seconds) + " |"
    yield "|---|" + "--:|" * len(seconds)
    for first in dict.fromkeys(faults[0] for faults in by_faults):
        row = [
            by_faults.get((first, second) if second else (first,), "")
            for second in seconds
        ]
        yield f"| {first} | " + " | ".join(map(str, row)) + " |"


def _second(faults: tuple[str, ...]) -> str | None:
    return faults[1] if len(faults) > 1 else None


def _verdict(cells: Sequence[Cell]) -> Verdict:
    findings = [cell.finding for cell in cells]
    drains = [cell.drain_s for cell in cells if cell.drain_s is not None]
    return Verdict(
        sent=sum(finding.sent for finding in findings),
        delivered=sum(finding.delivered for finding in findings),
        superseded=sum(finding.superseded for finding in findings),
        lost=sum(finding.lost for finding in findings),
        duplicated=sum(finding.duplicated for finding in findings),
        faults=sum(len(cell.faults) for cell in cells),
        # Three seconds of changes each, and some for a machine that is busy.
        least_sent=50 * len(cells),
        least_faults=len(cells),
        flaws=[flaw for cell in cells for flaw in cell.flaws],
        extra={
            "cells": len(cells),
            "possible_duplicates": sum(c.stand.possible_duplicates for c in cells),
            "misplaced": sum(finding.misplaced for finding in findings),
            "slowest_drain_s": round(max(drains, default=0), 1),
            "most_waiting": max(cell.stand.waiting for cell in cells),
            "most_requests_in_a_fault": max(cell.requests for cell in cells),
            "most_memory_kb": max(cell.stand.memory_kb for cell in cells),
        },
    )
