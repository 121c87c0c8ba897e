"""Home Assistant is killed with readings on their way: how many are lost, and how old.

A real Home Assistant changes sensors, then its process is killed with SIGKILL. Then it is
started again on what it has left on the disk. Ours writes down every second what waits,
so that nothing older may be lost.
"""

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
import tempfile

from .exporters import Exporter, add_arguments as add_common_arguments, chosen
from .flaws import flaws_of
from .judgement import Judgement
from .report import Figures, Report
from .scene import on_scene
from .settling import settle

COMMIT_INTERVAL_S = 1.0

# What a commit takes beyond its interval where others keep the disk and the cores busy.
_TICK_S = 0.1
_MS = 1000
_QUIET_S = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_common_arguments(parser, rounds=3, rate=200)
    parser.add_argument(
        "--events",
        type=int,
        default=1000,
        help="changes before the kill (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if ours has lost what was older than its interval."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    exporters = chosen(options.modes)
    report = Report(
        "kill",
        [exporter.name for exporter in exporters],
        rounds=options.rounds,
        events=options.events,
        rate_hz=options.rate,
        sensors=options.sensors,
        commit_interval_s=COMMIT_INTERVAL_S,
    )
    for round_number in range(1, options.rounds + 1):
        for exporter in exporters:
            with tempfile.TemporaryDirectory(prefix="sensorvision-kill-") as folder:
                kill = await _kill(exporter, options, Path(folder))
            report.add(
                round_number,
                (exporter.name,),
                kill.figures,
                kill.flaws_of(exporter, options.events),
            )
    report.finish()
    return 1 if report.flaws else 0


@dataclass(frozen=True)
class Kill:
    """A kill, and what came after it.

    Attributes:
        at: when, in seconds since 1970 (UTC).
        at_once: what had become of the changes by then.
        in_the_end: what had, after another start.
    """

    at: float
    at_once: Judgement
    in_the_end: Judgement

    @property
    def figures(self) -> Figures:
        """Return what was found, by name."""
        oldest_s = self.in_the_end.oldest_lost_s(self.at)
        return {
            "sent": len(self.in_the_end.sent),
            "not_there_at_kill": len(self.at_once.lost),
            "lost": len(self.in_the_end.lost),
            "oldest_lost_ms": None if oldest_s is None else oldest_s * _MS,
            "superseded": self.in_the_end.superseded,
            "duplicated": self.in_the_end.duplicated,
        }

    def flaws_of(self, exporter: Exporter, changes: int) -> list[str]:
        """Return what must not be, each a sentence."""
        return flaws_of(
            exporter,
            self.in_the_end,
            changes=changes,
            may_be_lost_from=self.at - COMMIT_INTERVAL_S - _TICK_S,
        )


async def _kill(exporter: Exporter, options: argparse.Namespace, folder: Path) -> Kill:
    async with on_scene(exporter, folder, options.sensors) as scene:
        life = await scene.start()
        await life.pace(options.events, options.rate)
        at = await life.kill()
        at_once = await scene.judge()
        await scene.start()
        settled = await settle(scene.judge, quiet_s=_QUIET_S)
    return Kill(at, at_once, settled)
