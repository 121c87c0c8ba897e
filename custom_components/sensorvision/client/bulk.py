"""Bring everything to the server with the time at which it was true, as a user may."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import chain
import time
from typing import TYPE_CHECKING, Awaitable, Callable, Iterable

from . import protocol
from .exceptions import (
    AnswerError,
    AuthenticationError,
    CapabilityError,
    NetworkError,
    ValidationError,
)
from .http_delivery import HttpDelivery, HttpPeer
from .moments import moments_of
from .readings import Batch, Entry
from .turns import Turns

if TYPE_CHECKING:
    from .moments import Moment
    from .outbox import CompleteOutbox
    from .pace import Pace
    from .protocol import Answer
    from .status import Status

# The server takes readings of a request one by one, and its proxy gives it a minute. So
# more than the 200 that any server bears (contract 2.4) go only to one that is swift.
_FIRST_CHUNK = 50
_MIN_CHUNK = 5
_MAX_CHUNK = 1000
_SWIFT_S = 0.5
_SLOW_S = 2


class BulkDelivery(HttpDelivery):
    """Send every reading with its time, many in a request.

    What waited while the server was away is replayed oldest first, and after each piece
    of it what is new: neither waits for the other.

    Args:
        client: the way to the server, with a credential that may send times.
        outbox: where readings wait.
        home_device_id: see `HttpDelivery`.
        on_change: see `Delivery`.
        on_replayed: see `Turns`.
        pace: how fast to send.
        status: see `Delivery`.
    """

    def __init__(
        self,
        client: HttpPeer,
        outbox: CompleteOutbox,
        home_device_id: str,
        *,
        on_change: Callable[[], None],
        on_replayed: Callable[[frozenset[str]], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(
            client, home_device_id, on_change=on_change, pace=pace, status=status
        )
        self._outbox = outbox
        self._turns = Turns(outbox, on_replayed)
        self._chunk = _FIRST_CHUNK
        self._blame: str | None = None
        self._failed_alike = 0
        self._delivered_before = 0
        self._suspects: dict[int, _Suspect] = {}

    def flush(self) -> None:
        """End every pause, and ask anew whose the devices are."""
        self._client.forget_devices()
        super().flush()

    async def _has_work(self) -> bool:
        self._end_pauses()
        await self._turns.pass_over(self._paused_until)
        return self._turns.has_more or bool(self._due_suspects())

    def _window_s(self) -> float:
        return self._turns.window_s(super()._window_s(), self.status.round_trip_s)

    def _pauses(self) -> list[float]:
        return [
            *super()._pauses(),
            *(suspect.due for suspect in self._suspects.values()),
        ]

    async def _drain(self) -> None:
        self._turns.resume()
        await self._send(self._due_suspects())
        await self._turns.drain(
            self._send,
            limit=lambda: self._chunk,
            passed_over=self._paused_until,
            has_failed=lambda: self._has_failed,
        )

    def _failed(self, problem: str) -> None:
        self._turns.interrupt()
        super()._failed(problem)

    async def _send(self, entries: Iterable[Entry]) -> None:
        """Send readings, and put back those of which nothing is known then."""
        due = tuple(entries)
        if not due:
            return
        are_suspects = due[0].id in self._suspects
        delivered_before, self._blame = self.status.delivered, None
        try:
            await self._post(due)
        finally:
            suspects = self._suspects
            left = [e for e in due if e.id not in suspects] if suspects else due
            await self._outbox.release(Batch(tuple(left)))
        is_in_vain = self.status.delivered == delivered_before
        if self._blame and is_in_vain and not are_suspects:
            # All that waits would be tried like this, and be held in memory.
            self._has_failed = True
            self._turns.interrupt()
            self.status.problem = self._blame
            self._changed()

    async def _post(self, entries: tuple[Entry, ...]) -> None:
        moments = moments_of(entries, self._suspects)
        self._delivered_before = self.status.delivered
        started = time.monotonic()
        try:
            answers = await self._client.post_moments(moments)
        except NetworkError as err:
            if err.may_have_arrived:
                self.status.possible_duplicates += len(entries)
            self._slow_down()
            self._server_failed(err)
        except ValidationError as err:
            await self._halve(entries, str(err), self._set_aside)
        except AuthenticationError as err:
            self._credential_refused(err)
        except AnswerError as err:
            await self._not_taken(entries, err)
        except CapabilityError as err:
            self._server_failed(err)
        else:
            took_s = time.monotonic() - started
            self.status.round_trip_s = took_s
            self._adapt(len(entries), took_s)
            if all(answer.kind == protocol.DELIVERED for answer in answers):
                self._failed_alike = 0
                await self._stored(Batch(entries))
            else:
                await self._settle(list(zip(moments, answers)))

    def _adapt(self, count: int, took_s: float) -> None:
        """Let requests grow as long as the server is swift."""
        if took_s > _SLOW_S:
            self._slow_down()
        elif count >= self._chunk:
            more = self._chunk if took_s < _SWIFT_S else _MIN_CHUNK
            self._chunk = min(_MAX_CHUNK, self._chunk + more)

    def _slow_down(self) -> None:
        self._chunk = max(_MIN_CHUNK, self._chunk // 4)

    async def _not_taken(self, entries: tuple[Entry, ...], err: AnswerError) -> None:
        """See whether the server or a reading is to blame for a no to all of them."""
        self._failed_alike += 1
        is_suspect = err.answer.suspect or err.answer.kind == protocol.WRONG_PAYLOAD
        if is_suspect and self._failed_alike >= self._pace.suspect_attempts:
            self._blame = err.server_message
            await self._halve(entries, err.server_message, self._suspect)
        else:
            if err.may_have_arrived:
                self.status.possible_duplicates += len(entries)
            self._slow_down()
            self._server_failed(err)

    async def _halve(
        self,
        entries: tuple[Entry, ...],
        reason: str,
        judge: Callable[[Entry, str], Awaitable[None]],
    ) -> None:
        """Halve what was refused as a whole down to the readings that are to blame."""
        if len(entries) == 1:
            await judge(entries[0], reason)
            return
        for half in Batch(entries).halves():
            if not self._has_failed:
                # The other half may have been stored.
                self._failed_alike = self._pace.suspect_attempts
                await self._post(half.entries)

    async def _settle(self, answered: list[tuple[Moment, Answer]]) -> None:
        """Act on what the server has said of each moment."""
        delivered = [
            moment for moment, answer in answered if answer.kind == protocol.DELIVERED
        ]
        stored = Batch(tuple(chain.from_iterable(delivered)))
        if stored.entries:
            await self._stored(stored)
        failed = []
        for moment, answer in answered:
            if answer.kind == protocol.WRONG_DEVICE:
                self._device_refused(moment[0].reading.device_id, answer.message)
            elif answer.kind != protocol.DELIVERED:
                failed += [(entry, answer.message) for entry in moment]
        if stored.entries or not failed:
            self._failed_alike = 0
        else:
            self._failed_alike += 1
            self._slow_down()
        is_tried = self._failed_alike >= self._pace.suspect_attempts
        for entry, reason in failed:
            self._blame = reason
            if stored.entries or is_tried or entry.id in self._suspects:
                await self._suspect(entry, reason)

    async def _stored(self, stored: Batch) -> None:
        """Let go of what the server has stored."""
        if self._suspects:
            for entry in stored.entries:
                self._suspects.pop(entry.id, None)
        self.status.possible_duplicates += self._outbox.doubtful(stored)
        await self._outbox.confirm(stored)
        self._delivered(stored)

    async def _suspect(self, entry: Entry, reason: str) -> None:
        """Try a reading on which the server failed some more times by itself.

        The server says the same of a number that it can't store and of its own trouble,
        so a reading is set aside only once the server has stored another one since.
        """
        suspect = self._suspects.setdefault(
            entry.id, _Suspect(entry, self._delivered_before)
        )
        suspect.attempts += 1
        is_server_well = self.status.delivered > suspect.delivered_before
        if suspect.attempts >= self._pace.suspect_attempts and is_server_well:
            await self._set_aside(entry, reason)
            return
        now = asyncio.get_running_loop().time()
        suspect.due = now + self._pace.backoff.delay_s(suspect.attempts)
        self.status.problem = reason
        self._changed()

    async def _set_aside(self, entry: Entry, reason: str) -> None:
        """Keep a reading that the server does not want out of the way of the others."""
        self._suspects.pop(entry.id, None)
        batch = Batch((entry,))
        await self._outbox.set_aside(batch, reason)
        self._refused(batch, reason)

    def _due_suspects(self) -> list[Entry]:
        now = asyncio.get_running_loop().time()
        due = [
            suspect.entry for suspect in self._suspects.values() if suspect.due <= now
        ]
        return sorted(due)[: self._chunk]


@dataclass
class _Suspect:
    """A reading on which the server has failed."""

    entry: Entry
    delivered_before: int
    attempts: int = 0
    due: float = 0
