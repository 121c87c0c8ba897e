"""Print what became of readings, as JSON lines and as a table of medians."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
import json
import os
import platform
from statistics import median

from rich.console import Console
from rich.table import Table

_WIDTH = 152
_PEERS = ("homeassistant", "influxdb", "influxdb-client", "hass-splunk")

# What was found in one run, by name; nothing where there is nothing to find.
Figures = Mapping[str, float | None]


class Report:
    """What a bench has found so far.

    Args:
        bench: its name.
        exporters: the names of those that take part, in the table's order.
        facts: what it was told, such as the number of rounds.

    Attributes:
        flaws: why the run is void, each a sentence; nothing if it is good.
    """

    def __init__(self, bench: str, exporters: Sequence[str], **facts: float) -> None:
        """Begin with nothing."""
        self.flaws: list[str] = []
        self._bench = bench
        self._exporters = list(exporters)
        self._facts = facts
        self._rows: dict[tuple[str, ...], list[Figures]] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    def add(
        self,
        round_number: int,
        what: tuple[str, ...],
        figures: Figures,
        flaws: Sequence[str] = (),
    ) -> None:
        """Note a run and print it.

        Args:
            round_number: from 1.
            what: the exporter, and what was done to it where there are several things.
            figures: what was found.
            flaws: what must not be, each a sentence.
        """
        self._rows.setdefault(what, []).append(figures)
        self._print(round=round_number, **_named(what), **_rounded(figures))
        for flaw in flaws:
            self.flaws.append(f"{', '.join(what)}, round {round_number}: {flaw}")
            self._console.print(f"[red]{self.flaws[-1]}")

    def finish(self) -> None:
        """Print the medians."""
        # Those that run side by side end in any order.
        order = sorted(self._rows, key=lambda what: self._exporters.index(what[0]))
        medians = {what: _medians(self._rows[what]) for what in order}
        self._show(medians)
        self._print(
            **self._facts,
            **{name.replace("-", "_"): version(name) for name in _PEERS},
            python=platform.python_version(),
            cores=os.cpu_count(),
            is_good=not self.flaws,
            flaws=self.flaws,
            medians=[
                {**_named(what), **_rounded(figures)}
                for what, figures in medians.items()
            ],
        )

    def _show(self, medians: Mapping[tuple[str, ...], Figures]) -> None:
        told = ", ".join(f"{name} {value:g}" for name, value in self._facts.items())
        table = Table(title=f"{self._bench}: {told}; medians")
        table.add_column("exporter", no_wrap=True)
        for name in dict.fromkeys(name for found in medians.values() for name in found):
            table.add_column(name.replace("_", " "), justify="right")
        for what, figures in medians.items():
            table.add_row(", ".join(what), *map(_figure, figures.values()))
        self._console.print(table)

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": self._bench, **facts}), flush=True)


def _named(what: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("exporter", "case"), what, strict=False))


def _medians(rows: Sequence[Figures]) -> Figures:
    """Return the medians; there is none of what was not there every time."""
    found: dict[str, float | None] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        known = [value for value in values if value is not None]
        found[name] = median(known) if len(known) == len(values) else None
    return found


def _rounded(figures: Figures) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, 3)
        for name, value in figures.items()
    }


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
