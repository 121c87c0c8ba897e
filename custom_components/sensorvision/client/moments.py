"""Say in the server's words what devices have shown, many moments in a request."""

from __future__ import annotations

from functools import lru_cache
import json
from typing import TYPE_CHECKING, Collection, Sequence

from . import protocol
from .models import instant_of

if TYPE_CHECKING:
    from .readings import Entry

# Readings that one device has shown at one time, each of another variable.
Moment = Sequence["Entry"]

# So many names are said again and again; more are just put together anew.
_MAX_REMEMBERED = 16_384


def moments_of(entries: Collection[Entry], alone: Collection[int]) -> list[Moment]:
    """Return readings by moments, in the readings' order.

    Args:
        entries: the readings.
        alone: the ids of those that are to be judged by themselves.
    """
    # Most often each is a moment of its own: all differ in device or time.
    if not alone and len({reading[::3] for _, reading in entries}) == len(entries):
        return [(entry,) for entry in entries]
    moments: list[list[Entry]] = []
    places: dict[tuple[str, float], int] = {}
    last_places: dict[tuple[str, str], int] = {}
    for entry in entries:
        device_id, variable, _, at = entry.reading
        place = places.get((device_id, at), -1)
        is_alone = entry.id in alone
        # Not before an earlier reading of the same variable, even if a clock went back.
        if is_alone or place <= last_places.get((device_id, variable), -1):
            place = len(moments)
            moments.append([entry])
            if not is_alone:
                places[device_id, at] = place
        else:
            moments[place].append(entry)
        last_places[device_id, variable] = place
    return [*moments]


def body_of(moments: Sequence[Moment]) -> bytes:
    """Return moments as the bulk endpoint takes them (contract 2.4).

    A single one that the server can't read would make it refuse all of them.

    Raises:
        ValidationError: see `protocol.check_device_id` and `protocol.check_variables`.
    """
    return f"[{','.join([item_of(moment) for moment in moments])}]".encode()


def item_of(moment: Moment) -> str:
    """Return one moment. To let `json` do it all would take five times as long.

    Raises:
        ValidationError: see `body_of`.
    """
    device_id, variable, value, at = moment[0].reading
    members = (
        _member(variable, value)
        if len(moment) == 1
        else ",".join([_member(e.reading.variable, e.reading.value) for e in moment])
    )
    return f'{_opening(device_id)}{members}}},"timestamp":"{instant_of(at)}"}}'


def _member(variable: str, value: float) -> str:
    name, limit = _name_and_limit(variable)
    if not -limit < value < limit:
        protocol.check_variables({variable: value})
    # As `json` does it, which knows no subclasses.
    if isinstance(value, float):
        return name + float.__repr__(value)
    return name + int.__repr__(value)


@lru_cache(_MAX_REMEMBERED)
def _opening(device_id: str) -> str:
    """Return how all moments of a device begin; its id has no other spelling in JSON."""
    return f'{{"deviceId":"{protocol.check_device_id(device_id)}","variables":{{'


@lru_cache(_MAX_REMEMBERED)
def _name_and_limit(variable: str) -> tuple[str, float]:
    """Return how a member begins, and below what its numbers are not looked at."""
    protocol.check_variables({variable: 0})
    reserved = protocol.RESERVED_VARIABLE_LIMITS.get(variable)
    # Near its limit, a reserved one is left to the check that knows how it is rounded.
    limit = reserved - 1 if reserved else protocol.VALUE_LIMIT
    return f"{json.dumps(variable)}:", limit
