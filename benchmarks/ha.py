"""Home Assistant: what mirroring all states costs, beside its own exporters.

A Home Assistant core in a process of its own shows numbers, each one once, and one
exporter sends them to a server in another process, through a relay that counts. Each mode
takes its turn in every round. Beside this integration and Home Assistant's own exporters
there are a core that exports nothing, and one with a listener that does nothing: the
floor, above which all others are judged.
"""

import argparse
import asyncio
from pathlib import Path
import tempfile
from typing import Any

from .exporters.chart import draw
from .exporters.costs import Costs
from .exporters.judgement import judge
from .exporters.modes import Mode, mode_named
from .exporters.report import Report
from .exporters.trial import Trial, running

BURST = "burst"
PACED = "paced"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--events", type=int, default=20_000, help="states to show (%(default)s)"
    )
    parser.add_argument(
        "--sensors", type=int, default=200, help="that show them (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="to take medians of (%(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=2000,
        metavar="HZ",
        help="states a second where they are paced (%(default)s)",
    )
    parser.add_argument(
        "--modes",
        type=_modes,
        default=list(Mode),
        metavar="NAMES",
        help=f"with commas: {', '.join(Mode)} (all); the floor is always measured",
    )
    parser.add_argument(
        "--shapes",
        type=_shapes,
        default=[BURST, PACED],
        metavar="NAMES",
        help=f"with commas: {BURST}, {PACED} (both)",
    )
    parser.add_argument(
        "--chart", type=Path, metavar="FILE.svg", help="draw the medians"
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if a run is void."""
    return asyncio.run(_run(options))


def _modes(text: str) -> list[Mode]:
    """Return the modes that are named, and the floor before all that need it."""
    named = {mode_named(name) for name in text.split(",")}
    return [mode for mode in Mode if mode in named | {Mode.FLOOR}]


def _shapes(text: str) -> list[str]:
    shapes = [name.strip() for name in text.split(",")]
    if unknown := set(shapes) - {BURST, PACED}:
        raise argparse.ArgumentTypeError(
            f"there is no {unknown.pop()!r}; take {BURST}, {PACED} or both"
        )
    return shapes


async def _run(options: argparse.Namespace) -> int:
    report = Report(
        events=options.events,
        sensors=options.sensors,
        rounds=options.rounds,
        rate_hz=options.rate,
    )
    for round_number in range(1, options.rounds + 1):
        for shape in options.shapes:
            # They take turns: what else the machine does then troubles all alike.
            for mode in options.modes:
                with tempfile.TemporaryDirectory(prefix="sensorvision-ha-") as name:
                    await _take_turn(
                        mode, shape, round_number, Path(name), options, report
                    )
    report.finish()
    if options.chart:
        draw(report.medians, options.chart)
    return 0 if report.is_good else 1


async def _take_turn(
    mode: Mode,
    shape: str,
    round_number: int,
    folder: Path,
    options: argparse.Namespace,
    report: Report,
) -> None:
    async with running(mode, folder, options.sensors) as trial:
        measured = await _measure(mode, trial, shape, options)
        outcome = judge(
            mode,
            [arrival.number for arrival in await trial.destination.received()],
            first=trial.first,
            shown=options.events,
            sensors=options.sensors,
            superseded=measured["superseded"],
        )
        costs = Costs.of(measured, trial.destination, outcome)
    report.add(round_number, mode, shape, costs, outcome.flaws)


async def _measure(
    mode: Mode, trial: Trial, shape: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Show the numbers, and return what it has cost until all have arrived."""
    before = await trial.destination.count()
    await trial.subject.tell(do="begin")
    if shape == BURST:
        await trial.subject.tell(do="burst", count=options.events)
    else:
        await trial.subject.tell(do="pace", count=options.events, rate_hz=options.rate)
    if mode.exports:
        await trial.destination.until(before + options.events)
    return await trial.subject.tell(do="measure")
