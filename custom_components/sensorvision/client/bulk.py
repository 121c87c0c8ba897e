"""Bring everything to the server with the time at which it was true, as a user may."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import datetime as dt
import time
from typing import TYPE_CHECKING, Awaitable, Callable, Container, Iterable

from . import protocol
from .delivery import Delivery
from .exceptions import (
    AnswerError,
    AuthenticationError,
    CapabilityError,
    NetworkError,
    ValidationError,
)
from .models import Sample
from .readings import Batch, Entry, has_date

if TYPE_CHECKING:
    from .http import AsyncSensorVisionClient
    from .models import SampleResult
    from .outbox import CompleteOutbox
    from .pace import Pace
    from .status import Status

# The server takes readings of a request one by one, and its proxy gives it a minute.
_FIRST_CHUNK = 50
_MIN_CHUNK = 5
_MAX_CHUNK = 200
_STALE_S = 600
_SWIFT_S = 0.5
_SLOW_S = 2


class BulkDelivery(Delivery):
    """Send every reading with its time, many in a request.

    What waited while the server was away is replayed oldest first, and after each piece
    of it what is new: neither waits for the other.

    Args:
        client: the way to the server, with a credential that may send times.
        outbox: where readings wait.
        home_device_id: see `Delivery`.
        on_change: see `Delivery`.
        on_replayed: called in the event loop with the ids of the devices of which only
            old readings were sent. The server takes a device for as old as its last
            reading, so a present one is due.
        pace: how fast to send.
        status: see `Delivery`.
    """

    def __init__(
        self,
        client: AsyncSensorVisionClient,
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
        self._on_replayed = on_replayed
        self._chunk = _FIRST_CHUNK
        # When what each device has shown last was true, while old readings are sent.
        self._replayed: dict[str, float] = {}
        self._passed_over: frozenset[str] = frozenset()
        # What is sent next of the backlog, taken while the server was at work.
        self._ahead: Batch | None = None
        self._is_interrupted = False
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
        self._look_back()
        return self._outbox.has_more or bool(self._due_suspects())

    def _look_back(self) -> None:
        """Begin anew where a device was passed over that is not any more."""
        if self._passed_over - self._paused_until.keys():
            # What was passed over lies before what was sent since.
            self._passed_over = frozenset()
            self._outbox.rewind()

    def _pauses(self) -> list[float]:
        return [
            *super()._pauses(),
            *(suspect.due for suspect in self._suspects.values()),
        ]

    async def _drain(self) -> None:
        if self._is_interrupted:
            self._is_interrupted = False
            self._outbox.rewind()
        await self._send(self._due_suspects())
        try:
            await self._send_all()
        finally:
            await self._put_back()
        if self._replayed and not self._has_failed:
            self._end_replay()

    async def _send_all(self) -> None:
        """Send live readings and backlog in turn, until nothing waits."""
        has_more = True
        while has_more and not self._has_failed:
            if frozenset(self._paused_until) != self._passed_over:
                # It may hold what is to be passed over now, or come back before it.
                await self._put_back()
            self._look_back()
            self._passed_over = frozenset(self._paused_until)
            has_live = await self._send_live()
            has_backlog = not self._has_failed and await self._send_backlog()
            has_more = has_live or has_backlog

    async def _put_back(self) -> None:
        """Let the outbox hand out once more what was taken ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead:
            await self._outbox.release(ahead)

    async def _send_live(self) -> bool:
        """Send some of what is new, and return whether there may be more."""
        chunk = self._chunk
        live = await self._outbox.take_live(chunk, self._passed_over)
        if live is None:
            return False
        for device_id, _, _, at in live.readings:
            if device_id in self._replayed:
                self._replayed[device_id] = at
        await self._send(live.entries)
        return len(live.entries) == chunk

    async def _send_backlog(self) -> bool:
        """Send some of what was left, and return whether there may be more."""
        if self._ahead and len(self._ahead.entries) > self._chunk:
            await self._put_back()
        backlog, self._ahead = self._ahead, None
        if backlog is None:
            backlog = await self._take_backlog()
        if backlog is None:
            return False
        for device_id, _, _, at in backlog.readings:
            self._replayed[device_id] = at
        taking = asyncio.ensure_future(self._take_backlog())
        try:
            await self._send(backlog.entries)
        finally:
            self._ahead = await taking
        return True

    async def _take_backlog(self) -> Batch | None:
        return await self._outbox.take_backlog(self._chunk, self._passed_over)

    def _failed(self, problem: str) -> None:
        # Whatever waits from now on has missed its time.
        self._is_interrupted = True
        super()._failed(problem)

    def _end_replay(self) -> None:
        """Say which devices the server now takes for silent since long ago."""
        latest = time.time() - _STALE_S
        stale = {device_id for device_id, at in self._replayed.items() if at < latest}
        self._replayed.clear()
        if stale:
            self._on_replayed(frozenset(stale))

    async def _send(self, entries: Iterable[Entry]) -> None:
        """Send readings, and put back those of which nothing is known then."""
        due = await self._dated(entries)
        if not due:
            return
        are_suspects = due[0].id in self._suspects
        delivered_before, self._blame = self.status.delivered, None
        try:
            await self._post(due)
        finally:
            left = tuple(entry for entry in due if entry.id not in self._suspects)
            await self._outbox.release(Batch(left))
        is_in_vain = self.status.delivered == delivered_before
        if self._blame and is_in_vain and not are_suspects:
            # All that waits would be tried like this, and be held in memory.
            self._has_failed = self._is_interrupted = True
            self.status.problem = self._blame
            self._changed()

    async def _dated(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Set aside what an older version has kept though it has no date."""
        dated = []
        for entry in entries:
            if has_date(entry.reading):
                dated.append(entry)
            else:
                await self._set_aside(entry, "Its time is beyond the years 1 to 9999")
        return tuple(dated)

    async def _post(self, entries: tuple[Entry, ...]) -> None:
        samples = _samples(entries, self._suspects)
        self._delivered_before = self.status.delivered
        started = time.monotonic()
        try:
            results = await self._client.post_batch([sample for sample, _ in samples])
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
            told = [entries for _, entries in samples]
            await self._settle(list(zip(told, results)))

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

    async def _settle(
        self, results: list[tuple[tuple[Entry, ...], SampleResult]]
    ) -> None:
        """Act on what the server has said of each sample."""
        stored = Batch(
            tuple(
                entry
                for entries, result in results
                for entry in entries
                if result.is_delivered
            )
        )
        if stored.entries:
            for entry in stored.entries:
                self._suspects.pop(entry.id, None)
            self.status.possible_duplicates += self._outbox.doubtful(stored)
            await self._outbox.confirm(stored)
            self._delivered(stored)
        failed = []
        for entries, result in results:
            if result.kind == protocol.WRONG_DEVICE:
                self._device_refused(entries[0].reading.device_id, result.message)
            elif not result.is_delivered:
                failed += [(entry, result.message) for entry in entries]
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


def _samples(
    entries: tuple[Entry, ...], alone: Container[int]
) -> list[tuple[Sample, tuple[Entry, ...]]]:
    """Return samples with the readings that each tells, in the readings' order.

    What a device has shown at one moment is one sample.

    Args:
        entries: the readings.
        alone: the ids of those that are to be judged by themselves.
    """
    groups: dict[tuple[str, float, int], dict[str, Entry]] = {}
    places: dict[tuple[str, float, int], int] = {}
    last_places: dict[tuple[str, str], int] = {}
    for entry in entries:
        device_id, variable, _, at = entry.reading
        # Not before an earlier reading of the same variable, even if a clock went back.
        after = last_places.get((device_id, variable), -1)
        nth = -entry.id if entry.id in alone else 0
        while places.setdefault((device_id, at, nth), len(places)) <= after:
            nth += 1
        last_places[device_id, variable] = places[device_id, at, nth]
        groups.setdefault((device_id, at, nth), {})[variable] = entry
    return [
        (
            Sample(
                device_id,
                {variable: entry.reading.value for variable, entry in told.items()},
                dt.datetime.fromtimestamp(at, dt.timezone.utc),
            ),
            tuple(told.values()),
        )
        for (device_id, at, _), told in groups.items()
    ]


@dataclass
class _Suspect:
    """A reading on which the server has failed."""

    entry: Entry
    delivered_before: int
    attempts: int = 0
    due: float = 0
