"""Put readings together that a device has shown at one moment."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Container, NamedTuple

from .models import Sample

if TYPE_CHECKING:
    from .readings import Entry


class Moment(NamedTuple):
    """What a device has shown at one moment.

    Attributes:
        device_id: the device's public id.
        at: when it was true, in seconds since 1970 (UTC).
        variables: numbers by variable name.
        told: the readings that say so.
    """

    device_id: str
    at: float
    variables: dict[str, int | float]
    told: list[Entry]


def moments_of(entries: tuple[Entry, ...], alone: Container[int] = ()) -> list[Moment]:
    """Return what devices have shown, in the readings' order.

    Args:
        entries: the readings.
        alone: the ids of those that are to be judged by themselves.
    """
    moments: list[Moment] = []
    # The last of each device and time, with its place; and that of each variable.
    last: dict[tuple[str, float], tuple[int, Moment]] = {}
    last_places: dict[tuple[str, str], int] = {}
    for entry in entries:
        device_id, variable, value, at = entry.reading
        place, moment = last.get((device_id, at), (-1, None))
        # Not before an earlier reading of the same variable, even if a clock went back.
        if (
            moment is None
            or place <= last_places.get((device_id, variable), -1)
            or (alone and entry.id in alone)
        ):
            place, moment = len(moments), Moment(device_id, at, {}, [])
            moments.append(moment)
            if not alone or entry.id not in alone:
                last[device_id, at] = place, moment
        last_places[device_id, variable] = place
        moment.variables[variable] = value
        moment.told.append(entry)
    return moments


def samples_of(
    entries: tuple[Entry, ...], alone: Container[int]
) -> list[tuple[Sample, tuple[Entry, ...]]]:
    """Return samples with the readings that each tells, in the readings' order.

    What a device has shown at one moment is one sample.

    Args:
        entries: the readings.
        alone: the ids of those that are to be judged by themselves.
    """
    return [
        (
            Sample(
                moment.device_id,
                moment.variables,
                dt.datetime.fromtimestamp(moment.at, dt.timezone.utc),
            ),
            tuple(moment.told),
        )
        for moment in moments_of(entries, alone)
    ]
