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
        dropped: how many readings were lost for want of room or of their time.
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
        if variables:
            self._add(clock.stamp(), variables)

    def held(self) -> list[tuple]:
        """Return what is only in memory, for `resume` after a deep sleep."""
        return [(clock.moment(at), what) for _, at, what in self._held]

    def resume(self, held: list[tuple]) -> None:
        """Take what `held` gave before the clock went on without this program."""
        for at, what in held:
            self._add(at, what)

    def _add(self, at, variables):
        self._last += 1
        self._held.append((self._last, clock.stamp(), variables))
        for name in variables:
            self.superseded += self._is_live and name in self._newest
            self._newest[name] = self._held[-1]
        if self._is_live:
            self._settle()
        if len(self._held) > self._most:
            self._held.pop(0)
            self.dropped += 1

    def newest(self, limit: int | None = None) -> dict[str, tuple]:
        """Return the newest value of each variable, if it is true now, with its stamp.

        Args:
            limit: how many variables at most.
        """
        self._is_live = True
        batch = {}
        oldest = clock.stamp() - self._max_age_s
        for name, (_, stamp, variables) in list(self._newest.items()):
            if stamp < oldest:
                del self._newest[name]
                self.superseded += 1
            elif not limit or len(batch) < limit:
                batch[name] = (variables[name], stamp)
        self._settle()
        return batch

    def remove(self, batch: dict[str, tuple]) -> None:
        """Be done with what `newest` gave, but not with what came since."""
        for name, (value, stamp) in batch.items():
            record = self._newest.get(name)
            if record and record[1] == stamp and record[2][name] is value:
                del self._newest[name]
        self._settle()

    def oldest(self, limit: int) -> list[tuple]:
        """Return the first readings whose time is known: id, seconds since 1970, variables."""
        if not clock.is_set():
            return []
        return [(number, at + clock.jump, what) for number, at, what in self._held[:limit]]

    def confirm(self, records: list[tuple]) -> None:
        """Be done with what `oldest` gave, up to the last of these."""
        if records:
            self._pass(records[-1][0])

    def flush(self) -> None:
        """Keep what is held over a loss of power, if this outbox can."""

    def clock_was_set(self) -> None:
        """Note that stamps can be told as times from now on."""

    def _settle(self):
        """Be done with every reading that is older than all that is true now."""
        number = self._last
        for record in self._newest.values():
            number = min(number, record[0] - 1)
        self._pass(number)

    def _pass(self, number):
        while self._held and self._held[0][0] <= number:
            self._held.pop(0)
