"""Keep readings in memory until the server has them."""

from . import clock


class Outbox:
    """Readings in the order in which they were taken, at most so many.

    Over HTTP a device token can only say what is true now: `newest` gives that, and lets go
    of what it makes out of date. Over MQTT each reading has its time: `oldest` gives them in
    their order. A node uses one way or the other.

    Args:
        max_age_s: how long a reading is true, for `newest`.
        max_readings: how many calls of `put` are kept; then the oldest is dropped.

    Attributes:
        superseded: how many values were never sent because they were true no more.
        dropped: how many readings were lost for want of room or of their time, and how many
            values that were no numbers.
    """

    def __init__(self, max_age_s: int, max_readings: int):
        self._max_age_s = max_age_s
        self._most = max_readings
        # Number, stamp and variables, in the order of the numbers.
        self._held = []
        self._newest = {}
        self._last = 0
        # Whether anybody asks for `newest`.
        self._is_live = False
        self.superseded = self.dropped = 0

    @property
    def waiting(self) -> int:
        """Return how many readings wait."""
        return len(self._held)

    def has_any(self) -> bool:
        """Tell whether there may be something to send."""
        return self.waiting > 0

    def put(self, variables: dict[str, int | float]) -> None:
        """Add what was measured now, by variable."""
        for name, value in list(variables.items()):
            # JSON has no word for what is no number, or has no end.
            if value - value:
                del variables[name]
                self.dropped += 1
        if variables:
            self._add(clock.stamp(), variables)

    def held(self) -> list[tuple]:
        """Return what is in memory alone, for `resume` after a deep sleep."""
        return [(stamp + clock.jump, variables) for _, stamp, variables in self._held]

    def resume(self, held: list[tuple]) -> None:
        """Take what `held` has given, where the clock has gone on since."""
        for stamp, variables in held:
            self._add(stamp, variables)

    def newest(self, limit: int | None = None) -> dict[str, tuple]:
        """Return the newest value of each variable, if it is true now, and whence it is.

        Args:
            limit: how many variables at most.
        """
        self._is_live = True
        batch = {}
        oldest = clock.stamp() - self._max_age_s
        for name, record in list(self._newest.items()):
            if record[1] < oldest:
                del self._newest[name]
                self.superseded += 1
            elif not limit or len(batch) < limit:
                batch[name] = (record[2][name], record)
        self._settle()
        return batch

    def remove(self, batch: dict[str, tuple]) -> None:
        """Be done with what `newest` gave, but not with what came since."""
        for name in batch:
            if self._newest.get(name) is batch[name][1]:
                del self._newest[name]
        self._settle()

    def oldest(self, limit: int) -> list[tuple]:
        """Return the first readings whose time is known: id, seconds since 1970, variables."""
        records = []
        if clock.is_set():
            for number, stamp, variables in self._held[:limit]:
                records.append((number, stamp + clock.jump, variables))
        return records

    def confirm(self, records: list[tuple]) -> None:
        """Be done with what `oldest` gave, up to the last of these."""
        if records:
            self._pass(records[-1][0])

    def flush(self) -> None:
        """Keep what is held over a loss of power, if this outbox can."""

    def clock_was_set(self) -> None:
        """Note that stamps can be told as times from now on."""

    def _add(self, stamp, variables):
        self._last += 1
        self._held.append((self._last, stamp, variables))
        for name in variables:
            self.superseded += self._is_live and name in self._newest
            self._newest[name] = self._held[-1]
        if self._is_live:
            self._settle()
        if len(self._held) > self._most:
            self._held.pop(0)
            self.dropped += 1

    def _settle(self):
        """Be done with every reading that is older than all that is true now."""
        number = self._last
        for record in self._newest.values():
            number = min(number, record[0] - 1)
        self._pass(number)

    def _pass(self, number):
        while self._held and self._held[0][0] <= number:
            self._held.pop(0)
