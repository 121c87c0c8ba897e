"""Print how late readings arrived, as JSON lines and as a table."""

from collections.abc import Mapping
from dataclasses import asdict
import json

from rich.console import Console
from rich.table import Table

from .lateness import Lateness, together

_WIDTH = 110


class Report:
    """What the bench has found so far.

    Args:
        limits_s: by mode, how late a reading may be, in seconds; the modes of others
            are not in it: what they do is only told.
        facts: what the last line says beside what was found.

    Attributes:
        is_good: whether nothing was wrong with those that are held to a limit.
    """

    def __init__(
        self, limits_s: Mapping[str, float], facts: Mapping[str, object]
    ) -> None:
        self.is_good = True
        self._limits_s = limits_s
        self._facts = facts
        self._found: dict[str, list[Lateness]] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    def add(self, round_number: int, mode: str, found: Lateness) -> None:
        """Note what one run has found.

        Nothing is told of a peer whose bus was not busy after all.
        """
        is_void = mode not in self._limits_s and not found.was_busy
        if is_void:
            self._console.print(
                f"{mode}, round {round_number}: void, as the bus was silent for"
                f" {found.longest_gap_s:.1f} s"
            )
        else:
            self._found.setdefault(mode, []).append(found)
        faults = self._faults(mode, found)
        for fault in faults:
            self.is_good = False
            self._console.print(f"[red]{mode}, round {round_number}: {fault}")
        self._print(
            round=round_number,
            mode=mode,
            **_members(found),
            is_void=is_void,
            faults=faults,
        )

    def finish(self) -> None:
        """Print what all runs have found together."""
        medians = {mode: together(rounds) for mode, rounds in self._found.items()}
        self._console.print(self._table(medians))
        self._print(
            **self._facts,
            limits_s=dict(self._limits_s),
            is_good=self.is_good,
            medians={mode: _members(found) for mode, found in medians.items()},
        )

    def _faults(self, mode: str, found: Lateness) -> list[str]:
        limit_s = self._limits_s.get(mode)
        return [] if limit_s is None else found.faults(limit_s)

    def _table(self, medians: Mapping[str, Lateness]) -> Table:
        table = Table(title="Readings of one sensor while others keep the bus busy")
        table.add_column("mode", no_wrap=True)
        for column in (
            "readings",
            "p50 late, s",
            "max late, s",
            "only when quiet",
            "superseded",
            "lost",
            "limit, s",
        ):
            table.add_column(column, justify="right")
        for mode, found in medians.items():
            limit_s = self._limits_s.get(mode)
            table.add_row(
                mode,
                f"{found.sent}",
                _seconds(found.p50_s),
                _seconds(found.max_s),
                f"{found.once_quiet}",
                f"{found.superseded}",
                f"{found.lost}",
                "" if limit_s is None else f"{limit_s:g}",
            )
        return table

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": "filter", **facts}), flush=True)


def _members(found: Lateness) -> dict[str, object]:
    members = {**asdict(found), "lost": found.lost}
    return {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in members.items()
    }


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"
