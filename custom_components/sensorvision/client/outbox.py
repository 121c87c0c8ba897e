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
        self._taken: dict[str, dict[str, Reading]] = {}

    def __len__(self) -> int:
        """Return how many readings the server has not said yes to."""
        return sum(
            len(variables)
            for place in (self._waiting, self._taken)
            for variables in place.values()
        )

    def oldest(self) -> float | None:
        """Return when the oldest waiting reading was true, or None if none waits."""
        return min(
            (
                reading.time
                for place in (self._waiting, self._taken)
                for variables in place.values()
                for reading in variables.values()
            ),
            default=None,
        )

    def append(self, readings: Iterable[Reading]) -> None:
        """Accept readings, in the order in which they became true."""
        for reading in readings:
            variables = self._waiting.setdefault(reading.device_id, {})
            if reading.variable in variables:
                self.superseded += 1
            variables[reading.variable] = reading

    async def devices(self) -> list[str]:
        """Return the ids of the devices that have readings to hand out."""
        return [
            device_id for device_id in self._waiting if device_id not in self._taken
        ]

    async def take(self, device_id: str) -> Batch | None:
        """Hand out what a device has to send; it stays in the outbox until confirmed.

        As long as some of it is out, there is no more of that device: the server would
        take an older reading that comes late for the present one.
        """
        if device_id in self._taken or device_id not in self._waiting:
            return None
        variables = self._taken[device_id] = self._waiting.pop(device_id)
        return Batch(device_id, tuple(variables.values()))

    async def confirm(self, batch: Batch) -> None:
        """Let go of readings that the server has accepted, or refused for good."""
        self._settle(batch)

    async def release(self, batch: Batch) -> None:
        """Put back what was not sent, unless something newer has come meanwhile."""
        for reading in self._settle(batch):
            variables = self._waiting.setdefault(reading.device_id, {})
            if reading.variable in variables:
                self.superseded += 1
            else:
                variables[reading.variable] = reading

    async def discard(self, device_id: str) -> None:
        """Let go of what a device has to send; what is out does not come back."""
        self._waiting.pop(device_id, None)
        self._taken.pop(device_id, None)

    def _settle(self, batch: Batch) -> list[Reading]:
        """Take in those readings of a batch that are still out."""
        taken = self._taken.get(batch.device_id, {})
        settled = [
            reading
            for reading in batch.readings
            if taken.get(reading.variable) is reading
        ]
        for reading in settled:
            del taken[reading.variable]
        if not taken:
            self._taken.pop(batch.device_id, None)
        return settled
