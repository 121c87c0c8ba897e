"""Keep readings until the server has said yes."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from dataclasses import dataclass
import sys
import time
from typing import Callable, Collection, Iterable, Iterator

from .limits import Limits
from .readings import Batch, Entry, Reading
from .rows import DeadLetter, Recalled
from .salvage import Mishap
from .spool import Spool

# What has waited longer over a restart may not be true any more.
_STILL_TRUE_S = 15 * 60


_LOOKED_AT_AT_ONCE = 1000


class Outbox(ABC):
    """What waits for the server, in memory and in a file.

    Args:
        path: the file, or None for an outbox that forgets with its process.
        limits: how much it may hold, and how soon it is written down.
        version: of this software; what an older one has set aside is tried again.

    Attributes:
        superseded: how many readings were replaced before they could be sent.
    """

    _spares_disk = False

    def __init__(
        self, path: str | None = None, limits: Limits | None = None, version: str = ""
    ) -> None:
        self.superseded = 0
        self._spool = Spool(
            path, limits, version, held=self._held, spares_disk=self._spares_disk
        )

    def __len__(self) -> int:
        """Return how many readings the server has not said yes to."""
        return len(self._spool)

    @property
    def dropped(self) -> int:
        """Return how many readings there was no room for, or that were too old."""
        return self._spool.dropped

    @property
    def mishap(self) -> Mishap | None:
        """Return what became of a damaged file, or None."""
        return self._spool.file.mishap

    @property
    def problem(self) -> str | None:
        """Return why nothing can be written now, or None."""
        return self._spool.file.problem

    @property
    def captured_until(self) -> float | None:
        """Return up to when readings were captured, in seconds since 1970, if known."""
        return self._spool.captured_until

    def mark_captured(self, until: float) -> None:
        """Note up to when readings were captured.

        It is written down with what comes and goes, and by `commit` and `close`.

        Args:
            until: in seconds since 1970 (UTC).
        """
        self._spool.mark_captured(until)

    @property
    def limits(self) -> Limits:
        """Return how much it may hold, and how soon it is written down."""
        return self._spool.limits

    @property
    def written_after_s(self) -> float:
        """Return how long a reading is in memory before it is written down, if it stays."""
        return self._spool.written_after_s

    async def limit(self, limits: Limits) -> None:
        """Hold to other limits from now on; what is too much for them is dropped."""
        await self._spool.limit(limits)

    async def open(self) -> None:
        """Take up what an earlier process has left; if cancelled, let go of the file."""
        opening = asyncio.ensure_future(self._take_up())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Or nobody could open the file again.
            await opening
            await self.close()
            raise

    async def _take_up(self) -> None:
        """Read what an earlier process has left."""
        await self._spool.open()

    async def close(self) -> None:
        """Write down what waits, and close the file."""
        await self._spool.close()

    async def commit(self) -> None:
        """Write down what waits, now."""
        await self._spool.commit()

    def doubtful(self, batch: Batch) -> int:
        """Return how many readings an earlier process may have sent as well."""
        until = self._spool.doubtful_until
        return sum(entry.id <= until for entry in batch.entries) if until else 0

    async def dead_letters(self) -> list[DeadLetter]:
        """Return what the server did not want, the oldest first."""
        return await self._spool.dead_letters()

    async def recall(
        self, device_id: str | None = None, variable: str | None = None
    ) -> Recalled:
        """Let readings wait again that the server did not want.

        Args:
            device_id: only those of this device.
            variable: only those of variables of this name.
        """

        def is_wanted(reading: Reading) -> bool:
            return device_id in (None, reading.device_id) and variable in (
                None,
                reading.variable,
            )

        return await self._spool.recall(is_wanted, self._take_back)

    @abstractmethod
    def _take_back(self, entries: list[Entry]) -> Recalled:
        """Let readings wait again that were set aside, oldest first."""

    def append(self, readings: Iterable[Reading]) -> None:
        """Accept readings, in the order in which they became true.

        Raises:
            ValueError: the value or the time of one can't be kept; all others are
                accepted.
        """
        entries, refusal = self._spool.add(readings)
        self._arrive(entries)
        if refusal:
            raise refusal

    @abstractmethod
    def _arrive(self, entries: Iterable[Entry]) -> None:
        """Let readings wait that are the newest of their variables."""

    @abstractmethod
    def inherit(self, readings: Iterable[Reading]) -> None:
        """Accept what another outbox has left, as far as it is still of use."""

    @abstractmethod
    def oldest(self) -> float | None:
        """Return when the oldest waiting reading was true, or None if none waits."""

    async def confirm(self, batch: Batch) -> None:
        """Let go of readings that the server has accepted."""
        self._spool.remove(entry.id for entry in self._settle(batch))

    async def set_aside(self, batch: Batch, reason: str) -> None:
        """Let go of readings that the server does not want, and keep them to be seen."""
        self._spool.set_aside(self._settle(batch), reason)

    @abstractmethod
    async def release(self, batch: Batch) -> None:
        """Put back what was not sent."""

    @abstractmethod
    async def discard(self, device_id: str) -> None:
        """Let go of what a device has to send; what is out does not come back."""

    @abstractmethod
    def _settle(self, batch: Batch) -> list[Entry]:
        """Take in those readings of a batch that are still out."""

    @abstractmethod
    def _held(self) -> dict[int, Entry]:
        """Return by id what must not be dropped, whatever the limits say."""


class NewestOutbox(Outbox):
    """Hold the newest reading of each variable.

    A device token can only post what is true now, so an older reading that was not
    sent yet is superseded by the next one of its variable, and counted. So is what an
    earlier process has left for more than a quarter of an hour: nobody knows whether it
    is still true.
    """

    def __init__(
        self, path: str | None = None, limits: Limits | None = None, version: str = ""
    ) -> None:
        super().__init__(path, limits, version)
        self._waiting: dict[str, dict[str, Entry]] = {}
        self._taken: dict[str, dict[str, Entry]] = {}
        # When the newest reading of each variable was true, wherever it is by now.
        self._newest: dict[tuple[str, str], float] = {}

    async def _take_up(self) -> None:
        """Read what an earlier process has left, and supersede what is too old."""
        await super()._take_up()
        now = time.time()
        for entry in await self._spool.read():
            is_true = abs(now - entry.reading.time) <= _STILL_TRUE_S
            (self._arrive if is_true else self._supersede)([entry])

    def oldest(self) -> float | None:
        """Return when the oldest waiting reading was true, or None if none waits."""
        return min((entry.reading.time for entry in self._all()), default=None)

    def _take_back(self, entries: list[Entry]) -> Recalled:
        """Let readings wait again that may still be true, and supersede the others."""
        superseded_before, now = self.superseded, time.time()
        for entry in entries:
            device_id, variable, _, at = entry.reading
            newest = self._newest.get((device_id, variable), at)
            if newest <= at and abs(now - at) <= _STILL_TRUE_S:
                self._arrive([entry])
            else:
                self._supersede([entry])
        superseded = self.superseded - superseded_before
        return Recalled(len(entries) - superseded, superseded)

    def inherit(self, readings: Iterable[Reading]) -> None:
        """Accept what is still true; what is too old or has a newer one is superseded."""
        now = time.time()
        for reading in readings:
            device_id, variable, _, at = reading
            waiting = self._waiting.get(device_id, {}).get(variable)
            is_newest = waiting is None or waiting.reading.time <= at
            if is_newest and abs(now - at) <= _STILL_TRUE_S:
                self.append([reading])
            else:
                self.superseded += 1

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
        return Batch(tuple(variables.values()))

    async def release(self, batch: Batch) -> None:
        """Put back what was not sent, unless something newer has come meanwhile."""
        for entry in self._settle(batch):
            device_id, variable, _, _ = entry.reading
            waiting = self._waiting.setdefault(device_id, {})
            if variable in waiting:
                self._supersede([entry])
            else:
                waiting[variable] = entry

    async def discard(self, device_id: str) -> None:
        """Let go of what a device has to send; what is out does not come back."""
        for place in (self._waiting, self._taken):
            variables = place.pop(device_id, {})
            self._spool.remove(entry.id for entry in variables.values())

    def _arrive(self, entries: Iterable[Entry]) -> None:
        """Let readings wait that are the newest of their variables."""
        older = []
        for entry in entries:
            device_id, variable, _, at = entry.reading
            self._newest[device_id, variable] = at
            variables = self._waiting.get(device_id)
            if variables is None:
                variables = self._waiting[device_id] = {}
            elif variable in variables:
                older.append(variables[variable])
            variables[variable] = entry
        self._supersede(older)

    def _supersede(self, entries: Collection[Entry]) -> None:
        self.superseded += len(entries)
        self._spool.remove([entry.id for entry in entries])

    def _settle(self, batch: Batch) -> list[Entry]:
        settled = []
        for entry in batch.entries:
            device_id, variable, _, _ = entry.reading
            taken = self._taken.get(device_id, {})
            if taken.get(variable) == entry:
                settled.append(entry)
                del taken[variable]
                if not taken:
                    del self._taken[device_id]
        return settled

    def _held(self) -> dict[int, Entry]:
        # It may be the one that is true.
        return {entry.id: entry for entry in self._all()}

    def _all(self) -> Iterator[Entry]:
        for place in (self._waiting, self._taken):
            for variables in place.values():
                yield from variables.values()


class CompleteOutbox(Outbox):
    """Hold every reading, for a server that takes it with its own time.

    What comes in after `rewind` is *live*, what was there before is *backlog*; each is
    handed out oldest first, so that neither waits for the other.
    """

    _spares_disk = True

    def __init__(
        self, path: str | None = None, limits: Limits | None = None, version: str = ""
    ) -> None:
        super().__init__(path, limits, version)
        self._taken: dict[int, Reading] = {}
        self._backlog = self._live = _Lane(0, 0)

    async def _take_up(self) -> None:
        """Read what an earlier process has left: it is backlog."""
        await super()._take_up()
        self.rewind()

    def oldest(self) -> float | None:
        """Return when the oldest waiting reading was true, or None if none waits."""
        return self._spool.oldest

    def _arrive(self, entries: Iterable[Entry]) -> None:
        """Let them wait: they are found by their ids."""

    def inherit(self, readings: Iterable[Reading]) -> None:
        """Accept all of it: each reading has its own time."""
        self.append(readings)

    def _take_back(self, entries: list[Entry]) -> Recalled:
        """Let readings wait again: they are backlog."""
        self.rewind()
        return Recalled(len(entries), 0)

    @property
    def has_more(self) -> bool:
        """Whether there may be something to hand out."""
        return self.has_backlog or self._live.after_id < self._spool.last_id

    @property
    def has_backlog(self) -> bool:
        """Whether there may be something of the backlog to hand out."""
        return self._backlog.after_id < self._backlog.last_id

    @property
    def ahead(self) -> int:
        """Return behind how many readings a new one would wait, at the most."""
        return sum(
            max(0, min(lane.last_id, self._spool.last_id) - lane.after_id)
            for lane in (self._backlog, self._live)
        )

    def rewind(self) -> None:
        """Call everything backlog that waits now, and hand it out from the beginning."""
        boundary = self._spool.last_id
        self._backlog = _Lane(0, boundary)
        self._live = _Lane(boundary, sys.maxsize)

    async def take_backlog(
        self, limit: int, without: frozenset[str] = frozenset()
    ) -> Batch | None:
        """Hand out the oldest readings of the backlog; None if there are no more.

        Args:
            limit: how many at the most.
            without: ids of devices that are passed over until the next `rewind`.
        """
        return await self._take(lambda: self._backlog, limit, without)

    async def take_live(
        self, limit: int, without: frozenset[str] = frozenset()
    ) -> Batch | None:
        """Hand out the oldest live readings, as `take_backlog` those of the backlog."""
        return await self._take(lambda: self._live, limit, without)

    async def _take(
        self, lane_now: Callable[[], _Lane], limit: int, without: frozenset[str]
    ) -> Batch | None:
        while True:
            lane = lane_now()
            after_id, dropped = lane.after_id, self.dropped
            newest = self._spool.last_id
            if after_id >= min(lane.last_id, newest):
                return None
            entries = await self._spool.read(after_id, limit, without)
            if (lane_now(), lane.after_id, self.dropped) != (lane, after_id, dropped):
                # Meanwhile some were taken, put back or dropped.
                continue
            ahead = entries
            if entries and entries[-1].id > lane.last_id:
                ahead = [entry for entry in entries if entry.id <= lane.last_id]
            if not ahead:
                # What is passed over is not looked for again.
                lane.after_id = min(lane.last_id, newest)
                return None
            lane.after_id = ahead[-1].id
            # After a rewind, some may still be out.
            taken = self._taken
            fresh = [e for e in ahead if e.id not in taken] if taken else ahead
            if fresh:
                # An entry is its id and its reading.
                taken.update(fresh)
                return Batch(tuple(fresh))

    async def times_waiting(self, device_id: str, variable: str) -> set[float]:
        """Return when the waiting readings of a variable were true."""
        return {
            entry.reading.time
            for entry in await self._spool.read()
            if entry.reading[:2] == (device_id, variable)
        }

    async def release(self, batch: Batch) -> None:
        """Put back what was not sent."""
        if not self._taken:
            return
        for entry in self._settle(batch):
            lane = self._backlog if entry.id <= self._backlog.last_id else self._live
            lane.after_id = min(lane.after_id, entry.id - 1)

    async def discard(self, device_id: str) -> None:
        """Let go of what a device has to send; what is out does not come back."""
        after_id = 0
        while entries := await self._spool.read(after_id, _LOOKED_AT_AT_ONCE):
            after_id = entries[-1].id
            ids = {e.id for e in entries if e.reading.device_id == device_id}
            self._spool.remove(ids)
            for entry_id in ids & self._taken.keys():
                del self._taken[entry_id]

    def _settle(self, batch: Batch) -> list[Entry]:
        take_in = self._taken.pop
        return [entry for entry in batch.entries if take_in(entry.id, None)]

    def _held(self) -> dict[int, Entry]:
        return {
            entry_id: Entry(entry_id, told) for entry_id, told in self._taken.items()
        }


@dataclass(eq=False)
class _Lane:
    """How far readings were handed out, and how far they reach."""

    after_id: int
    last_id: int
