"""Count what became of the readings of a config entry."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
import sys
import time

from homeassistant.util.json import JsonObjectType

from .client.delivery import Status
from .client.outbox import Outbox


@dataclass(frozen=True)
class Figures:
    """What became of the readings since the entry was loaded.

    Attributes:
        delivered: how many readings the server has accepted.
        waiting: how many it has not said yes to.
        superseded: how many were replaced by newer ones before they could be sent.
        dropped: how many there was no room for, or that grew too old.
        refused: how many the server has refused for good.
        possible_duplicates: how many were sent again because an answer was lost.
        oldest_waiting_s: how long ago the oldest one that waits was true, in seconds; 0
            if none waits.
        round_trip_s: how long the server took for its last answer, in seconds, or None.
        last_delivered: when it last accepted a reading, in seconds since 1970 (UTC), or
            None.
    """

    delivered: int
    waiting: int
    superseded: int
    dropped: int
    refused: int
    possible_duplicates: int
    oldest_waiting_s: float
    round_trip_s: float | None
    last_delivered: float | None


def count(status: Status, outbox: Outbox) -> Figures:
    """Return the figures as they are now."""
    oldest = outbox.oldest()
    return Figures(
        delivered=status.delivered,
        waiting=len(outbox),
        superseded=outbox.superseded,
        dropped=outbox.dropped,
        refused=status.refused,
        possible_duplicates=status.possible_duplicates,
        # The clock may have been set back.
        oldest_waiting_s=0 if oldest is None else max(0.0, time.time() - oldest),
        round_trip_s=status.round_trip_s,
        last_delivered=status.last_delivered,
    )


def as_acknowledged(figures: Figures) -> dict[str, float | None]:
    """Return what a broker's figures say, which stores nothing but acknowledges."""
    return {
        "acknowledged": figures.delivered,
        "last_acknowledged": figures.last_delivered,
        "waiting": figures.waiting,
        "dropped": figures.dropped,
        "possible_duplicates": figures.possible_duplicates,
        "refused": figures.refused,
        "oldest_waiting_s": round(figures.oldest_waiting_s, 3),
    }


async def refused_readings(
    outboxes: Iterable[Outbox], limit: int = sys.maxsize
) -> list[JsonObjectType]:
    """Return the readings that were set aside, as JSON can hold them.

    Args:
        outboxes: that have set them aside.
        limit: how many of the last ones of each at the most.
    """
    return [
        {
            "device": letter.reading.device_id,
            "variable": letter.reading.variable,
            "value": letter.reading.value,
            "time": datetime.fromtimestamp(letter.reading.time, UTC).isoformat(),
            "reason": letter.reason,
        }
        for outbox in outboxes
        for letter in (await outbox.dead_letters())[-limit:]
    ]
