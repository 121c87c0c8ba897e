"""Print what was measured, for programs as JSON lines and for people as a table."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
import json
import platform
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.meter import Measured

_WIDTH = 120


@dataclass(frozen=True)
class Row:
    """What one subject did in one phase.

    Attributes:
        phase: what was done.
        choice: by what all entities were chosen.
        subject: who did it.
        measured: what it cost; None if there is nothing to do or it can't.
    """

    phase: str
    choice: str
    subject: str
    measured: Measured

    @property
    def what(self) -> tuple[str, str, str]:
        """Return what rounds have in common."""
        return self.phase, self.choice, self.subject


@dataclass(frozen=True)
class Median:
    """The medians of some rounds.

    Attributes:
        worst_held_ms: of all rounds, the longest stretch.
    """

    phase: str
    choice: str
    subject: str
    measured: Measured
    worst_held_ms: float


class Report:
    """What a bench has found so far.

    Args:
        bench: its name.
        facts: what it was told, such as the number of rounds.

    Attributes:
        is_good: whether every count was as it should be.
    """

    def __init__(self, bench: str, **facts: int) -> None:
        """Begin with nothing."""
        self.is_good = True
        self._bench = bench
        self._facts = facts
        self._rows: list[Row] = []
        self._console = Console(stderr=True, width=_WIDTH)

    def add(self, round_number: int, row: Row) -> None:
        """Note a measurement and print it."""
        self._rows.append(row)
        self._print(
            round=round_number,
            phase=row.phase,
            choice=row.choice,
            subject=row.subject,
            **_rounded(row.measured),
        )

    def judge(
        self,
        round_number: int,
        choice: str,
        counts: Mapping[str, int],
        expected: Mapping[str, int],
    ) -> None:
        """Note what a mirror held, and whether it is what it should have held."""
        is_good = counts == expected
        self.is_good &= is_good
        self._print(round=round_number, choice=choice, counts=counts, is_good=is_good)
        if not is_good:
            self._console.print(f"[red]By {choice}: {counts}, but should {expected}")

    def finish(self, ours: str, cannot: Mapping[str, str]) -> None:
        """Print the medians, and what the others can't do."""
        medians = list(self._medians())
        self._show(medians, ours, cannot)
        self._print(
            **self._facts,
            home_assistant=version("homeassistant"),
            python=platform.python_version(),
            is_good=self.is_good,
            cannot=cannot,
            medians=[
                {
                    "phase": found.phase,
                    "choice": found.choice,
                    "subject": found.subject,
                    **_rounded(found.measured),
                    "worst_held_ms": round(found.worst_held_ms, 2),
                }
                for found in medians
            ],
        )

    def _medians(self) -> Iterator[Median]:
        by_what: dict[tuple[str, str, str], list[Measured]] = {}
        for row in self._rows:
            by_what.setdefault(row.what, []).append(row.measured)
        for what, rounds in by_what.items():
            yield Median(
                *what,
                Measured(
                    median(found.held_ms for found in rounds),
                    median(found.busy_ms for found in rounds),
                    _median(found.late_ms for found in rounds),
                    _median(found.cpu_ms for found in rounds),
                    _median(found.right_ms for found in rounds),
                ),
                max(found.held_ms for found in rounds),
            )

    def _show(
        self, medians: list[Median], ours: str, cannot: Mapping[str, str]
    ) -> None:
        table = Table(title=f"{self._bench}: {self._facts}, medians")
        for column in ("phase", "choice", "subject"):
            table.add_column(column)
        for column in (
            "loop held ms",
            "x ours",
            "worst",
            "of it CPU",
            "timer late ms",
            "CPU ms",
            "x ours",
            "right after ms",
        ):
            table.add_column(column, justify="right")
        of_ours = {
            (found.phase, found.choice): found.measured
            for found in medians
            if found.subject == ours
        }
        order = list(dict.fromkeys(found.phase for found in medians))
        for found in sorted(medians, key=lambda found: order.index(found.phase)):
            measured = found.measured
            own = of_ours.get((found.phase, found.choice))
            table.add_row(
                found.phase,
                found.choice,
                found.subject,
                _figure(measured.held_ms),
                _ratio(measured.held_ms, own.held_ms if own else None),
                _figure(found.worst_held_ms),
                _figure(measured.busy_ms),
                _figure(measured.late_ms),
                _figure(measured.cpu_ms),
                _ratio(measured.cpu_ms, own.cpu_ms if own else None),
                _figure(measured.right_ms),
            )
        self._console.print(table)
        for subject, what in cannot.items():
            self._console.print(f"The {subject} {what}.")

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": self._bench, **facts}), flush=True)


def _rounded(measured: Measured) -> dict[str, float | None]:
    return {
        key: None if value is None else round(value, 2)
        for key, value in asdict(measured).items()
    }


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(value: float | None, own: float | None) -> str:
    return f"{value / own:.2g}" if value is not None and own else ""
