"""What clients make of every answer: this one, beside `sensorvision-sdk` 0.1.1.

Both are told the same, each in a process of its own, against the sandbox and against
servers that follow a script. What the server has seen and stored decides who is right.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.client.environments import OURS, PEER, python_of, variables_of

from .answer_case import Case, Found
from .answer_cases import ANSWERS
from .answer_inputs import INPUTS
from .answer_servers import Facts

_DRIVER = Path(__file__).with_name("answer_driver.py")
_ROOT = _DRIVER.parent.parent
_WIDTH = 200
_DEADLINE_S = 10
_START_S = 30
_WAYS = ("sync", "async")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--case", action="append", help="only those whose name holds this text"
    )
    parser.add_argument(
        "--alone", action="store_true", help="without the peer, for want of a network"
    )


async def run(options: argparse.Namespace) -> Answers:
    """Try every case, and say what became of it."""
    cases = [
        case
        for case in (*ANSWERS, *INPUTS)
        if not options.case or any(part in case.name for part in options.case)
    ]
    pythons = {OURS: Path(sys.executable)}
    if not options.alone:
        pythons[PEER] = await asyncio.to_thread(python_of, PEER)
    answers = Answers([Subject(whose, way) for whose in pythons for way in _WAYS])
    async with asyncio.TaskGroup() as group:
        for subject in answers.subjects:
            python = pythons[subject.whose]
            group.create_task(_try_all(subject, python, cases, answers))
    return answers


@dataclass(frozen=True)
class Subject:
    """Whose client, and which.

    Attributes:
        whose: the package.
        way: `sync` or `async`.
    """

    whose: str
    way: str

    def __str__(self) -> str:
        return f"{self.whose}, {self.way}"


@dataclass(frozen=True)
class Cell:
    """What one client did in one case, and what was wrong about it."""

    found: Found
    facts: Facts
    flaws: list[str]

    def __str__(self) -> str:
        did = self.found.outcome or "ok"
        facts = self.facts
        told = f"{did}, {facts.posts} sent, {facts.stored} stored"
        return f"[red]{told}: {', '.join(self.flaws)}" if self.flaws else told


@dataclass
class Answers:
    """What all did.

    Attributes:
        subjects: who was tried.
        cells: by case and subject.
    """

    subjects: list[Subject]
    cells: dict[tuple[Case, Subject], Cell] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Tell whether ours was never wrong, and was tried."""
        ours = [
            cell for (_, subject), cell in self.cells.items() if subject.whose == OURS
        ]
        return bool(ours) and not any(cell.flaws for cell in ours)

    def print(self, name: str) -> None:
        """Print a table to standard error, and lines of JSON to standard output."""
        table = Table(title=name, show_lines=True)
        for column in ("case", "contract", *map(str, self.subjects)):
            table.add_column(column)
        for case in dict.fromkeys(case for case, _ in self.cells):
            found = [self.cells.get((case, subject)) for subject in self.subjects]
            table.add_row(case.name, case.source, *(str(cell or "") for cell in found))
        Console(stderr=True, width=_WIDTH).print(table)
        for (case, subject), cell in self.cells.items():
            figures = {
                "proof": name,
                "case": case.name,
                "contract": case.source,
                **asdict(subject),
                **asdict(cell.found),
                **asdict(cell.facts),
                "flaws": cell.flaws,
            }
            print(json.dumps(figures))
        verdict = {
            "proof": name,
            "holds": self.holds,
            "cases": len({case for case, _ in self.cells}),
            "tried": self._counts(lambda _: True),
            "wrong": self._counts(lambda cell: bool(cell.flaws)),
        }
        print(json.dumps(verdict), flush=True)

    def _counts(self, is_counted: Callable[[Cell], bool]) -> dict[str, int]:
        return {
            str(subject): sum(
                is_counted(cell)
                for (_, whose), cell in self.cells.items()
                if whose == subject
            )
            for subject in self.subjects
        }


async def _try_all(
    subject: Subject, python: Path, cases: Sequence[Case], answers: Answers
) -> None:
    driver = _Driver(subject, python)
    try:
        for case in cases:
            if case.is_async and subject.way != "async":
                continue
            async with case.serve(case.order) as facts:
                found = await driver.send(case, facts.url)
            flaws = case.right.flaws(found, facts)
            answers.cells[case, subject] = Cell(found, facts, flaws)
    finally:
        await driver.end()


class _Driver:
    """A client in a process of its own, started anew when it hangs."""

    def __init__(self, subject: Subject, python: Path) -> None:
        self._subject = subject
        self._python = python
        self._process: asyncio.subprocess.Process | None = None

    async def send(self, case: Case, url: str) -> Found:
        """Let it send something, and return what it says of it."""
        process = self._process or await self._start()
        order = {**asdict(case.order), "url": url + case.order.base_path}
        order["variables"] = dict(case.order.variables)
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("The driver has no pipes")
        process.stdin.write(json.dumps(order).encode() + b"\n")
        try:
            async with asyncio.timeout(_DEADLINE_S):
                line = await process.stdout.readline()
        except TimeoutError:
            await self.end()
            return Found("hangs", seconds=_DEADLINE_S)
        if not line:
            raise RuntimeError("A driver ended early: see what it printed above")
        return Found(**json.loads(line))

    async def end(self) -> None:
        """End it, whatever it is doing."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.kill()
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            self._python,
            str(_DRIVER),
            self._subject.way,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
            env=variables_of(self._subject.whose),
        )
        # Its imports are not to count as the first case's.
        if self._process.stdout:
            async with asyncio.timeout(_START_S):
                await self._process.stdout.readline()
        return self._process
