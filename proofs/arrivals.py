"""Compare what was sent with what is in the server's database."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
import sqlite3

from .changes import Change

type Address = tuple[str, str]

# Values are counted from 0, times in microseconds.
type Point = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    """What became of changes.

    Attributes:
        sent: how many there were.
        delivered: how many of them are stored.
        superseded: how many were replaced by a newer one.
        lost: how many are neither.
        duplicated: how often one is stored that was there already.
        strange: how many are stored that nobody has sent.
        misplaced: how many variables are stored in a wrong order.
    """

    sent: int
    delivered: int
    superseded: int
    lost: int
    duplicated: int
    strange: int
    misplaced: int


def judge_complete(
    changes: Iterable[Change], kept: Container[int], database: Path
) -> Finding:
    """Judge a delivery that is to bring every change with its time.

    Args:
        changes: what was sent.
        kept: the numbers of those that must be there; the others may be.
        database: of the server.
    """
    changes = list(changes)
    stored = read_points(database)
    sent = _by_address(changes)
    due = _by_address(c for number, c in enumerate(changes) if number in kept)
    delivered = sum(len(set(stored[a]) & set(sent[a])) for a in sent)
    return Finding(
        len(changes),
        delivered,
        superseded=0,
        lost=sum(len(set(due[a]) - set(stored[a])) for a in due),
        duplicated=_duplicated(stored),
        strange=sum(len(set(stored[a]) - set(sent[a])) for a in stored),
        # Backlog and live readings, each in order.
        misplaced=sum(_interleaved(_first(points)) > 2 for points in stored.values()),
    )


def judge_newest(changes: Iterable[Change], database: Path) -> Finding:
    """Judge a delivery that is to bring the last change, and those before as it can.

    A server that stores late what nobody waits for any more misplaces it, and nothing
    that a client does can keep it from that.

    Args:
        changes: what was sent.
        database: of the server.
    """
    changes = list(changes)
    sent = {
        address: [value for value, _ in points]
        for address, points in _by_address(changes).items()
    }
    stored = {
        address: [value for value, _ in points]
        for address, points in read_points(database).items()
    }
    delivered = sum(len(set(values) & set(sent[a])) for a, values in stored.items())
    lost = sum(stored.get(a, [None])[-1] != values[-1] for a, values in sent.items())
    return Finding(
        len(changes),
        delivered,
        superseded=len(changes) - delivered - lost,
        lost=lost,
        duplicated=sum(len(v) - len(set(v)) for v in stored.values()),
        strange=sum(len(set(v) - set(sent[a])) for a, v in stored.items()),
        misplaced=sum(_interleaved(_first(v)) > 1 for v in stored.values()),
    )


def _by_address(changes: Iterable[Change]) -> Mapping[Address, list[Point]]:
    points: defaultdict[Address, list[Point]] = defaultdict(list)
    for change in changes:
        address = change.device_id, change.variable
        points[address].append((change.value, change.time_us))
    return points


def read_points(database: Path) -> defaultdict[Address, list[Point]]:
    """Return what is stored of each variable, in the order of storing."""
    points: defaultdict[Address, list[Point]] = defaultdict(list)
    with closing(sqlite3.connect(database)) as db:
        for device_id, variable, value, time_us in db.execute(
            "SELECT external_id, variables.name, value, timestamp FROM variable_values"
            " JOIN variables ON variables.id = variable_id"
            " JOIN devices ON devices.id = device_id ORDER BY variable_values.id"
        ):
            points[device_id, variable].append((int(float(value)), time_us))
    return points


def _duplicated(stored: Mapping[Address, list[Point]]) -> int:
    return sum(len(points) - len(set(points)) for points in stored.values())


def _first[T](stored: Iterable[T]) -> list[T]:
    """Return what is stored without repetitions, each where it came first."""
    return list(dict.fromkeys(stored))


def _interleaved[T: (int, Point)](stored: Iterable[T]) -> int:
    """Return how many rising sequences it takes at the least to make up what is stored.

    That is the length of the longest falling one (Dilworth's theorem), found by piling
    as in patience sorting.
    """
    tops: list[T] = []
    for point in reversed(list(stored)):
        place = bisect_left(tops, point)
        tops[place : place + 1] = [point]
    return len(tops)
