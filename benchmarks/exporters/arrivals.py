"""The numbers that have arrived somewhere, each with its times."""

from collections.abc import Iterable
import json
from pathlib import Path
from typing import NamedTuple


class Arrival(NamedTuple):
    """A number that has arrived.

    Attributes:
        number: it.
        at: when it was true, as it says itself, in seconds since 1970 (UTC).
        arrived_at: when it arrived, likewise.
    """

    number: int
    at: float
    arrived_at: float


def write_arrivals(path: Path, arrivals: Iterable[Arrival]) -> None:
    """Write them to a file, a line of JSON each."""
    with path.open("w") as file:
        file.writelines(f"{json.dumps(arrival)}\n" for arrival in arrivals)


def read_arrivals(path: Path) -> list[Arrival]:
    """Return what was written to a file."""
    with path.open() as file:
        return [Arrival(*json.loads(line)) for line in file]
