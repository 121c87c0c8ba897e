"""Put lines together that say what one device has shown at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator

from sensorvision import Sample

from .readings_file import BadLine, Place, Row


@dataclass(frozen=True)
class Told:
    """A sample, and the lines that told it.

    Attributes:
        sample: what is sent.
        first_line: number of the first of them.
        end: where in the file the last of them ends.
    """

    sample: Sample
    first_line: int
    end: Place


def join(rows: Iterable[Row | BadLine]) -> Iterator[Told | BadLine]:
    """Yield one sample for neighbouring rows of one device and time, in their order."""
    waiting: list[Row] = []
    for row in rows:
        if isinstance(row, BadLine) or (waiting and not _belongs(row, waiting)):
            yield from _told(waiting)
            waiting = []
        if isinstance(row, BadLine):
            yield row
        else:
            waiting.append(row)
    yield from _told(waiting)


def newest(rows: Iterable[Row | BadLine]) -> Iterator[Told | BadLine]:
    """Yield bad lines as they come, then the newest value of each variable."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if isinstance(row, BadLine):
            yield row
            continue
        for variable in row.variables:
            before = found.get((row.device_id, variable))
            if before is None or row.timestamp >= before.timestamp:
                found[row.device_id, variable] = row
    by_moment = sorted(
        found.items(), key=lambda item: (item[1].timestamp, item[1].device_id)
    )
    yield from join(
        Row(
            row.device_id,
            {variable: row.variables[variable]},
            row.timestamp,
            row.line,
            row.end,
        )
        for (_, variable), row in by_moment
    )


def _belongs(row: Row, waiting: list[Row]) -> bool:
    first = waiting[0]
    taken = {name for before in waiting for name in before.variables}
    return (
        (row.device_id, row.timestamp) == (first.device_id, first.timestamp)
        and not taken.intersection(row.variables)
    )  # fmt: skip


def _told(rows: list[Row]) -> Iterator[Told]:
    if not rows:
        return
    variables = {name: value for row in rows for name, value in row.variables.items()}
    first = rows[0]
    yield Told(
        Sample(first.device_id, variables, first.timestamp), first.line, rows[-1].end
    )
