"""Compare what a driver's log says was sent with what a sandbox has stored."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import json
from pathlib import Path
import sqlite3
from typing import NamedTuple

_EPOCH = datetime.fromtimestamp(0, UTC)


class Change(NamedTuple):
    """A change that Home Assistant has taken.

    Attributes:
        number: what the state was set to, and nothing else ever.
        at: when it was true, in seconds since 1970 (UTC).
    """

    number: int
    at: float


@dataclass(frozen=True)
class Log:
    """What a driver has written down.

    Attributes:
        taken: the changes that Home Assistant has confirmed.
        unanswered: how many others it was asked for, of which nothing is known.
    """

    taken: tuple[Change, ...]
    unanswered: int


class Stored(NamedTuple):
    """A reading in the server's database.

    Attributes:
        variable: whose it is, by the database's own id.
        number: its value.
        at_us: its time, in microseconds since 1970 (UTC).
    """

    variable: int
    number: Decimal
    at_us: int


@dataclass(frozen=True)
class Judgement:
    """What became of the changes.

    Attributes:
        due: how many must have arrived.
        delivered: how many of these have, each with its own time.
        mistimed: how many readings have a time at which their number was not true.
        duplicated: how many readings are there more than once.
        young: for each kill, how many changes were younger than the commit interval.
        young_lost: how many of those have not arrived.
    """

    due: int
    delivered: int
    mistimed: int
    duplicated: int
    young: tuple[int, ...]
    young_lost: tuple[int, ...]


def read_log(path: Path) -> Log:
    """Return what a driver has written down, nothing if it has not begun."""
    asked, taken = set(), []
    for line in path.read_text().splitlines() if path.exists() else ():
        told = json.loads(line)
        if "taken_at" in told:
            taken.append(Change(told["number"], told["taken_at"]))
        else:
            asked.add(told["number"])
    return Log(tuple(taken), len(asked) - len(taken))


def read_stored(database: Path) -> list[Stored]:
    """Return every reading in a sandbox's database, in the order of storing."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT variable_id, value, timestamp FROM variable_values ORDER BY id"
        ).fetchall()
    connection.close()
    return [Stored(variable, Decimal(value), at_us) for variable, value, at_us in rows]


def judge(
    changes: Iterable[Change],
    stored: Iterable[Stored],
    kills: Sequence[float],
    interval_s: float,
) -> Judgement:
    """Compare what was sent with what was stored.

    Args:
        changes: what was sent.
        stored: what has arrived.
        kills: when the sender was killed, in seconds since 1970 (UTC).
        interval_s: a change that was younger at a kill may be lost.
    """
    copies = Counter(stored)
    arrived = {(reading.number, reading.at_us) for reading in copies}
    sent_at_us = {Decimal(change.number): in_us(change.at) for change in changes}
    young: list[set[tuple[Decimal, int]]] = [
        {
            (number, at_us)
            for number, at_us in sent_at_us.items()
            if in_us(kill - interval_s) < at_us <= in_us(kill)
        }
        for kill in kills
    ]
    excused = set().union(*young) - arrived
    due = set(sent_at_us.items()) - excused
    return Judgement(
        due=len(due),
        delivered=len(due & arrived),
        mistimed=sum(
            number in sent_at_us and sent_at_us[number] != at_us
            for number, at_us in arrived
        ),
        duplicated=sum(copies.values()) - len(copies),
        young=tuple(map(len, young)),
        young_lost=tuple(len(some - arrived) for some in young),
    )


def in_us(seconds: float) -> int:
    """Return a time in whole microseconds, as exact as the server keeps it."""
    # Not their product with a million: it would be rounded twice.
    return (datetime.fromtimestamp(seconds, UTC) - _EPOCH) // timedelta(microseconds=1)
