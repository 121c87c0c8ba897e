"""Let faults come and go at random for a long time, and kill the house now and then.

Two houses, one with a device token and one with an account, each with a server of its
own. The seed says what goes wrong, and when.
"""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
import time

from sandbox.faults import DESCRIPTIONS

from .arrivals import Finding
from .changes import Plan
from .crew import Stand
from .server import DEVICE_ID, FAULTS, REFUSED, STOPPED
from .trial import ACCOUNT, CREDENTIALS, Trial
from .verdict import Verdict

_DEVICES = 20
_VARIABLES = 25
_PLAN = Plan(
    (DEVICE_ID, *(f"{DEVICE_ID}.{number}" for number in range(2, _DEVICES + 1))),
    _VARIABLES,
    changes_per_s=100,
)

_SHORTEST_S = 0.3
_LONGEST_S = 6
_QUIET_S = 4
_SECOND_FAULTS = 0.3
_KILLS = 0.25
_DRAIN_DEADLINE_S = 120
_MOST_MEMORY_KB = 400_000


@dataclass(frozen=True)
class Spell:
    """A time in which something goes wrong.

    Attributes:
        faults: what, all at the same time.
        kill_after: after which part of the time the house is killed, or None.
        lasting_s: how long it takes.
        quiet_s: how long all is well afterwards.
    """

    faults: tuple[str, ...]
    kill_after: float | None
    lasting_s: float
    quiet_s: float


def spells(seed: str) -> Iterator[Spell]:
    """Yield what goes wrong, always the same for the same seed."""
    draw = Random(seed)
    while True:
        faults = [draw.choice(FAULTS)]
        # A server that is started anew knows of no fault any more.
        if faults[0] not in (STOPPED, REFUSED) and draw.random() < _SECOND_FAULTS:
            faults.append(draw.choice([f for f in FAULTS if f in DESCRIPTIONS]))
        yield Spell(
            tuple(dict.fromkeys(faults)),
            draw.random() if draw.random() < _KILLS else None,
            draw.uniform(_SHORTEST_S, _LONGEST_S),
            draw.choice((0, draw.uniform(0, _QUIET_S))),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--minutes", type=float, default=60, help="how long (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of what goes wrong (%(default)s)"
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Try both credentials at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_soak(credential, options.minutes * 60, options.seed))
            for credential in CREDENTIALS
        ]
    soaks = [task.result() for task in tasks]
    findings = [soak.finding for soak in soaks]
    return Verdict(
        sent=sum(finding.sent for finding in findings),
        delivered=sum(finding.delivered for finding in findings),
        superseded=sum(finding.superseded for finding in findings),
        lost=sum(finding.lost for finding in findings),
        duplicated=sum(finding.duplicated for finding in findings),
        faults=sum(soak.faults for soak in soaks),
        least_sent=int(options.minutes * 60 * _PLAN.changes_per_s),
        # Each takes ten seconds at the most.
        least_faults=int(options.minutes * 60 / (_LONGEST_S + _QUIET_S)),
        flaws=[flaw for soak in soaks for flaw in soak.flaws],
        extra={
            "seed": options.seed,
            "minutes": options.minutes,
            "kills": sum(soak.kills for soak in soaks),
            "sent_within_a_commit_interval_of_a_kill": sum(s.at_risk for s in soaks),
            "possible_duplicates": sum(s.stand.possible_duplicates for s in soaks),
            "most_waiting": max(soak.stand.waiting for soak in soaks),
            "most_memory_kb": max(soak.stand.memory_kb for soak in soaks),
            "drain_s": [soak.drain_s and round(soak.drain_s, 1) for soak in soaks],
        },
    )


@dataclass(frozen=True)
class Soak:
    """What became of the readings of one house.

    Attributes:
        credential: of the house.
        finding: what arrived.
        stand: what the house said.
        drain_s: how long it took at the end until nothing waited, or None.
        faults: how often something was made to go wrong.
        kills: how many of these were kills.
        at_risk: how many readings are not stored because the house was killed before
            they were on the disk.
    """

    credential: str
    finding: Finding
    stand: Stand
    drain_s: float | None
    faults: int
    kills: int
    at_risk: int

    @property
    def flaws(self) -> list[str]:
        """Return what is wrong, nothing if all is well."""
        is_complete = self.credential == ACCOUNT
        finding, stand = self.finding, self.stand
        checks = {
            "readings that nobody sent": finding.strange,
            "readings dropped": stand.dropped,
            "readings refused": stand.refused,
            "readings superseded": stand.superseded if is_complete else 0,
            "readings still wait": self.drain_s is None,
            "KB of memory": stand.memory_kb > _MOST_MEMORY_KB and stand.memory_kb,
        }
        return [
            f"{self.credential}: {int(n)} {what}" for what, n in checks.items() if n
        ]


async def _soak(credential: str, seconds: float, seed: int) -> Soak:
    with TemporaryDirectory(prefix="sensorvision-") as directory:
        async with Trial(credential, _PLAN, Path(directory)) as trial:
            faults, kills = await _trouble(trial, seconds, f"{seed} {credential}")
            # What is true in the end is sent when all is well.
            await trial.run_on(_PLAN.size / _PLAN.changes_per_s)
            await trial.end_changes()
            drain_s = await trial.until(
                lambda report: report.is_fed and not report.waiting, _DRAIN_DEADLINE_S
            )
            stand = await trial.end()
            finding = await asyncio.to_thread(trial.judge, is_killed=True)
    at_risk = finding.sent - finding.delivered - finding.superseded - finding.lost
    return Soak(credential, finding, stand, drain_s, faults, kills, at_risk)


async def _trouble(trial: Trial, seconds: float, seed: str) -> tuple[int, int]:
    """Let things go wrong for a while; return how many did, and how many were kills."""
    end = time.monotonic() + seconds
    faults = kills = 0
    for spell in spells(seed):
        if time.monotonic() >= end:
            break
        for fault in spell.faults:
            await trial.server.begin(fault)
        if spell.kill_after is None:
            await trial.run_on(spell.lasting_s)
        else:
            await trial.run_on(spell.lasting_s * spell.kill_after)
            trial.kill_house()
            trial.start_house()
            await trial.run_on(spell.lasting_s * (1 - spell.kill_after))
            kills += 1
        for fault in spell.faults:
            await trial.server.end(fault)
        faults += len(spell.faults)
        await trial.run_on(spell.quiet_s)
    return faults + kills, kills
