"""Keep hold of an outbox's file, whatever happens to it, and beside the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import sqlite3
import sys
from typing import Callable, TypeVar

from .journal import MEMORY, Journal
from .salvage import DAMAGE, Mishap, open_journal, replace_journal

T = TypeVar("T")

_MAX_MEMORY_BYTES = 16 * 1024 * 1024


class File:
    """A journal that can be worked with at any time.

    If it is damaged, it is replaced by what can be read of it. If it can't be opened, it
    stays as it is for the next start, and a journal in memory takes its place. Its
    methods must not be cancelled, nor called while another one runs.

    Args:
        path: the file, or None for a journal in memory.
        version: of this software.

    Attributes:
        mishap: what became of a file that was damaged, or None.
        problem: why the file can't be used now, or None.
        openings: how often a journal was begun.
    """

    def __init__(self, path: str | None, version: str) -> None:
        self.mishap: Mishap | None = None
        self.problem: str | None = None
        self.openings = 0
        self._path = path or MEMORY
        self._is_given_up = False
        self._version = version
        self._journal: Journal | None = None
        self._thread = ThreadPoolExecutor(1, "sensorvision-outbox")

    @property
    def max_bytes(self) -> int:
        """Return how large it may grow at the most."""
        return _MAX_MEMORY_BYTES if self._path == MEMORY else sys.maxsize

    async def open(self) -> None:
        """Take up the file."""
        await self._take_up(lambda: open_journal(self._path, self._version))

    async def close(self) -> None:
        """Close the file, for good."""
        journal, self._journal = self._journal, None
        if journal:
            # What could not be written last may be in doubt at the next start.
            await self._run(journal.abandon if self.problem else journal.close)
        # There is nothing left that it could be waited for.
        self._thread.shutdown()

    async def attempt(self, action: Callable[[Journal], T]) -> T | None:
        """Do something with the journal; return None if it can't be done now."""
        journal = self._journal
        if journal is None:
            return None
        try:
            return await self._run(lambda: action(journal))
        except sqlite3.OperationalError as err:
            # The disk is full, or can't be read or written.
            self.problem = str(err)
        except DAMAGE as err:
            await self._begin_anew(journal, str(err))
        return None

    def solved(self) -> None:
        """Note that writing works again."""
        if not self._is_given_up:
            self.problem = None

    async def _begin_anew(self, damaged: Journal, reason: str) -> None:
        def replace() -> tuple[Journal, Mishap]:
            with suppress(sqlite3.Error):
                damaged.close()
            return replace_journal(self._path, self._version, reason)

        await self._take_up(replace)

    async def _take_up(
        self, take_up: Callable[[], tuple[Journal, Mishap | None]]
    ) -> None:
        try:
            self._journal, mishap = await self._run(take_up)
        except (sqlite3.Error, OSError) as err:
            self.problem = str(err)
            self._is_given_up = True
            self._path = MEMORY
            self._journal = await self._run(lambda: Journal(MEMORY, self._version))
        else:
            self.mishap = mishap or self.mishap
        self.openings += 1

    async def _run(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)
