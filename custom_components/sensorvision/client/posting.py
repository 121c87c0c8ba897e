"""Bring to the server what is true now, as a device token may."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING, Callable

from . import protocol
from .exceptions import (
    AuthenticationError,
    NetworkError,
    PermissionDeniedError,
    ValidationError,
    error_of,
)
from .http_delivery import HttpDelivery, HttpPeer

if TYPE_CHECKING:
    from .outbox import NewestOutbox
    from .pace import Pace
    from .readings import Batch
    from .status import Status


class PostingDelivery(HttpDelivery):
    """Send the newest reading of each variable, one request a device and window.

    Args:
        client: the way to the server.
        outbox: where readings wait.
        home_device_id: see `HttpDelivery`.
        on_change: see `Delivery`.
        pace: how fast to send.
        status: see `Delivery`.
    """

    def __init__(
        self,
        client: HttpPeer,
        outbox: NewestOutbox,
        home_device_id: str,
        *,
        on_change: Callable[[], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(
            client, home_device_id, on_change=on_change, pace=pace, status=status
        )
        self._outbox = outbox
        self._next_turn = 0.0
        self._suspects: dict[str, _Suspect] = {}

    async def _has_work(self) -> bool:
        return bool(await self._due_devices())

    async def _due_devices(self) -> list[str]:
        self._end_pauses()
        return [
            device_id
            for device_id in await self._outbox.devices()
            if device_id not in self._paused_until
        ]

    async def _drain(self) -> None:
        queue = deque(await self._due_devices())
        workers = 1 if self._failures else self._pace.max_in_flight
        ended = await asyncio.gather(
            *(self._work(queue) for _ in range(workers)), return_exceptions=True
        )
        # Not before all of them have ended: none may go on unattended.
        for error in filter(None, ended):
            raise error

    async def _work(self, queue: deque[str]) -> None:
        while queue:
            device_id = queue.popleft()
            batch = await self._outbox.take(device_id)
            if batch is None:
                continue
            try:
                if await self._send(device_id, batch):
                    self._suspects.pop(device_id, None)
            finally:
                # What was confirmed on the way is not put back.
                await self._outbox.release(batch)
            if self._has_failed:
                queue.clear()

    async def _send(self, device_id: str, batch: Batch) -> bool:
        """Post readings and return whether the server has settled all of them."""
        await self._turn()
        started = time.monotonic()
        try:
            answer = await self._client.post(device_id, _numbers(batch))
        except NetworkError as err:
            if err.may_have_arrived:
                self.status.possible_duplicates += len(batch.entries)
            self._server_failed(err)
            return False
        except ValidationError as err:
            return await self._isolate(device_id, batch, str(err))
        self.status.round_trip_s = time.monotonic() - started
        if answer.kind == protocol.WRONG_PAYLOAD:
            self._server_answered()
            return await self._isolate(device_id, batch, answer.message)
        if answer.suspect:
            return await self._suspect(device_id, batch, answer)
        error = error_of(answer)
        if error is None:
            self.status.possible_duplicates += self._outbox.doubtful(batch)
            await self._outbox.confirm(batch)
            self._delivered(batch)
            return True
        if isinstance(error, AuthenticationError):
            self._credential_refused(error)
        elif isinstance(error, PermissionDeniedError):
            self._device_refused(device_id, error.server_message)
        else:
            # Device ids are checked before they are sent, so what else the server has
            # against the address holds for all of them.
            if error.may_have_arrived:
                self.status.possible_duplicates += len(batch.entries)
            self._server_failed(error)
        return False

    async def _turn(self) -> None:
        """Keep the distance between two posts."""
        now = asyncio.get_running_loop().time()
        wait_s = self._next_turn - now
        self._next_turn = max(now, self._next_turn) + self._pace.spacing_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _isolate(self, device_id: str, batch: Batch, reason: str) -> bool:
        """Halve refused data down to the reading that the server does not want."""
        if len(batch.entries) == 1:
            await self._outbox.set_aside(batch, reason)
            self._refused(batch, reason)
            return True
        is_settled = True
        for half in batch.halves():
            if self._has_failed:
                return False
            is_settled = await self._send(device_id, half) and is_settled
        return is_settled

    async def _suspect(
        self, device_id: str, batch: Batch, answer: protocol.Answer
    ) -> bool:
        """Retry data on which the server failed, then split it.

        The same answer stands for a number that can't be stored and for a server in
        trouble, so a reading is refused only once the server has stored another one.
        """
        suspect = self._suspects.setdefault(device_id, _Suspect(self.status.delivered))
        suspect.attempts += 1
        is_server_well = self.status.delivered > suspect.delivered_before
        if suspect.attempts >= self._pace.suspect_attempts and (
            len(batch.entries) > 1 or is_server_well
        ):
            return await self._isolate(device_id, batch, answer.message)
        now = asyncio.get_running_loop().time()
        pause_s = self._pace.backoff.delay_s(suspect.attempts)
        self._paused_until[device_id] = now + pause_s
        self.status.problem = str(error_of(answer))
        self._changed()
        return False


def _numbers(batch: Batch) -> dict[str, int | float]:
    """Return the numbers by variable, of which there is but one each."""
    return {reading.variable: reading.value for reading in batch.readings}


@dataclass
class _Suspect:
    """A device on whose data the server has failed."""

    delivered_before: int
    attempts: int = 0
