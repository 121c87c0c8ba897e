"""Put readings together that a device has shown at one moment."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Container

from .models import Sample

if TYPE_CHECKING:
    from .readings import Entry


def samples_of(
    entries: tuple[Entry, ...], alone: Container[int]
) -> list[tuple[Sample, tuple[Entry, ...]]]:
    """Return samples with the readings that each tells, in the readings' order.

    What a device has shown at one moment is one sample.

    Args:
        entries: the readings.
        alone: the ids of those that are to be judged by themselves.
    """
    groups: dict[tuple[str, float, int], dict[str, Entry]] = {}
    places: dict[tuple[str, float, int], int] = {}
    last_places: dict[tuple[str, str], int] = {}
    for entry in entries:
        device_id, variable, _, at = entry.reading
        # Not before an earlier reading of the same variable, even if a clock went back.
        after = last_places.get((device_id, variable), -1)
        nth = -entry.id if entry.id in alone else 0
        while places.setdefault((device_id, at, nth), len(places)) <= after:
            nth += 1
        last_places[device_id, variable] = places[device_id, at, nth]
        groups.setdefault((device_id, at, nth), {})[variable] = entry
    return [
        (
            Sample(
                device_id,
                {variable: entry.reading.value for variable, entry in told.items()},
                dt.datetime.fromtimestamp(at, dt.timezone.utc),
            ),
            tuple(told.values()),
        )
        for (device_id, at, _), told in groups.items()
    ]
