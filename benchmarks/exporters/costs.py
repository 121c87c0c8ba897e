"""What exporting has cost, and medians of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any, Self

from .destination import Destination
from .judgement import Outcome

_PER = 1000


@dataclass(frozen=True)
class Costs:
    """What exporting some states has cost.

    Attributes:
        process_ms: processor time of Home Assistant's process, for 1,000 states.
        loop_ms: likewise of the thread of its event loop alone.
        late_p50_ms: how late a timer fired, of one every 5 ms; half were later.
        late_p99_ms: likewise; one of a hundred was later.
        late_max_ms: likewise; the latest.
        requests: of HTTP, or messages over MQTT, for 1,000 states.
        bytes_up: that were sent for one state, without what TCP adds.
        peak_mb: the most memory of the process ever, in MiB.
        lost: how many numbers did not arrive.
        duplicated: how many arrived again.
        superseded: how many were not sent for a newer one.
    """

    process_ms: float
    loop_ms: float
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    requests: float
    bytes_up: float
    peak_mb: float
    lost: float
    duplicated: float
    superseded: float

    @classmethod
    def of(
        cls, measured: dict[str, Any], destination: Destination, outcome: Outcome
    ) -> Self:
        """Gather what process, relay and judgement say."""
        events = outcome.shown
        late_ms = measured["late_ms"]
        return cls(
            process_ms=measured["process_cpu_s"] * 1000 * _PER / events,
            loop_ms=measured["loop_cpu_s"] * 1000 * _PER / events,
            late_p50_ms=late_ms["p50"],
            late_p99_ms=late_ms["p99"],
            late_max_ms=late_ms["max"],
            requests=destination.requests * _PER / events,
            bytes_up=destination.bytes_up / events,
            peak_mb=measured["max_rss_kb"] / 1024,
            lost=outcome.lost,
            duplicated=outcome.duplicated,
            superseded=outcome.superseded,
        )

    @classmethod
    def median_of(cls, several: Sequence[Self]) -> Self:
        """Return the median of each figure."""
        rows = [asdict(costs) for costs in several]
        return cls(
            **{
                each.name: median(row[each.name] for row in rows)
                for each in fields(cls)
            }
        )

    def rounded(self) -> dict[str, float]:
        """Return them as they are printed."""
        return {name: round(value, 3) for name, value in asdict(self).items()}
