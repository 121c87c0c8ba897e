"""Compare the numbers that Home Assistant was given with those that a server has."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.exporters.arrivals import Arrival

# Exporters write times down as coarsely as milliseconds.
_SAME_TIME_S = 0.001


class Change(NamedTuple):
    """A state that Home Assistant was given.

    Attributes:
        number: what it was, and no other ever.
        at: when, in seconds since 1970 (UTC).
    """

    number: int
    at: float


@dataclass(frozen=True)
class Judgement:
    """What became of the changes.

    Attributes:
        sent: all of them.
        lost: those that have not arrived, in the order of their times.
        superseded: how many were replaced by a newer one of their sensor, where an
            exporter may do so.
        duplicated: how many numbers arrived that were there already.
        mistimed: how many numbers arrived with a time that is not their own.
        done_at: by number, when it had arrived or was superseded, in seconds since 1970
            (UTC).
    """

    sent: tuple[Change, ...]
    lost: tuple[Change, ...]
    superseded: int
    duplicated: int
    mistimed: int
    done_at: dict[int, float]

    def sent_within(self, since: float, until: float) -> int:
        """Return how many changes came between two moments."""
        return _count_within(self.sent, since, until)

    def lost_within(self, since: float, until: float) -> int:
        """Return how many of the changes between two moments were lost."""
        return _count_within(self.lost, since, until)

    def recovered_at(self, since: float, until: float) -> float | None:
        """Return when the last of the changes between two moments had arrived.

        None if one has not, or there is none.
        """
        if self.lost_within(since, until):
            return None
        done_at = [
            self.done_at[change.number]
            for change in self.sent
            if since <= change.at < until
        ]
        return max(done_at, default=None)

    def oldest_lost_s(self, moment: float) -> float | None:
        """Return how long before a moment the first lost change came, None without one."""
        return moment - self.lost[0].at if self.lost else None


def judge(
    changes: Iterable[Change],
    arrivals: Iterable[Arrival],
    *,
    sensors: int,
    sends_newest_alone: bool = False,
) -> Judgement:
    """Compare what was sent with what has arrived.

    Args:
        changes: what Home Assistant was given, to one sensor after the other in turn.
        arrivals: what the server has; numbers that are not of the changes do not count.
        sensors: how many there are.
        sends_newest_alone: whether a number may be replaced by a newer one of its sensor.
    """
    sent = {change.number: change for change in changes}
    arrived = [arrival for arrival in arrivals if arrival.number in sent]
    arrived_at: dict[int, float] = {}
    for arrival in arrived:
        first_at = arrived_at.get(arrival.number, arrival.arrived_at)
        arrived_at[arrival.number] = min(first_at, arrival.arrived_at)
    superseded_at = (
        _superseded_at(sent, arrived_at, sensors) if sends_newest_alone else {}
    )
    done_at = superseded_at | arrived_at
    lost = [change for number, change in sent.items() if number not in done_at]
    return Judgement(
        sent=tuple(sent.values()),
        lost=tuple(sorted(lost, key=lambda change: change.at)),
        superseded=len(superseded_at),
        duplicated=len(arrived) - len(arrived_at),
        mistimed=sum(
            abs(arrival.at - sent[arrival.number].at) > _SAME_TIME_S
            for arrival in arrived
        ),
        done_at=done_at,
    )


def _superseded_at(
    sent: Iterable[int], arrived_at: dict[int, float], sensors: int
) -> dict[int, float]:
    """Return of numbers that have not arrived when the next of their sensor did."""
    of_sensors: dict[int, list[int]] = defaultdict(list)
    for number in sorted(sent, reverse=True):
        of_sensors[number % sensors].append(number)
    found: dict[int, float] = {}
    for numbers in of_sensors.values():
        newer_at: float | None = None
        for number in numbers:
            if number in arrived_at:
                newer_at = arrived_at[number]
            elif newer_at is not None:
                found[number] = newer_at
    return found


def _count_within(changes: Iterable[Change], since: float, until: float) -> int:
    return sum(since <= change.at < until for change in changes)
