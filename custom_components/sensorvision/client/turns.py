"""Hand readings out in turns: what is new, and what was left from an outage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, Collection

if TYPE_CHECKING:
    from .outbox import CompleteOutbox
    from .readings import Batch

_STALE_S = 600


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

    @property
    def has_more(self) -> bool:
        """Whether there may be something to hand out."""
        return self._outbox.has_more

    def interrupt(self) -> None:
        """Note that whatever waits from now on has missed its time."""
        self._is_interrupted = True

    def resume(self) -> None:
        """Begin anew after an interruption: what waits by now is what was left."""
        if self._is_interrupted:
            self._is_interrupted = False
            self._outbox.rewind()

    def pass_over(self, device_ids: Collection[str]) -> None:
        """Hand out nothing of these devices, and what was held back of all others."""
        passed_over = frozenset(device_ids)
        if self._passed_over - passed_over:
            # What was passed over lies before what was handed out since.
            self._outbox.rewind()
        self._passed_over = passed_over

    async def next(self, limit: int) -> Batch | None:
        """Hand out some of what is new or of what was left; None if there is nothing.

        Args:
            limit: how many readings at the most.
        """
        for _ in range(2):
            self._is_new_next = not self._is_new_next
            batch = await (self._backlog if self._is_new_next else self._live)(limit)
            if batch is not None:
                return batch
        return None

    async def _live(self, limit: int) -> Batch | None:
        live = await self._outbox.take_live(limit, self._passed_over)
        if live is not None:
            for device_id, _, _, at in live.readings:
                if device_id in self._replayed:
                    self._replayed[device_id] = at
        return live

    async def _backlog(self, limit: int) -> Batch | None:
        backlog = await self._outbox.take_backlog(limit, self._passed_over)
        if backlog is not None:
            for device_id, _, _, at in backlog.readings:
                self._replayed[device_id] = at
        return backlog

    def end(self) -> None:
        """Say which devices the server now takes for silent since long ago."""
        latest = time.time() - _STALE_S
        stale = {device_id for device_id, at in self._replayed.items() if at < latest}
        self._replayed.clear()
        if stale:
            self._on_replayed(frozenset(stale))
