"""A million events through an exporter: whether Home Assistant's process stays as it is.

They come in pieces, and each has to be delivered before the next one, so that what waits
takes no part in it.
"""

import argparse
import asyncio
from pathlib import Path
import sys
import tempfile

from homeassistant.const import __version__
from homeassistant.helpers.storage import STORAGE_DIR

from benchmarks.exporters.answering import Answering
from benchmarks.exporters.destination import Destination, running_destination
from benchmarks.exporters.modes import Mode, mode_named
from benchmarks.exporters.trial import Home, show_all

from .chart import draw_growth
from .growth import Sample
from .memory_report import Report

_MODES = (Mode.ACCOUNT, Mode.INFLUXDB_V1)
_MORE_MODES = (Mode.TOKEN, Mode.MQTT, Mode.INFLUXDB_V2, Mode.SPLUNK)
_SAMPLES = 20
_FEWEST_SAMPLES = 5

# The outbox notes what was delivered within its commit interval; it is a second.
_NOTED_S = 2
_UNTIL_LOST_S = 30
_UNTIL_LOST_BY_PEERS_S = 3
_UNTIL_STUCK_S = 300
_LOOK_EVERY_S = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="for each (%(default)s)"
    )
    parser.add_argument(
        "--step",
        type=int,
        default=10_000,
        help="how many come at a time (%(default)s): a fifth of all at the most",
    )
    parser.add_argument(
        "--sensors", type=int, default=200, help="how many there are (%(default)s)"
    )
    parser.add_argument(
        "--modes",
        type=mode_named,
        nargs="+",
        choices=(*_MODES, *_MORE_MODES),
        default=_MODES,
        help=f"which exporters ({' '.join(_MODES)})",
    )
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="where to draw it as SVG"
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if ours has grown, or lost anything."""
    if options.events < _FEWEST_SAMPLES * options.step:
        print("--events has to be five times --step", file=sys.stderr)
        return 2
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    report = Report(
        [mode for mode in options.modes if mode.is_ours],
        {
            "events": options.events,
            "step": options.step,
            "sensors": options.sensors,
            "home_assistant": __version__,
        },
    )
    for mode in options.modes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            home = Home(mode, path, options.sensors)
            async with (
                running_destination(mode, path) as destination,
                home.life(destination, 1) as subject,
            ):
                await show_all(subject, destination, options.sensors)
                await _Flow(mode, path, subject, destination).watch(report, options)
    report.finish()
    if options.chart:
        draw_growth(report.samples, options.chart)
    return 0 if report.is_good else 1


class _Flow:
    """Events through one exporter."""

    def __init__(
        self, mode: Mode, folder: Path, subject: Answering, destination: Destination
    ) -> None:
        self._mode = mode
        self._folder = folder
        self._subject = subject
        self._destination = destination
        self._lost = 0

    async def watch(self, report: Report, options: argparse.Namespace) -> None:
        """Let all events through, and note what the process holds on the way.

        Raises:
            TimeoutError: the outbox did not become empty.
        """
        before = await self._destination.count()
        await self._subject.tell(do="begin")
        steps = options.events // options.step
        sample_every = max(1, steps // _SAMPLES)
        sent = superseded = 0
        for nth in range(1, steps + 1):
            await self._subject.tell(do="burst", count=options.step)
            sent += options.step
            superseded = await self._emptied()
            await self._expect(before + sent - superseded)
            if nth % sample_every == 0:
                report.add(self._mode, await self._sample(sent))
        first = 1 + options.sensors
        numbers = set(range(first, first + sent))
        for arrival in await self._destination.received():
            numbers.discard(arrival.number)
        report.lose(self._mode, len(numbers) - superseded)

    async def _emptied(self) -> int:
        """Wait until nothing waits, and return how much newer readings have replaced."""
        async with asyncio.timeout(_UNTIL_STUCK_S):
            told = await self._subject.tell(do="outbox")
            while told["waiting"]:
                await asyncio.sleep(_LOOK_EVERY_S)
                told = await self._subject.tell(do="outbox")
        superseded: int = told["superseded"]
        return superseded

    async def _expect(self, values: int) -> None:
        """Wait until the server has so many, but for what was lost before."""
        quiet_s = _UNTIL_LOST_S if self._mode.is_ours else _UNTIL_LOST_BY_PEERS_S
        wanted = values - self._lost
        self._lost += wanted - await self._destination.until(wanted, quiet_s)

    async def _sample(self, events: int) -> Sample:
        await asyncio.sleep(_NOTED_S)
        held = await self._subject.tell(do="memory")
        files = (self._folder / "config" / STORAGE_DIR).glob("*.outbox*")
        outbox_bytes = sum(file.stat().st_size for file in files)
        return Sample(events, held["rss_kb"], held["blocks"], outbox_bytes)
