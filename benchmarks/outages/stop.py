"""Home Assistant stops with readings on their way: for how long, and what is lost.

A real Home Assistant changes sensors, then stops at once, as by its restart button. Then
it is started again on what it has left on the disk.
"""

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
import tempfile

from .exporters import FLOOR, Exporter, add_arguments as add_common_arguments, chosen
from .flaws import flaws_of
from .judgement import Judgement
from .report import Figures, Report
from .scene import on_scene
from .settling import settle

BAR_S = 1

# Of what was left on the disk, the first is sent as soon as Home Assistant has started.
_QUIET_S = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_common_arguments(parser, rounds=3, rate=200)
    parser.add_argument(
        "--events",
        type=int,
        default=1000,
        help="changes before the stop (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if ours has lost a reading."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    exporters = (FLOOR, *chosen(options.modes))
    report = Report(
        "stop",
        [exporter.name for exporter in exporters],
        rounds=options.rounds,
        events=options.events,
        rate_hz=options.rate,
        sensors=options.sensors,
        bar_s=BAR_S,
    )
    for round_number in range(1, options.rounds + 1):
        floor_s: float | None = None
        for exporter in exporters:
            with tempfile.TemporaryDirectory(prefix="sensorvision-stop-") as folder:
                stop = await _stop(exporter, options, Path(folder))
            if floor_s is None:
                floor_s = stop.seconds
            report.add(
                round_number,
                (exporter.name,),
                stop.figures(exporter, floor_s),
                flaws_of(exporter, stop.in_the_end, changes=options.events),
            )
    report.finish()
    return 1 if report.flaws else 0


@dataclass(frozen=True)
class Stop:
    """A stop, and what came after it.

    Attributes:
        seconds: until the process had ended.
        at_its_end: what had become of the changes by then.
        in_the_end: what had, after another start.
    """

    seconds: float
    at_its_end: Judgement
    in_the_end: Judgement

    def figures(self, exporter: Exporter, floor_s: float) -> Figures:
        """Return what was found, by name.

        Args:
            exporter: whose stop it was.
            floor_s: how long it takes without any exporter, in seconds.
        """
        has_server = exporter != FLOOR
        left = len(self.at_its_end.lost) - len(self.in_the_end.lost)
        return {
            "sent": len(self.in_the_end.sent),
            "stop_s": self.seconds,
            "above_floor_s": self.seconds - floor_s,
            "left_on_disk": left if has_server else None,
            "lost": len(self.in_the_end.lost) if has_server else None,
            "superseded": self.in_the_end.superseded if has_server else None,
            "duplicated": self.in_the_end.duplicated if has_server else None,
        }


async def _stop(exporter: Exporter, options: argparse.Namespace, folder: Path) -> Stop:
    async with on_scene(exporter, folder, options.sensors) as scene:
        life = await scene.start()
        await life.pace(options.events, options.rate)
        seconds = await life.stop()
        at_its_end = await scene.judge()
        if at_its_end.lost and exporter != FLOOR:
            await scene.start()
            in_the_end = await settle(scene.judge, quiet_s=_QUIET_S)
        else:
            in_the_end = at_its_end
    return Stop(seconds, at_its_end, in_the_end)
