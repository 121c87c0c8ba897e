"""Hand readings out in turns: what is new, and what was left from an outage."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Awaitable, Callable, Collection

if TYPE_CHECKING:
    from .outbox import CompleteOutbox
    from .readings import Batch, Entry

_STALE_S = 600

# What a swift server is sent in this share of the time until it would be written down
# is confirmed within the rest.
_SHARE_TO_COLLECT = 0.6
_MIN_WINDOW_S = 0.25


class Turns:
    """Readings with their times, oldest first, so that neither new nor old ones wait.

    Args:
        outbox: where they wait.
        on_replayed: called in the event loop with the ids of the devices of which only
            old readings were handed out. The server takes a device for as old as its
            last reading, so a present one is due.
    """

    def __init__(
        self,
        outbox: CompleteOutbox,
        on_replayed: Callable[[frozenset[str]], None],
    ) -> None:
        self._outbox = outbox
        self._on_replayed = on_replayed
        # When what each device has shown last was true, while old readings are sent.
        self._replayed: dict[str, float] = {}
        self._passed_over: frozenset[str] = frozenset()
        self._is_interrupted = False
        self._is_new_next = True
        # The next of what was left, taken while the other side is at work.
        self._ahead: asyncio.Future[Batch | None] | None = None

    @property
    def has_more(self) -> bool:
        """Whether there may be something to hand out."""
        return self._outbox.has_more

    def window_s(self, usual_s: float, took_s: float | None) -> float:
        """Return how long to collect what is new, in seconds.

        What is gone before it is to be written down spares the disk.

        Args:
            usual_s: what is long enough for few requests, in seconds.
            took_s: how long the other side took to confirm, or None if it never has.
        """
        until_written_s = self._outbox.written_after_s
        window_s = _SHARE_TO_COLLECT * until_written_s
        is_gone = took_s is not None and window_s + took_s < until_written_s
        return (
            min(window_s, usual_s) if is_gone and window_s >= _MIN_WINDOW_S else usual_s
        )

    def interrupt(self) -> None:
        """Note that whatever waits from now on has missed its time."""
        self._is_interrupted = True

    def resume(self) -> None:
        """Begin anew after an interruption: what waits by now is what was left."""
        if self._is_interrupted:
            self._is_interrupted = False
            self._outbox.rewind()

    async def pass_over(self, device_ids: Collection[str]) -> None:
        """Hand out nothing of these devices, and what was held back of all others."""
        passed_over = frozenset(device_ids)
        if passed_over == self._passed_over:
            return
        await self._put_back()
        if self._passed_over - passed_over:
            # What was passed over lies before what was handed out since.
            self._outbox.rewind()
        self._passed_over = passed_over

    async def drain(
        self,
        send: Callable[[tuple[Entry, ...]], Awaitable[None]],
        *,
        limit: Callable[[], int],
        passed_over: Collection[str],
        has_failed: Callable[[], bool],
    ) -> None:
        """Hand out what waits, until all of it was or something has failed.

        What comes in meanwhile is left to the next time if it would not fill a request:
        else a swift server would be asked for each few readings.

        Args:
            send: is given some readings at a time, and settles or releases them.
            limit: how many at the most.
            passed_over: ids of devices, which may become more and fewer meanwhile.
            has_failed: whether to stop.
        """
        try:
            while not has_failed():
                await self.pass_over(passed_over)
                most = limit()
                batch = await self._next(most)
                if batch is None:
                    self._end()
                    return
                await send(batch.entries)
                if self._is_done(batch, most) and not has_failed():
                    self._end()
                    return
        finally:
            await self._put_back()

    def _is_done(self, batch: Batch, most: int) -> bool:
        """Tell whether a batch was the last one of what is new, and nothing else is left."""
        was_new = not self._is_new_next
        is_backlog_empty = self._ahead is None and not self._outbox.has_backlog
        return was_new and len(batch.entries) < most and is_backlog_empty

    async def _next(self, limit: int) -> Batch | None:
        """Hand out some of what is new or of what was left, by turns."""
        for _ in range(2):
            self._is_new_next = not self._is_new_next
            batch = await (self._backlog if self._is_new_next else self._live)(limit)
            if batch is not None:
                return batch
        return None

    async def _live(self, limit: int) -> Batch | None:
        live = await self._outbox.take_live(limit, self._passed_over)
        if live is not None and self._replayed:
            for device_id, _, _, at in live.readings:
                if device_id in self._replayed:
                    self._replayed[device_id] = at
        return live

    async def _backlog(self, limit: int) -> Batch | None:
        ahead = await self._take_ahead()
        if ahead and len(ahead.entries) > limit:
            await self._outbox.release(ahead)
            ahead = None
        backlog = ahead or await self._outbox.take_backlog(limit, self._passed_over)
        if backlog is not None:
            for device_id, _, _, at in backlog.readings:
                self._replayed[device_id] = at
            self._ahead = asyncio.ensure_future(
                self._outbox.take_backlog(limit, self._passed_over)
            )
        return backlog

    async def _take_ahead(self) -> Batch | None:
        ahead, self._ahead = self._ahead, None
        return await ahead if ahead else None

    async def _put_back(self) -> None:
        """Let the outbox hand out once more what was taken ahead, and nobody has got."""
        if ahead := await self._take_ahead():
            await self._outbox.release(ahead)

    def _end(self) -> None:
        """Say which devices the server now takes for silent since long ago."""
        latest = time.time() - _STALE_S
        stale = {device_id for device_id, at in self._replayed.items() if at < latest}
        self._replayed.clear()
        if stale:
            self._on_replayed(frozenset(stale))
