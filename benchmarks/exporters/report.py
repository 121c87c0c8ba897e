"""Print what exporting has cost, as JSON lines and as a table."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
import json
import os
import platform
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from .bars import bars_of
from .costs import Costs
from .modes import Mode

_WIDTH = 160
_PEER = Mode.INFLUXDB_V1
_PACKAGES = ("homeassistant", "influxdb", "influxdb-client", "hass-splunk")
_COMPARED = ("process_above_ms", "requests", "bytes_up")

# Figures by name; those above the floor are there, too.
type Figures = dict[str, float]
type Key = tuple[str, Mode]


class Report:
    """What the bench has found so far.

    Attributes:
        is_good: whether no run is void.
        medians: figures by shape and mode, once it has finished.
    """

    def __init__(self, **facts: object) -> None:
        """Begin with nothing.

        Args:
            facts: what was asked for.
        """
        self.is_good = True
        self.medians: dict[Key, Figures] = {}
        self._facts = facts
        self._found: dict[Key, dict[int, Costs]] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    def add(
        self,
        round_number: int,
        mode: Mode,
        shape: str,
        costs: Costs,
        flaws: Sequence[str],
    ) -> None:
        """Note what it has cost in a round, and whether the run is void."""
        self._found.setdefault((shape, mode), {})[round_number] = costs
        if flaws:
            self.is_good = False
            self._console.print(f"[red]{shape}, {mode}: void. {' '.join(flaws)}")
        self._print(
            round=round_number,
            shape=shape,
            mode=mode,
            **costs.rounded(),
            void=list(flaws),
        )

    def finish(self) -> None:
        """Print the medians, the ratios and which bars are met."""
        self.medians = {key: self._figures(*key) for key in self._found}
        for shape in dict.fromkeys(shape for shape, _ in self._found):
            self._console.print(self._table(shape))
        bars = bars_of(self.medians)
        for bar in bars:
            self._console.print(
                f"{'met' if bar['is_met'] else '[red]missed[/]'}: {bar['shape']},"
                f" {bar['mode']}, {bar['figure']} {bar['found']:g} (bar: {bar['bar']:g})"
            )
        self._print(
            **self._facts,
            python=platform.python_version(),
            versions={name: version(name) for name in _PACKAGES},
            cores=os.cpu_count(),
            is_good=self.is_good,
            medians=[
                {
                    "shape": shape,
                    "mode": mode,
                    **figures,
                    "times_peer": self._times_peer(shape, mode),
                }
                for (shape, mode), figures in self.medians.items()
            ],
            bars=bars,
        )

    def _figures(self, shape: str, mode: Mode) -> Figures:
        found = self._found[shape, mode]
        # In each round they had the same neighbours.
        floors = self._found[shape, Mode.FLOOR]
        above = {
            f"{name}_above_{unit}": median(
                getattr(costs, f"{name}_{unit}")
                - getattr(floors[round_number], f"{name}_{unit}")
                for round_number, costs in found.items()
            )
            for name, unit in (("process", "ms"), ("loop", "ms"), ("peak", "mb"))
        }
        figures = Costs.median_of(list(found.values())).rounded()
        return {**figures, **{key: round(value, 3) for key, value in above.items()}}

    def _times_peer(self, shape: str, mode: Mode) -> Figures:
        """Return how many times a peer's the figures are of one that exports."""
        peer, own = self.medians.get((shape, _PEER)), self.medians[shape, mode]
        if not peer or not mode.exports:
            return {}
        return {key: round(own[key] / peer[key], 3) for key in _COMPARED if peer[key]}

    def _table(self, shape: str) -> Table:
        table = Table(
            title=f"{shape}: processor time in ms and requests for 1,000 states, bytes for"
            f" one; timers' lateness in ms; memory in MiB; x: how many times {_PEER}'s"
        )
        table.add_column("mode", no_wrap=True)
        for column in (
            *("process", "+floor", "x", "loop", "+floor", "late p50", "p99", "max"),
            *("requests", "bytes", "x", "memory", "+floor"),
            *("lost", "twice", "superseded"),
        ):
            table.add_column(column, justify="right")
        for (of, mode), found in self.medians.items():
            if of != shape:
                continue
            times = self._times_peer(shape, mode)
            table.add_row(
                mode,
                f"{found['process_ms']:.1f}",
                f"{found['process_above_ms']:.1f}",
                _shown(times, "process_above_ms"),
                f"{found['loop_ms']:.1f}",
                f"{found['loop_above_ms']:.1f}",
                f"{found['late_p50_ms']:.1f}",
                f"{found['late_p99_ms']:.1f}",
                f"{found['late_max_ms']:.1f}",
                f"{found['requests']:.1f}",
                f"{found['bytes_up']:.0f}",
                _shown(times, "bytes_up"),
                f"{found['peak_mb']:.0f}",
                f"{found['peak_above_mb']:.0f}",
                *(f"{found[key]:.0f}" for key in ("lost", "duplicated", "superseded")),
            )
        return table

    def _print(self, **facts: Any) -> None:
        print(json.dumps({"bench": "ha", **facts}), flush=True)


def _shown(times: Mapping[str, float], key: str) -> str:
    return f"{times[key]:.2f}" if key in times else ""
