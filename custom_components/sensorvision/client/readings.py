"""What is measured, and how it travels together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Reading(NamedTuple):
    """One number of one variable of one device.

    Attributes:
        device_id: the SensorVision device's public id.
        variable: the variable's name.
        value: a finite number below 1e14.
        time: when it was true, in seconds since 1970 (UTC).
    """

    device_id: str
    variable: str
    value: int | float
    time: float


# From the year 1 to the last second but one of 9999: what a datetime can hold.
FIRST_TIME = -62_135_596_800
END_OF_TIME = 253_402_300_799


class Entry(NamedTuple):
    """A reading in an outbox, with the number under which it came in."""

    id: int
    reading: Reading


@dataclass(frozen=True)
class Batch:
    """Readings that leave together."""

    entries: tuple[Entry, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Return the readings, in the order in which they came."""
        return tuple([reading for _, reading in self.entries])

    def halves(self) -> tuple[Batch, Batch]:
        """Split the batch in two, to find the reading that the server refuses."""
        middle = len(self.entries) // 2
        return Batch(self.entries[:middle]), Batch(self.entries[middle:])
