"""The newest readings of an outbox, and what its file does not know of yet."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
import sys
from typing import Collection, Iterable, Iterator, NamedTuple

from .readings import Entry
from .rows import DeadLetter

# What is sent soon after it was written need not be read again.
MAX_WRITTEN = 20_000


class Change(NamedTuple):
    """What is to be written.

    Attributes:
        new: readings that have come, and are still held.
        removed: ids of readings of the file that have gone.
        refused: readings that were set aside.
        seen: how many readings had come.
        gone: ids of all that have gone.
        captured_until: up to when readings were captured, or None if that is written.
    """

    new: list[Entry]
    removed: frozenset[int]
    refused: tuple[tuple[Entry, DeadLetter], ...]
    seen: int
    gone: frozenset[int]
    captured_until: float | None

    @property
    def is_nothing(self) -> bool:
        """Whether the file would be the same after it."""
        has_readings = self.new or self.removed or self.refused
        return not has_readings and self.captured_until is None


class Tail:
    """The newest readings in order, as far as memory holds them, and ids of what is gone.

    Those that are in no file yet are all in memory, and the last of the others.

    Attributes:
        gone: ids of readings that are held no more.
        refused: readings that were set aside.
        captured_until: up to when readings were captured, or None if that is written.
        complete_after: every reading with an id above this is in memory.
    """

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.refused: list[tuple[Entry, DeadLetter]] = []
        self.captured_until: float | None = None
        self.complete_after = 0
        self._entries: list[Entry] = []
        # So many of them, from the oldest on, are in the file as well.
        self._written = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Hold readings, in their order and newer than all before."""
        self._entries += entries

    def remove(self, ids: Iterable[int]) -> int:
        """Hold readings no more, and return how many were held until now."""
        before = len(self.gone)
        self.gone.update(ids)
        return len(self.gone) - before

    def read(
        self, after_id: int, limit: int = sys.maxsize, without: Collection[str] = ()
    ) -> list[Entry]:
        """Return readings with ids above one that memory holds, the oldest first.

        Args:
            after_id: 0 for the very first.
            limit: how many at the most.
            without: ids of devices whose readings are passed over.
        """
        first = bisect_left(self._entries, (after_id + 1,))
        return list(islice(self._held(first, without), limit))

    def unwritten(
        self, after_id: int = 0, without: Collection[str] = ()
    ) -> Iterator[Entry]:
        """Yield readings with ids above one that are in no file, the oldest first."""
        first = bisect_left(self._entries, (after_id + 1,), self._written)
        return self._held(first, without)

    def written_ones(self) -> list[Entry]:
        """Return the readings that are both in memory and in the file."""
        return [e for e in self._entries[: self._written] if e.id not in self.gone]

    def change(self) -> Change:
        """Return what is to be written; what has come and gone never sees the disk."""
        pending = self._entries[self._written :]
        gone = frozenset(self.gone)
        return Change(
            [entry for entry in pending if entry.id not in gone] if gone else pending,
            gone.difference([entry.id for entry in pending]) if gone else gone,
            tuple(self.refused),
            len(pending),
            gone,
            self.captured_until,
        )

    def written(self, change: Change) -> None:
        """Take note that a change is in the file now."""
        seen = self._written + change.seen
        kept = self._entries[:seen]
        if change.gone:
            kept = [entry for entry in kept if entry.id not in change.gone]
            self.gone -= change.gone
        excess = len(kept) - MAX_WRITTEN
        if excess > 0:
            self.complete_after = kept[excess - 1].id
            del kept[:excess]
        self._entries[:seen] = kept
        self._written = len(kept)
        del self.refused[: len(change.refused)]
        if self.captured_until == change.captured_until:
            self.captured_until = None

    def forget_written(self, last_id: int) -> None:
        """Hold nothing in memory that the file holds, which has readings up to an id."""
        del self._entries[: self._written]
        self._written = 0
        self.complete_after = last_id

    def tidy(self) -> None:
        """Forget what has come and gone, and was never written."""
        pending = self._entries[self._written :]
        self._entries[self._written :] = [e for e in pending if e.id not in self.gone]
        self.gone.difference_update(entry.id for entry in pending)

    def _held(self, first: int, without: Collection[str]) -> Iterator[Entry]:
        gone = self.gone
        entries: Iterable[Entry] = islice(self._entries, first, None)
        if without:
            entries = (e for e in entries if e.reading.device_id not in without)
        return (
            (entry for entry in entries if entry.id not in gone)
            if gone
            else iter(entries)
        )
