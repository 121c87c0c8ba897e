"""Write an outbox's readings to its file, in groups and beside the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import chain, islice
import math
import sys
import time
from typing import Awaitable, Callable, Iterable, TypeVar

from .file import File
from .journal import MAX_DEAD_LETTERS, Journal
from .limits import Limits
from .protocol import VALUE_LIMIT
from .readings import END_OF_TIME, FIRST_TIME, Entry, Reading
from .rows import DeadLetter
from .tail import Tail

T = TypeVar("T")

# The rest of the interval is for writing, which takes its time on a busy computer.
_COMMIT_BEGINS_AFTER = 0.5

_MAX_PENDING = 100_000
_RETRY_AFTER_S = 1

# As long as all that comes is gone before it would be written, the disk rests, but for
# this: up to when readings were captured is written down by itself so often.
_MARK_EVERY_S = 10

# When readings came is noted so often in the time that they may wait.
_ARRIVALS = 10

# More than ever are on their way to the server at once, so that some can be dropped.
_SURPLUS_AT_ONCE = 10_000
_DROPPED_AT_ONCE = 1000


class Spool:
    """What an outbox holds, and its file.

    While the file can't be written, readings stay in memory, are handed out all the same,
    and are written as soon as that is possible. If it can't even be opened, everything is
    kept in memory until the next start. Made in a running event loop.

    Args:
        path: the file, or None to keep everything in memory.
        limits: how much it may hold.
        version: of this software; what another one has set aside waits again.
        held: returns those readings by id that must not be dropped, and that are
            written anew if the file is damaged.
        spares_disk: whether what is removed in time need not be written. If readings
            replace each other, the last one would never be old enough to be.

    Attributes:
        dropped: how many readings were dropped to keep the limits.
        doubtful_until: up to this id, an earlier process may have sent a reading and not
            come to note it.
        file: the file, which knows what became of it.
        captured_until: up to when readings were captured, in seconds since 1970 (UTC),
            or None if that is unknown.
        limits: how much it may hold; see `limit`.
    """

    def __init__(
        self,
        path: str | None,
        limits: Limits | None = None,
        version: str = "",
        *,
        held: Callable[[], dict[int, Entry]],
        spares_disk: bool,
    ) -> None:
        self.dropped = 0
        self.doubtful_until = 0
        self.captured_until: float | None = None
        self.file = File(path, version)
        self.limits = limits or Limits()
        self._held = held
        self._spares_disk = spares_disk
        self._is_open = False
        self._openings = 0
        # Where a reading is, in the file or in memory, changes under it alone.
        self._lock = asyncio.Lock()
        self._commit_task: asyncio.Task[None] | None = None
        self._last_id = 0
        self._count = 0
        self._oldest_written: Entry | None = None
        self._tail = Tail()
        # From which id on readings came at what time of the loop. If more of it were
        # kept, it would only say more exactly for how long it is overdue.
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=10 * _ARRIVALS)
        self._marked_at = -math.inf

    def __len__(self) -> int:
        """Return how many readings it holds."""
        return self._count

    @property
    def last_id(self) -> int:
        """Return the id of the newest reading."""
        return self._last_id

    @property
    def written_after_s(self) -> float:
        """Return how long a reading is in memory before it is written down, if it stays."""
        return self.limits.commit_interval_s * _COMMIT_BEGINS_AFTER

    @property
    def oldest(self) -> float | None:
        """Return when the oldest reading was true as of the last commit, or None."""
        written = [self._oldest_written] if self._oldest_written else []
        for entry in chain(written, self._tail.unwritten()):
            if entry.id not in self._tail.gone:
                return entry.reading.time
        return None

    async def open(self) -> None:
        """Take up what the file holds."""
        await self._undisturbed(self._open())

    async def close(self) -> None:
        """Write everything down, and close the file."""
        await self._undisturbed(self._close())

    async def commit(self) -> None:
        """Write down what has come and gone; if that fails, it is kept in memory."""
        await self._undisturbed(self._commit())

    async def limit(self, limits: Limits) -> None:
        """Hold to other limits from now on, and write down what waits."""
        self.limits = limits
        # It may be waiting for longer than is wanted now.
        task, self._commit_task = self._commit_task, None
        if task:
            task.cancel()
        await self.commit()

    def add(self, readings: Iterable[Reading]) -> tuple[list[Entry], ValueError | None]:
        """Hold readings; they are on disk when the next commit is through.

        Returns:
            Those that can be kept, and why the first of the others can't, or None.

        Raises:
            RuntimeError: the spool was never opened.
        """
        if not self._is_open:
            raise RuntimeError("Open the outbox before you append readings")
        entries: list[Entry] = []
        refusal: ValueError | None = None
        last_id = self._last_id
        for reading in readings:
            _, _, value, at = reading
            # Not a number is not below anything.
            if -VALUE_LIMIT < value < VALUE_LIMIT and FIRST_TIME <= at < END_OF_TIME:
                last_id += 1
                entries.append(Entry(last_id, reading))
            else:
                refusal = refusal or _not_kept(reading)
        self._last_id = last_id
        if entries:
            self._tail.add(entries)
            self._count += len(entries)
            self._note_arrival(entries[0].id)
            if self._commit_task is None:
                self._see_to_commit()
        return entries, refusal

    def mark_captured(self, until: float) -> None:
        """Note up to when readings were captured; the next commit writes it down."""
        self.captured_until = self._tail.captured_until = until

    def remove(self, ids: Iterable[int]) -> None:
        """Hold readings no more; each is to be removed but once."""
        gone = self._tail.remove(ids)
        self._count -= gone
        if gone and self._commit_task is None:
            self._see_to_commit()

    def set_aside(self, entries: Iterable[Entry], reason: str) -> None:
        """Hold readings no more that the server does not want, but keep them to be seen."""
        now = time.time()
        refused = [(entry, DeadLetter(entry.reading, reason, now)) for entry in entries]
        self._tail.refused += refused
        self.remove(entry.id for entry, _ in refused)

    async def read(
        self,
        after_id: int = 0,
        limit: int = sys.maxsize,
        without: frozenset[str] = frozenset(),
    ) -> list[Entry]:
        """Return readings with ids above one, the oldest first.

        Args:
            after_id: 0 for the very first.
            limit: how many at the most.
            without: ids of devices whose readings are passed over.
        """
        if self._is_open and after_id >= self._tail.complete_after:
            return self._tail.read(after_id, limit, without)
        return await self._undisturbed(self._read(after_id, limit, without))

    async def dead_letters(self) -> list[DeadLetter]:
        """Return what was set aside, the oldest first."""
        return await self._undisturbed(self._dead_letters())

    async def recall(
        self,
        is_wanted: Callable[[Reading], bool],
        take_back: Callable[[list[Entry]], T],
    ) -> T:
        """Hold readings again that were set aside; none while they can't be written.

        Args:
            is_wanted: tells of a reading whether it is to be held again.
            take_back: called once with what is held again, before anything else is
                done; what it returns is returned.
        """
        return await self._undisturbed(self._recall(is_wanted, take_back))

    async def _undisturbed(self, work: Awaitable[T]) -> T:
        """Let work that has begun come to its end even if nobody waits for it."""
        return await asyncio.shield(asyncio.ensure_future(work))

    async def _open(self) -> None:
        async with self._lock:
            await self.file.open()
            self._openings = self.file.openings
            await self._count_anew()
            self._tail.forget_written(self._last_id)
            self.captured_until = await self._attempt(
                lambda journal: journal.captured_until()
            )
            was_left_open = await self._attempt(lambda journal: journal.was_left_open)
            if was_left_open or self.file.mishap:
                self.doubtful_until = self._last_id
            self._is_open = True

    async def _close(self) -> None:
        if self._commit_task:
            self._commit_task.cancel()
        await self._commit()
        async with self._lock:
            if self._commit_task:
                self._commit_task.cancel()
            self._is_open = False
            await self.file.close()

    async def _read(
        self, after_id: int, limit: int, without: frozenset[str]
    ) -> list[Entry]:
        entries: list[Entry] = []
        async with self._lock:
            while len(entries) < limit:
                first_id, missing = after_id, limit - len(entries)
                more = await self._attempt(
                    lambda journal: journal.read(first_id, missing, without)  # noqa: B023
                )
                if not more:
                    break
                after_id = more[-1].id
                gone = self._tail.gone
                entries += [entry for entry in more if entry.id not in gone]
            unwritten = self._tail.unwritten(after_id, without)
            entries += islice(unwritten, limit - len(entries))
        return entries

    async def _dead_letters(self) -> list[DeadLetter]:
        async with self._lock:
            written = await self._attempt(lambda journal: journal.dead_letters())
            letters = [
                *(written or ()),
                *(letter for _, letter in self._tail.refused),
            ]
            return letters[-MAX_DEAD_LETTERS:]

    async def _recall(
        self,
        is_wanted: Callable[[Reading], bool],
        take_back: Callable[[list[Entry]], T],
    ) -> T:
        async with self._lock:
            # So that all that was set aside is in the file, if there can be any.
            await self._write()
            letters = await self._attempt(lambda journal: journal.dead_letters())
            wanted = [letter for letter in letters or () if is_wanted(letter.reading)]
            first_id = self._last_id + 1
            self._last_id += len(wanted)
            entries = await self._attempt(
                lambda journal: journal.revive(set(wanted), first_id)
            )
            self._count += len(entries or ())
            # Memory holds nothing of what has come between what it holds.
            self._tail.forget_written(first_id + len(wanted) - 1)
            return take_back(entries or [])

    def _note_arrival(self, first_id: int) -> None:
        """Note when readings came, or that they came with those before."""
        now = asyncio.get_running_loop().time()
        apart_s = self.written_after_s / _ARRIVALS
        if not self._arrivals or now - self._arrivals[-1][1] > apart_s:
            self._arrivals.append((first_id, now))

    def _see_to_commit(self, delay_s: float = 0) -> None:
        if self._is_open and self._commit_task is None:
            delay_s = max(delay_s, self.written_after_s)
            self._commit_task = asyncio.ensure_future(self._commit_after(delay_s))

    async def _commit_after(self, delay_s: float) -> None:
        """Write down what is still there after a while, as soon as it is due."""
        left_s: float | None = delay_s
        while left_s:
            await asyncio.sleep(left_s)
            async with self._lock:
                left_s = self._left_s() if self._spares_disk else 0
        self._commit_task = None
        if left_s is not None:
            await self.commit()

    def _left_s(self) -> float | None:
        """Return in how many seconds it is time to write, or None if nothing waits for it.

        What has come and gone meanwhile is forgotten.
        """
        tail, now = self._tail, asyncio.get_running_loop().time()
        tail.tidy()
        is_mark_due = tail.captured_until and now - self._marked_at >= _MARK_EVERY_S
        if tail.gone or tail.refused or is_mark_due:
            return 0
        oldest = next(tail.unwritten(), None)
        if oldest is None:
            return None
        arrivals = self._arrivals
        while len(arrivals) > 1 and arrivals[1][0] <= oldest.id:
            arrivals.popleft()
        return max(0, arrivals[0][1] + self.written_after_s - now)

    async def _commit(self) -> None:
        async with self._lock:
            if not await self._write():
                self._keep_memory_bounded()
                self._see_to_commit(_RETRY_AFTER_S)
                return
            await self._keep_limits()

    async def _write(self) -> bool:
        """Write down what has come and gone, and return whether that was possible."""
        change = self._tail.change()
        if not change.is_nothing:

            def write(journal: Journal) -> bool:
                journal.write(
                    change.new, change.removed, change.refused, change.captured_until
                )
                return True

            if not await self._attempt(write):
                return False
            self.file.solved()
        if change.captured_until is not None:
            self._marked_at = asyncio.get_running_loop().time()
        self._tail.written(change)
        return True

    async def _keep_limits(self) -> None:
        """Drop the oldest readings while there are too many or too old ones."""
        limits = self.limits
        max_bytes = min(limits.max_bytes, self.file.max_bytes)

        def look(journal: Journal) -> tuple[list[int], list[Entry]]:
            surplus = journal.surplus(max_bytes, limits.max_age_s, _SURPLUS_AT_ONCE)
            if not surplus:
                journal.shrink()
            return surplus, journal.read(0, 1)

        while found := await self._attempt(look):
            surplus, oldest = found
            self._oldest_written = oldest[0] if oldest else None
            if not surplus:
                return
            # Decided here, where readings are handed out, so that none is both.
            kept = self._held().keys() | self._tail.gone
            dropped = [entry_id for entry_id in surplus if entry_id not in kept]
            del dropped[_DROPPED_AT_ONCE:]
            self._drop(dropped)
            if not dropped or not await self._write():
                return

    def _keep_memory_bounded(self) -> None:
        """Forget what has come and gone, and drop the oldest if there are too many."""
        tail = self._tail
        del tail.refused[:-MAX_DEAD_LETTERS]
        tail.tidy()
        waiting = [entry.id for entry in tail.unwritten()]
        excess = max(0, len(waiting) - _MAX_PENDING)
        held = self._held() if excess else {}
        self._drop([entry_id for entry_id in waiting if entry_id not in held][:excess])
        tail.tidy()

    def _drop(self, ids: list[int]) -> None:
        self.dropped += len(ids)
        self.remove(ids)

    async def _attempt(self, action: Callable[[Journal], T]) -> T | None:
        """Do something with the file; return None if it can't be done now."""
        done = await self.file.attempt(action)
        if self.file.openings != self._openings:
            self._openings = self.file.openings
            await self._restore()
            done = await self.file.attempt(action)
        return done

    async def _restore(self) -> None:
        """Write into a new file what a damaged one may have lost, and count anew."""
        in_memory = {entry.id for entry in self._tail.unwritten()}
        known = {entry.id: entry for entry in self._tail.written_ones()}
        known.update(self._held())
        held = [entry for entry_id, entry in known.items() if entry_id not in in_memory]
        gone = frozenset(self._tail.gone)
        until = self.captured_until
        await self.file.attempt(
            lambda journal: journal.write(held, gone, captured_until=until)
        )
        await self._count_anew()

    async def _count_anew(self) -> None:
        count = await self.file.attempt(lambda journal: journal.count()) or 0
        last_id = await self.file.attempt(lambda journal: journal.last_id()) or 0
        self._count = count + sum(1 for _ in self._tail.unwritten())
        self._last_id = max(self._last_id, last_id)
        first = await self.file.attempt(lambda journal: journal.read(0, 1))
        self._oldest_written = first[0] if first else None


def _not_kept(reading: Reading) -> ValueError:
    """Return why a reading can't be kept."""
    for number in (reading.value, reading.time):
        if not abs(number) < VALUE_LIMIT:
            return ValueError(
                f"{reading.variable} of {reading.device_id}: {number} is not a"
                " finite number below 1e14; leave it out"
            )
    return ValueError(
        f"{reading.variable} of {reading.device_id}: {reading.time} is no time"
        " between the years 1 and 9999; leave it out"
    )
