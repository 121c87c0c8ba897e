"""Keep readings until the server has said yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, NamedTuple


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


@dataclass(frozen=True)
class Batch:
    """Readings of one device, at most one a variable, that leave together."""

    device_id: str
    readings: tuple[Reading, ...]

    def halves(self) -> tuple[Batch, Batch]:
        """Split the batch in two, to find the reading that the server refuses."""
        middle = len(self.readings) // 2
        return (
            Batch(self.device_id, self.readings[:middle]),
            Batch(self.device_id, self.readings[middle:]),
        )

    def variables(self) -> dict[str, int | float]:
        """Return the numbers by variable."""
        return {reading.variable: reading.value for reading in self.readings}


class Outbox:
    """Hold the newest reading of each variable, in memory.

    A device token can only post what is true now, so an older reading that was not
    sent yet is superseded by the next one of its variable, and counted.

    Attributes:
        superseded: how many readings were replaced before they could be sent.
    """

    def __init__(self) -> None:
        self.superseded = 0
        self._waiting: dict[str, dict[str, Reading]] = {}
        self._taken: dict[tuple[str, str], Reading] = {}

    def __len__(self) -> int:
        """Return how many readings the server has not said yes to."""
        return sum(map(len, self._waiting.values())) + len(self._taken)

    def append(self, readings: Iterable[Reading]) -> None:
        """Accept readings, in the order in which they became true."""
        for reading in readings:
            variables = self._waiting.setdefault(reading.device_id, {})
            if reading.variable in variables:
                self.superseded += 1
            variables[reading.variable] = reading

    async def devices(self) -> list[str]:
        """Return the ids of the devices that have readings to send, longest first."""
        return list(self._waiting)

    async def take(self, device_id: str) -> Batch | None:
        """Hand out what a device has to send; it stays in the outbox until confirmed."""
        variables = self._waiting.pop(device_id, None)
        if not variables:
            return None
        for variable, reading in variables.items():
            self._taken[device_id, variable] = reading
        return Batch(device_id, tuple(variables.values()))

    async def confirm(self, batch: Batch) -> None:
        """Let go of readings that the server has accepted, or refused for good."""
        for reading in batch.readings:
            self._taken.pop((reading.device_id, reading.variable), None)

    async def release(self, batch: Batch) -> None:
        """Put back what was not sent, unless something newer has come meanwhile."""
        variables = self._waiting.setdefault(batch.device_id, {})
        for reading in batch.readings:
            if self._taken.pop((reading.device_id, reading.variable), None) is None:
                continue
            if reading.variable in variables:
                self.superseded += 1
            else:
                variables[reading.variable] = reading
        if not variables:
            del self._waiting[batch.device_id]
