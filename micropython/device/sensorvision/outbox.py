"""Keep the newest reading of each variable until the server has it."""

import time


class Outbox:
    """Readings by variable, in memory.

    A device token can only say what is true now, so a newer reading replaces an older one,
    and one that has become too old to be true now is let go; both are counted.

    Attributes:
        superseded: how many readings were never sent.
    """

    def __init__(self, max_age_s: int):
        self._max_age_ms = max_age_s * 1000
        self._readings = {}
        self.superseded = 0

    def put(self, variables: dict[str, int | float]) -> None:
        """Add readings taken now."""
        now = time.ticks_ms()
        for name, value in variables.items():
            if name in self._readings:
                self.superseded += 1
            self._readings[name] = (value, now)

    def batch(self, limit: int | None = None) -> dict[str, tuple]:
        """Return what to send next: readings by variable, at most `limit` of them."""
        now = time.ticks_ms()
        for name, reading in list(self._readings.items()):
            if time.ticks_diff(now, reading[1]) > self._max_age_ms:
                del self._readings[name]
                self.superseded += 1
        names = list(self._readings)[:limit] if limit else self._readings
        return {name: self._readings[name] for name in names}

    def remove(self, batch: dict[str, tuple]) -> None:
        """Forget readings that are done with, but not the newer ones of the same variables."""
        for name, reading in batch.items():
            if self._readings.get(name) is reading:
                del self._readings[name]
