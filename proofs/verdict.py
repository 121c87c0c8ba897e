"""Say what became of readings, for people as a table and for programs as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json

from rich.console import Console
from rich.table import Table

_WIDTH = 120


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a proof has found.

    Attributes:
        sent: readings in the log of the process that made them.
        delivered: how many of them are in the server's database.
        superseded: how many were replaced by a newer one, where times can't be kept.
        lost: how many are neither.
        duplicated: how many readings the server has more than once.
        faults: how often something was made to go wrong.
        least_sent: with fewer readings it shows nothing.
        least_faults: with fewer faults it shows nothing.
        flaws: what else went wrong, each a sentence.
        extra: what else was found, by name.
    """

    sent: int
    delivered: int
    superseded: int
    lost: int
    duplicated: int
    faults: int
    least_sent: int = 1
    least_faults: int = 0
    flaws: Sequence[str] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def shortcomings(self) -> list[str]:
        """Return why the proof has failed; nothing if it holds."""
        found = list(self.flaws)
        if self.lost:
            found.append(f"{self.lost} readings were lost.")
        if self.sent < self.least_sent:
            found.append(
                f"Only {self.sent} readings were sent, {self.least_sent} are needed."
            )
        if self.faults < self.least_faults:
            found.append(
                f"Only {self.faults} faults happened, {self.least_faults} are needed."
            )
        return found

    @property
    def holds(self) -> bool:
        """Tell whether nothing was lost, and enough was tried."""
        return not self.shortcomings

    def print(self, name: str) -> None:
        """Print a table to standard error, and a line of JSON to standard output."""
        figures = {
            "sent": self.sent,
            "delivered": self.delivered,
            "superseded": self.superseded,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "faults": self.faults,
            **self.extra,
        }
        table = Table(title=name, show_header=False)
        table.add_column("what")
        table.add_column("figure", justify="right")
        for what, figure in figures.items():
            table.add_row(what.replace("_", " "), str(figure))
        console = Console(stderr=True, width=_WIDTH)
        console.print(table)
        for shortcoming in self.shortcomings:
            console.print(f"[red]{shortcoming}")
        print(json.dumps({"proof": name, "holds": self.holds, **figures}), flush=True)
