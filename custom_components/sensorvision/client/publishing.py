"""Bring everything to a broker with the time at which it was true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Awaitable, Callable, Iterable

from .delivery import Delivery
from .exceptions import (
    AuthenticationError,
    NetworkError,
    SensorVisionError,
    ValidationError,
)
from .mqtt import Message, telemetry_payload, telemetry_topic
from .readings import Batch, Entry
from .samples import samples_of
from .turns import Turns

if TYPE_CHECKING:
    from .models import Sample
    from .mqtt import Publisher
    from .outbox import CompleteOutbox
    from .pace import Pace
    from .status import Status

# Most of it is in flight at once.
_MAX_CHUNK = 200

_TOKENLESS = (
    "Its token is not known here, and the server takes readings over MQTT only with the"
    " token of the device itself"
)


class PublishingDelivery(Delivery):
    """Publish every reading with its time, one message a device and moment.

    A reading leaves the outbox when the broker has acknowledged it; whether the server
    takes it from there, nobody says. What waited while the broker was away is published
    oldest first, in turns with what is new.

    Args:
        publisher: the way to the broker.
        outbox: where readings wait.
        token_of: tells a device's token, or None if it has none that is known: its
            readings wait then. What it raises holds the device back for a while. None
            for a server that checks no tokens.
        on_change: see `Delivery`.
        on_replayed: see `Turns`.
        pace: how fast to send.
        status: see `Delivery`; what it calls delivered is what the broker has
            acknowledged.
    """

    def __init__(
        self,
        publisher: Publisher,
        outbox: CompleteOutbox,
        *,
        token_of: Callable[[str], Awaitable[str | None]] | None,
        on_change: Callable[[], None],
        on_replayed: Callable[[frozenset[str]], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(publisher, on_change=on_change, pace=pace, status=status)
        self._publisher = publisher
        self._outbox = outbox
        self._token_of = token_of
        self._turns = Turns(outbox, on_replayed)
        self._chunk = _MAX_CHUNK
        self._token_failures: dict[str, int] = {}
        self._lone_failures = 0
        self._suspects: dict[int, _Suspect] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._publisher.on_lost = self._session_lost
        try:
            await super().run()
        finally:
            await self._publisher.close()

    def _session_lost(self) -> None:
        if not self._publisher.is_connected:
            self._server_failed(self._broken())
            self._wake.set()

    def _broken(self) -> NetworkError:
        host = self._publisher.broker.host
        return NetworkError(f"The connection to the broker {host} broke")

    async def _probe(self) -> None:
        if not self._publisher.is_connected:
            try:
                await self._publisher.connect()
            except AuthenticationError as err:
                self._credential_refused(err)
                return
            except SensorVisionError as err:
                self._server_failed(err)
                return
        self._is_explored = True
        self._server_answered()

    def _failed(self, problem: str) -> None:
        self._turns.interrupt()
        super()._failed(problem)

    async def _has_work(self) -> bool:
        self._end_pauses()
        await self._turns.pass_over(self._paused_until)
        return self._turns.has_more or bool(self._due_suspects())

    def _pauses(self) -> list[float]:
        return [
            *super()._pauses(),
            *(suspect.due for suspect in self._suspects.values()),
        ]

    async def _drain(self) -> None:
        await self._probe()
        self._turns.resume()
        for suspect in self._due_suspects():
            if not self._has_failed:
                await self._send(suspect.entries)
        await self._turns.drain(
            self._send,
            limit=lambda: self._chunk,
            passed_over=self._paused_until,
            has_failed=lambda: self._has_failed,
        )

    async def _send(self, entries: tuple[Entry, ...]) -> None:
        """Publish readings, and put back those that were not acknowledged."""
        try:
            await self._publish(await self._messages(entries))
        finally:
            left = tuple(entry for entry in entries if entry.id not in self._suspects)
            await self._outbox.release(Batch(left))

    async def _messages(
        self, entries: Iterable[Entry], alone: frozenset[int] = frozenset()
    ) -> list[tuple[Message, tuple[Entry, ...]]]:
        """Return what is to be published, with the readings that each message tells."""
        messages = []
        for sample, told in samples_of(tuple(entries), alone):
            problem, message = await self._try_message(sample)
            if message:
                messages.append((message, told))
            elif problem and len(told) > 1:
                each = frozenset(entry.id for entry in told)
                messages += await self._messages(told, each)
            elif problem:
                await self._set_aside(told, problem)
        return messages

    async def _try_message(self, sample: Sample) -> tuple[str, Message | None]:
        """Return why a sample can't be published, or a message if it need not wait."""
        try:
            return "", await self._message(sample)
        except ValidationError as err:
            return str(err), None

    async def _message(self, sample: Sample) -> Message | None:
        """Return a message, or None if its device has to wait."""
        device_id, token = sample.device_id, None
        topic = telemetry_topic(self._publisher.broker.topic_prefix, device_id)
        if self._token_of:
            if device_id in self._paused_until:
                return None
            try:
                token = await self._token_of(device_id)
            except SensorVisionError as err:
                self._hold_back(device_id, err)
                return None
            self._token_failures.pop(device_id, None)
            if token is None:
                self._device_refused(device_id, _TOKENLESS)
                return None
        return Message(topic, telemetry_payload(sample, token))

    def _hold_back(self, device_id: str, err: SensorVisionError) -> None:
        """Ask for a device's token again after a pause that grows."""
        failures = self._token_failures.get(device_id, 0)
        self._token_failures[device_id] = failures + 1
        now = asyncio.get_running_loop().time()
        pause_s = self._pace.backoff.delay_s(failures)
        self._paused_until[device_id] = now + pause_s
        self.status.problem = str(err)
        self._changed()

    async def _publish(self, messages: list[tuple[Message, tuple[Entry, ...]]]) -> None:
        if not messages:
            return
        try:
            acknowledged = await self._publisher.publish(
                [message for message, _ in messages]
            )
        except NetworkError as err:
            self._server_failed(err)
            return
        taken = [
            told for (_, told), is_taken in zip(messages, acknowledged) if is_taken
        ]
        left = [
            told for (_, told), is_taken in zip(messages, acknowledged) if not is_taken
        ]
        if taken:
            await self._acknowledged(
                Batch(tuple(entry for told in taken for entry in told))
            )
        if left:
            self.status.possible_duplicates += sum(map(len, left))
            self._server_failed(self._broken())
            await self._seek_culprit(left, is_lone=len(messages) == 1)
        else:
            self._chunk = min(_MAX_CHUNK, 2 * self._chunk)

    async def _acknowledged(self, batch: Batch) -> None:
        self._lone_failures = 0
        for entry in batch.entries:
            self._suspects.pop(entry.id, None)
        self.status.possible_duplicates += self._outbox.doubtful(batch)
        await self._outbox.confirm(batch)
        self._delivered(batch)

    async def _seek_culprit(
        self, left: list[tuple[Entry, ...]], *, is_lone: bool
    ) -> None:
        """Find out whether the broker ends its sessions because of one message.

        It says nothing when it does. So fewer are published at once until one is alone,
        which is kept back after some sessions that have ended with it, and is set aside
        when the broker takes others but never this one.
        """
        if not is_lone:
            self._chunk = max(1, self._chunk // 4)
            return
        [told] = left
        self._lone_failures += 1
        suspect = self._suspects.get(told[0].id)
        if suspect is None and self._lone_failures < self._pace.suspect_attempts:
            return
        if suspect is None:
            suspect = _Suspect(told, self.status.delivered)
            self._suspects.update((entry.id, suspect) for entry in told)
        suspect.attempts += 1
        is_broker_well = self.status.delivered > suspect.delivered_before
        if suspect.attempts >= self._pace.suspect_attempts and is_broker_well:
            await self._set_aside(
                told,
                "The broker ended the session each time when this reading was published",
            )
            return
        now = asyncio.get_running_loop().time()
        suspect.due = now + self._pace.backoff.delay_s(suspect.attempts)

    async def _set_aside(self, told: tuple[Entry, ...], reason: str) -> None:
        """Keep readings that can't be published out of the way of the others."""
        for entry in told:
            self._suspects.pop(entry.id, None)
        batch = Batch(told)
        await self._outbox.set_aside(batch, reason)
        self._refused(batch, reason)

    def _due_suspects(self) -> list[_Suspect]:
        now = asyncio.get_running_loop().time()
        due = {
            id(suspect): suspect
            for suspect in self._suspects.values()
            if suspect.due <= now
        }
        return list(due.values())


@dataclass
class _Suspect:
    """Readings of one message with which sessions have ended."""

    entries: tuple[Entry, ...]
    delivered_before: int
    attempts: int = 0
    due: float = 0
