"""An hour without a server: what is lost of it, here and with other exporters.

A real Home Assistant changes sensors at an even pace, while its exporter's server refuses
every connection for a time. Each exporter is tried twice: once Home Assistant runs on,
once it is stopped in the middle of the outage and started again. Of core's InfluxDB all
times are a sixtieth of what they are, so that a minute is its hour.
"""

import argparse
import asyncio
from dataclasses import dataclass
from itertools import product
from pathlib import Path
import tempfile
import time

from benchmarks.exporters.modes import Mode

from .exporters import Exporter, add_arguments as add_common_arguments, chosen
from .flaws import flaws_of
from .judgement import Judgement
from .report import Figures, Report
from .scene import Costs, on_scene
from .settling import settle

RUNS_ON = "runs on"
RESTARTED = "restarted"
_CASES = (RUNS_ON, RESTARTED)

# What core's InfluxDB waits for, and Home Assistant at the most before it tries to set that
# up again: a sixtieth of what it is, in seconds.
_HOUR_IN_A_MINUTE = {
    "homeassistant.components.influxdb.RETRY_DELAY": 20 / 60,
    "homeassistant.components.influxdb.QUEUE_BACKLOG_SECONDS": 30 / 60,
    "homeassistant.components.influxdb.BATCH_TIMEOUT": 1 / 60,
    "homeassistant.config_entries.SETUP_RETRY_MAX_WAIT": 600 / 60,
}

_PERCENT = 100
# A peer of which nothing has come for so long has nothing left to send.
_QUIET_S = 20
# The longest pause of ours that may have begun before the server was back.
_OURS_QUIET_S = 330


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_common_arguments(parser, rounds=1, rate=100)
    for name, default, what in (
        ("--up-s", 10, "before the outage"),
        ("--down-s", 60, "without a server"),
        ("--after-s", 15, "after it"),
    ):
        parser.add_argument(
            name, type=float, default=default, help=f"seconds {what} (%(default)s)"
        )
    parser.add_argument(
        "--cases",
        nargs="+",
        choices=_CASES,
        default=_CASES,
        help="whether Home Assistant runs on, or is restarted in the middle (both)",
    )
    parser.add_argument(
        "--abreast",
        type=int,
        default=4,
        help="how many run at the same time (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if ours has lost a reading."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    exporters = chosen(options.modes)
    report = Report(
        "outage",
        [exporter.name for exporter in exporters],
        rounds=options.rounds,
        rate_hz=options.rate,
        sensors=options.sensors,
        up_s=options.up_s,
        down_s=options.down_s,
        after_s=options.after_s,
        abreast=options.abreast,
    )
    places = asyncio.Semaphore(options.abreast)

    async def turn(round_number: int, case: str, exporter: Exporter) -> None:
        async with places:
            with tempfile.TemporaryDirectory(prefix="sensorvision-outage-") as folder:
                outage = await _live_through(exporter, case, options, Path(folder))
        report.add(
            round_number,
            (exporter.name, case),
            outage.figures,
            outage.flaws_of(exporter),
        )

    for round_number in range(1, options.rounds + 1):
        async with asyncio.TaskGroup() as group:
            for case, exporter in product(options.cases, exporters):
                group.create_task(turn(round_number, case, exporter))
    report.finish()
    return 1 if report.flaws else 0


@dataclass(frozen=True)
class Outage:
    """An outage that one exporter has lived through.

    Attributes:
        changes: how many were asked for.
        down_at: when the server went away, in seconds since 1970 (UTC).
        back_at: when it was back.
        came_while_away: how many values reached the server although it was away.
        judgement: what became of the changes.
        costs: what all that took of Home Assistant's process.
    """

    changes: int
    down_at: float
    back_at: float
    came_while_away: int
    judgement: Judgement
    costs: Costs

    @property
    def figures(self) -> Figures:
        """Return what was found, by name."""
        judgement = self.judgement
        recovered_at = judgement.recovered_at(self.down_at, self.back_at)
        during = judgement.sent_within(self.down_at, self.back_at)
        lost = judgement.lost_within(self.down_at, self.back_at)
        return {
            "sent": len(judgement.sent),
            "in_outage": during,
            "lost_in_outage": lost,
            "lost_percent": _PERCENT * lost / during if during else None,
            "lost_around": len(judgement.lost) - lost,
            "superseded": judgement.superseded,
            "duplicated": judgement.duplicated,
            "false_time": judgement.mistimed,
            "recovery_s": (recovered_at - self.back_at if recovered_at else None),
            "peak_mb": self.costs.peak_mb,
            "cpu_s": self.costs.cpu_s,
        }

    def flaws_of(self, exporter: Exporter) -> list[str]:
        """Return what must not be, each a sentence."""
        found = flaws_of(exporter, self.judgement, changes=self.changes)
        if self.came_while_away:
            found.append(f"{self.came_while_away} values came while it was away.")
        return found


async def _live_through(
    exporter: Exporter, case: str, options: argparse.Namespace, folder: Path
) -> Outage:
    half_s = options.down_s / 2
    before = round((options.up_s + half_s) * options.rate)
    after = round((half_s + options.after_s) * options.rate)
    is_influxdb = exporter.mode in (Mode.INFLUXDB_V1, Mode.INFLUXDB_V2)
    constants = _HOUR_IN_A_MINUTE if is_influxdb else {}
    async with on_scene(exporter, folder, options.sensors) as scene:
        life = await scene.start(constants=constants)
        pacing = asyncio.ensure_future(life.pace(before, options.rate))
        await asyncio.sleep(options.up_s)
        scene.destination.refuse()
        down_at = time.time()
        await pacing
        there = await scene.destination.count()
        if case == RESTARTED:
            await life.measure()
            await life.stop()
            life = await scene.start(constants=constants, may_fail=True)
        pacing = asyncio.ensure_future(life.pace(after, options.rate))
        await asyncio.sleep(half_s)
        came_while_away = await scene.destination.count() - there
        await scene.destination.accept()
        back_at = time.time()
        await pacing
        judgement = await settle(
            scene.judge, quiet_s=_OURS_QUIET_S if exporter.mode.is_ours else _QUIET_S
        )
        await life.measure()
        return Outage(
            changes=before + after,
            down_at=down_at,
            back_at=back_at,
            came_while_away=came_while_away,
            judgement=judgement,
            costs=scene.costs,
        )
