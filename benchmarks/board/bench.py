"""A board: what this port costs there, beside what else sends readings from one.

Bytecode, heap, garbage, writes and time of one reading, measured on the unix port of
MicroPython against servers on this machine that cost next to nothing, plain and over TLS.
"""

import argparse
import asyncio
from dataclasses import asdict, replace
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile

from .client import Client, MeasureError
from .earlier import EARLIER
from .peers import fetched_subjects
from .report import Turn, Weight, faults, print_line, print_tables, summed_up
from .sinks import Sinks, running_sinks
from .subjects import Subject, firmware_subject, own_subjects

# A new connection is a handshake, and with some peers a fifth of a second.
_MOST_CONNECTIONS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--sends",
        type=int,
        default=100,
        help="a turn, two at least, to take medians of (%(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of each subject (%(default)s)"
    )
    parser.add_argument(
        "--alone", action="store_true", help="fetch no peers from the registry"
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if this port did not send, lost a reading, or sent it twice."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = [*own_subjects(folder), firmware_subject(folder / "empty")]
        missing: dict[str, str] = {}
        if not options.alone:
            fetched, missing = await asyncio.to_thread(fetched_subjects, folder)
            subjects += fetched
        async with running_sinks(folder) as sinks:
            bench = _Bench(sinks, options.sends)
            await bench.weigh(subjects)
            for number in range(1, options.rounds + 1):
                await bench.take_turns(number, subjects)
    measured = {
        subject.name: summed_up(bench.weights[subject.name], turns)
        for subject in subjects
        if (turns := bench.turns.get(subject.name))
    }
    ours = [subject.name for subject in subjects if subject.is_ours]
    wrong = [f"{name} did not send" for name in ours if name not in measured]
    for name in ours:
        wrong += faults(name, measured.get(name, {}))
    print_tables(measured, missing | bench.failures)
    for fault in wrong:
        print(fault, file=sys.stderr)
    print_line(
        sends=options.sends,
        rounds=options.rounds,
        micropython=_firmware(),
        is_good=not wrong,
        wrong=wrong,
        missing=missing,
        failures=bench.failures,
        measured=measured,
        not_measured_here=EARLIER,
    )
    return 1 if wrong else 0


class _Bench:
    """Measures subjects against servers.

    Attributes:
        weights: of each that sent.
        turns: of each that sent.
        failures: what a subject could not do.
    """

    def __init__(self, sinks: Sinks, sends: int) -> None:
        self._sinks = sinks
        self._sends = sends
        self.weights: dict[str, Weight] = {}
        self.turns: dict[str, list[Turn]] = {}
        self.failures: dict[str, str] = {}

    async def weigh(self, subjects: list[Subject]) -> None:
        """Measure what no clock measures."""
        for subject in subjects:
            try:
                weight = await asyncio.to_thread(self._weight, subject)
            except MeasureError as err:
                self.failures[subject.name] = str(err)
            else:
                self.weights[subject.name] = weight
                print_line(subject=subject.name, **asdict(weight))

    def _weight(self, subject: Subject) -> Weight:
        client = subject.client(self._sinks.plain)
        weight = Weight(
            mpy_bytes=client.mpy_bytes() if subject.has_files else None,
            import_heap=client.import_heap_bytes(),
            smallest_heap=client.smallest_heap_bytes(),
            allocated=client.allocated_bytes(),
            writes=client.writes_per_send() if shutil.which("strace") else None,
        )
        return self._weight_over_tls(subject, weight) if subject.has_tls else weight

    def _weight_over_tls(self, subject: Subject, weight: Weight) -> Weight:
        client = subject.client(self._sinks.trusted)
        try:
            tls_heap = client.smallest_heap_bytes(weight.smallest_heap or 0)
        except MeasureError as err:
            if subject.is_ours:
                raise
            self.failures[f"{subject.name}, TLS"] = _last_line(err)
            return weight
        return replace(
            weight,
            tls_heap=tls_heap,
            is_checking=not subject.client(self._sinks.stranger).sends(),
        )

    async def take_turns(self, number: int, subjects: list[Subject]) -> None:
        """Measure with the clock, one subject after the other."""
        for subject in subjects:
            if weight := self.weights.get(subject.name):
                try:
                    turn = await self._turn(subject, weight.tls_heap is not None)
                except MeasureError as err:
                    self.failures[subject.name] = str(err)
                    continue
                self.turns.setdefault(subject.name, []).append(turn)
                print_line(round=number, subject=subject.name, **asdict(turn))

    async def _turn(self, subject: Subject, can_tls: bool) -> Turn:
        before = await self._sinks.arrived()
        client = subject.client(self._sinks.plain)
        sent, kept_us, fresh_us = await asyncio.to_thread(_times, client, self._sends)
        tls_kept_us = tls_fresh_us = None
        if can_tls:
            client = subject.client(self._sinks.trusted)
            more, tls_kept_us, tls_fresh_us = await asyncio.to_thread(
                _times, client, self._sends
            )
            sent += more
        return Turn(
            sent=sent,
            arrived=await self._sinks.arrived() - before,
            kept_us=kept_us,
            fresh_us=fresh_us,
            tls_kept_us=tls_kept_us,
            tls_fresh_us=tls_fresh_us,
        )


def _times(client: Client, sends: int) -> tuple[int, int | None, int]:
    """Return how many readings were sent, and microseconds, kept and new."""
    few = min(sends, _MOST_CONNECTIONS)
    # Without a connection that is kept, each send makes one, and counts as such.
    if not client.close:
        return few, None, client.kept_us(few)
    return sends + few, client.kept_us(sends), client.fresh_us(few)


def _last_line(err: MeasureError) -> str:
    return str(err).strip().rpartition("\n")[2]


def _firmware() -> str:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("micropython"),
            *("-c", "import sys; print(sys.version)"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
