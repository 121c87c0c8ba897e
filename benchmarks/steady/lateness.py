"""How late the readings of one sensor arrive while others keep the bus busy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Exporters that wait for a pause on the bus have had one when it was silent for so long.
_PAUSE_S = 1.0


class NotNarrowError(Exception):
    """Something arrived that the filter should have kept back."""


@dataclass(frozen=True)
class Lateness:
    """What became of the readings of one sensor.

    Attributes:
        sent: how many there were.
        p50_s: from the change of the state to the arrival, half of them, in seconds;
            None if nothing arrived at all.
        max_s: the latest of them.
        once_quiet: how many arrived only after the others had fallen silent.
        missing: how many never arrived.
        superseded: how many of those the exporter says that it has replaced by newer
            ones.
        longest_gap_s: for how long the bus was silent at the most, in seconds.
    """

    sent: int
    p50_s: float | None
    max_s: float | None
    once_quiet: int
    missing: int
    superseded: int
    longest_gap_s: float = 0

    @property
    def was_busy(self) -> bool:
        """Tell whether the bus was never silent for as long as a batch may wait."""
        return self.longest_gap_s < _PAUSE_S

    @property
    def lost(self) -> int:
        """Return how many are missing without having been replaced."""
        return max(0, self.missing - self.superseded)

    def faults(self, limit_s: float) -> list[str]:
        """Return what is wrong with it, in words; nothing if all is well.

        Args:
            limit_s: how late a reading may be, in seconds.
        """
        faults = []
        if self.lost:
            faults.append(f"{self.lost} were lost")
        if self.max_s is not None and self.max_s > limit_s:
            faults.append(f"one was {self.max_s:.2f} s late, not {limit_s:g} s")
        if self.p50_s is None:
            faults.append("nothing arrived")
        return faults


def judge(
    sent: Mapping[int, float],
    arrived: Mapping[int, float],
    *,
    others: Collection[int],
    busy_until: float,
    superseded: int = 0,
    longest_gap_s: float = 0,
) -> Lateness:
    """Tell how late readings were; all times are in seconds since 1970.

    Args:
        sent: when each value of the chosen sensor became true.
        arrived: when each value that arrived did so first.
        others: the values of all other sensors.
        busy_until: when the last of those became true.
        superseded: how many the exporter says that it has replaced.
        longest_gap_s: for how long the bus was silent at the most, in seconds.

    Raises:
        NotNarrowError: a value of another sensor has arrived.
    """
    if strays := set(arrived).intersection(others):
        raise NotNarrowError(f"{len(strays)} values of other sensors have arrived")
    late_s = [arrived[value] - at for value, at in sent.items() if value in arrived]
    return Lateness(
        sent=len(sent),
        p50_s=median(late_s) if late_s else None,
        max_s=max(late_s, default=None),
        once_quiet=sum(
            arrived[value] > busy_until for value in sent if value in arrived
        ),
        missing=len(sent) - len(late_s),
        superseded=superseded,
        longest_gap_s=longest_gap_s,
    )


def together(rounds: Sequence[Lateness]) -> Lateness:
    """Return medians of several rounds, with the worst of what must not be at all."""
    halves = [each.p50_s for each in rounds if each.p50_s is not None]
    latest = [each.max_s for each in rounds if each.max_s is not None]
    return Lateness(
        sent=sum(each.sent for each in rounds),
        p50_s=median(halves) if halves else None,
        max_s=max(latest, default=None),
        once_quiet=sum(each.once_quiet for each in rounds),
        missing=sum(each.missing for each in rounds),
        superseded=sum(each.superseded for each in rounds),
        longest_gap_s=max(each.longest_gap_s for each in rounds),
    )
