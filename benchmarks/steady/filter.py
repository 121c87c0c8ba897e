"""One sensor that is exported while 199 others keep the bus busy: how late its readings are.

All exporters run at the same time, each with a Home Assistant core and a server in
processes of their own, so that whatever else the machine does troubles all alike.
"""

import argparse
import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
import json
from pathlib import Path
import tempfile
from typing import Any

from homeassistant.const import __version__

from benchmarks.exporters.answering import Answering
from benchmarks.exporters.destination import Destination, running_destination
from benchmarks.exporters.modes import Mode, mode_named
from benchmarks.exporters.trial import Home
from custom_components.sensorvision.client.pace import Pace

from .filter_report import Report
from .lateness import Lateness, judge

_CHOSEN = "sensor.thing_0"
_MODES = (
    Mode.INFLUXDB_V1,
    Mode.INFLUXDB_V2,
    Mode.SPLUNK,
    Mode.ACCOUNT,
    Mode.MQTT,
    Mode.TOKEN,
)

# The last reading has to have arrived before the bus falls silent.
_TAIL_S = 3
_UNTIL_LATE_S = 10

# Which of its YAML makes an exporter's choice as narrow as a mirror's target.
_NARROW = {
    Mode.INFLUXDB_V1: {"influxdb": {"include": {"entities": [_CHOSEN]}}},
    Mode.INFLUXDB_V2: {"influxdb": {"include": {"entities": [_CHOSEN]}}},
    Mode.SPLUNK: {"splunk": {"filter": {"include_entities": [_CHOSEN]}}},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--modes",
        type=mode_named,
        nargs="+",
        choices=_MODES,
        default=_MODES,
        help="which exporters (all)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=40,
        help="for how long the chosen sensor changes (%(default)g)",
    )
    parser.add_argument(
        "--sensors", type=int, default=200, help="how many there are (%(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=20,
        help="how often all others change in a second (%(default)g)",
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="to take medians of (%(default)s)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.5,
        metavar="S",
        help="how much later than its flush interval ours may be, for the request and"
        " for what else the machine does (%(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if a reading of ours was late or lost."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    limit_s = Pace().window_s + options.tolerance
    report = Report(
        {mode: limit_s for mode in options.modes if mode.is_ours},
        {
            "seconds": options.seconds,
            "sensors": options.sensors,
            "rate_hz": options.rate,
            "rounds": options.rounds,
            "home_assistant": __version__,
        },
    )
    for round_number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            async with AsyncExitStack() as stack:
                watched = await _at_once(
                    _prepared(stack, mode, Path(folder), options)
                    for mode in options.modes
                )
                found = await _at_once(each.watch(options) for each in watched)
        for mode, lateness in zip(options.modes, found, strict=True):
            report.add(round_number, mode, lateness)
    report.finish()
    return 0 if report.is_good else 1


async def _at_once[Result](
    calls: Iterable[Coroutine[Any, Any, Result]],
) -> list[Result]:
    """Run them all at the same time; when one fails, none of the others goes on."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


async def _prepared(
    stack: AsyncExitStack, mode: Mode, folder: Path, options: argparse.Namespace
) -> _Watched:
    """Run a core whose exporter has exported one reading of the chosen sensor."""
    own_folder = folder / mode.replace(" ", "-")
    own_folder.mkdir()
    destination = await stack.enter_async_context(running_destination(mode, own_folder))
    home = Home(mode, own_folder, options.sensors)
    subject = await stack.enter_async_context(
        home.life(
            destination,
            1,
            follow=[_CHOSEN],
            # YAML takes JSON for what it is.
            configuration=json.dumps(_NARROW.get(mode, {})),
        )
    )
    await subject.tell(do="burst", count=1)
    await destination.until(1, _UNTIL_LATE_S)
    await subject.tell(do="begin")
    return _Watched(subject, destination)


@dataclass(frozen=True)
class _Watched:
    subject: Answering
    destination: Destination

    async def watch(self, options: argparse.Namespace) -> Lateness:
        """Return how late readings were.

        Raises:
            NotNarrowError: readings of other sensors were exported, too.
        """
        bus: dict[str, Any] = await self.subject.tell(
            do="busy",
            seconds=options.seconds,
            rate_hz=options.rate,
            tail_s=_TAIL_S,
        )
        sent: Sequence[tuple[int, float]] = bus["chosen"]
        await self.destination.until(1 + len(sent), _UNTIL_LATE_S)
        arrived: dict[int, float] = {}
        for arrival in await self.destination.received():
            arrived.setdefault(arrival.number, arrival.arrived_at)
        measured = await self.subject.tell(do="measure")
        return judge(
            dict(sent),
            arrived,
            others=bus["others"],
            busy_until=bus["busy_until"],
            superseded=measured["superseded"],
            longest_gap_s=bus["longest_gap_s"],
        )
