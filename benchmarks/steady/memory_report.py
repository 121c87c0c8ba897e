"""Print what a process holds as events go through it, as JSON lines and as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
import json

from rich.console import Console
from rich.table import Table

from benchmarks.exporters.modes import Mode

from .growth import Growth, Sample, growth_of

_WIDTH = 110


class Report:
    """What the bench has found so far.

    Args:
        held: the modes that have to be flat; what others do is only told.
        facts: what the last line says beside what was found.

    Attributes:
        is_good: whether those that have to be flat are, and none of them lost anything.
    """

    def __init__(self, held: Sequence[Mode], facts: Mapping[str, object]) -> None:
        self.is_good = True
        self._held = held
        self._facts = facts
        self._samples: dict[Mode, list[Sample]] = {}
        self._lost: dict[Mode, int] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    @property
    def samples(self) -> Mapping[Mode, Sequence[Sample]]:
        """Return what each mode held, in order."""
        return self._samples

    def add(self, mode: Mode, sample: Sample) -> None:
        """Note what a process held after so many events."""
        self._samples.setdefault(mode, []).append(sample)
        self._print(mode=mode, **asdict(sample))

    def lose(self, mode: Mode, lost: int) -> None:
        """Note how many events never arrived."""
        self._lost[mode] = lost
        if lost and mode in self._held:
            self._spoil(f"{mode}: {lost} were lost")

    def finish(self) -> None:
        """Print by how much each mode has grown."""
        grown = {mode: growth_of(samples) for mode, samples in self._samples.items()}
        for mode, growth in grown.items():
            if mode in self._held and not growth.is_flat:
                self._spoil(
                    f"{mode}: {growth.early_kb:.0f} KB became {growth.late_kb:.0f} KB"
                )
        self._console.print(self._table(grown))
        self._print(
            **self._facts,
            is_good=self.is_good,
            medians={
                mode: {
                    **_rounded(growth),
                    "is_flat": growth.is_flat,
                    "events": self._samples[mode][-1].events,
                    "lost": self._lost.get(mode),
                }
                for mode, growth in grown.items()
            },
        )

    def _spoil(self, why: str) -> None:
        self.is_good = False
        self._console.print(f"[red]{why}")

    def _table(self, grown: Mapping[Mode, Growth]) -> Table:
        table = Table(title="Memory of Home Assistant's process")
        table.add_column("mode", no_wrap=True)
        for column in (
            "events",
            "second fifth, MB",
            "last fifth, MB",
            "grown, KB",
            "KB per 1,000",
            "blocks per 1,000",
            "outbox, KB",
            "lost",
            "flat",
        ):
            table.add_column(column, justify="right")
        for mode, growth in grown.items():
            table.add_row(
                mode,
                f"{self._samples[mode][-1].events:,}",
                f"{growth.early_kb / 1024:.1f}",
                f"{growth.late_kb / 1024:.1f}",
                f"{growth.grown_kb:,}",
                f"{growth.grown_kb_per_1000:.2f}",
                f"{growth.blocks_per_1000:.1f}",
                f"{growth.outbox_bytes / 1024:,.0f}",
                f"{self._lost.get(mode, '')}",
                "yes" if growth.is_flat else "no",
            )
        return table

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": "memory", **facts}), flush=True)


def _rounded(growth: Growth) -> dict[str, float]:
    return {key: round(value, 3) for key, value in asdict(growth).items()}
