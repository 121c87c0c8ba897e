"""What has come and gone since an outbox's file was last written."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import Collection, Iterable, Iterator, NamedTuple

from .readings import Entry
from .rows import DeadLetter


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


class Unwritten:
    """Readings that are in memory alone, in order, and ids of those to be removed.

    Attributes:
        gone: ids of readings that are held no more.
        refused: readings that were set aside.
        captured_until: up to when readings were captured, or None if that is written.
    """

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.refused: list[tuple[Entry, DeadLetter]] = []
        self.captured_until: float | None = None
        self._pending: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Hold a reading, newer than all before."""
        self._pending.append(entry)

    def remove(self, ids: Iterable[int]) -> int:
        """Hold readings no more, and return how many were held until now."""
        gone = set(ids) - self.gone
        self.gone |= gone
        return len(gone)

    def waiting(
        self, after_id: int = 0, without: Collection[str] = ()
    ) -> Iterator[Entry]:
        """Yield readings with ids above one, the oldest first.

        Args:
            after_id: 0 for the very first.
            without: ids of devices whose readings are passed over.
        """
        for entry in islice(
            self._pending, bisect_left(self._pending, (after_id + 1,)), None
        ):
            if entry.id not in self.gone and entry.reading.device_id not in without:
                yield entry

    def change(self) -> Change:
        """Return what is to be written; what has come and gone never sees the disk."""
        gone = frozenset(self.gone)
        removed = gone.difference(entry.id for entry in self._pending)
        return Change(
            list(self.waiting()),
            removed,
            tuple(self.refused),
            len(self._pending),
            gone,
            self.captured_until,
        )

    def written(self, change: Change) -> None:
        """Let go of what is in the file now."""
        del self._pending[: change.seen]
        self.gone -= change.gone
        del self.refused[: len(change.refused)]
        if self.captured_until == change.captured_until:
            self.captured_until = None

    def tidy(self) -> None:
        """Forget what has come and gone."""
        waiting = list(self.waiting())
        self.gone.difference_update(entry.id for entry in self._pending)
        self._pending = waiting
