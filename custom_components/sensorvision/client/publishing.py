"""Bring everything to a broker with the time at which it was true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import time
from typing import (
    TYPE_CHECKING,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    NamedTuple,
)

from . import protocol
from .delivery import Delivery
from .exceptions import (
    AuthenticationError,
    NetworkError,
    SensorVisionError,
    ValidationError,
)
from .moments import moments_of
from .readings import Batch, Entry
from .telemetry import moment_payload
from .topics import telemetry_topic
from .turns import Turns

if TYPE_CHECKING:
    from .moments import Moment
    from .mqtt import Publisher
    from .outbox import CompleteOutbox
    from .pace import Pace
    from .status import Status

# The library takes in all acknowledgements that are there before anybody has a turn:
# some milliseconds for these.
_AT_A_TIME = 100

# So many are held in memory while nothing is known of them.
_MAX_SUSPECTS = 500

_TOKENLESS = (
    "Its token is not known here, and the server takes readings over MQTT only with the"
    " token of the device itself"
)
_DEADLY = "The broker ended the session each time when this reading was published"


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
        self._token_failures: dict[str, int] = {}
        self._suspects: dict[int, _Suspect] = {}
        # How long the broker took to acknowledge the last messages.
        self._took_s: float | None = None

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._publisher.on_lost = self._session_lost
        try:
            await super().run()
        finally:
            held = {
                entry.id: entry for s in self._suspects.values() for entry in s.entries
            }
            self._suspects.clear()
            await self._outbox.release(Batch(tuple(held.values())))
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

    def _window_s(self) -> float:
        return self._turns.window_s(super()._window_s(), self._took_s)

    def _pauses(self) -> list[float]:
        return [
            *super()._pauses(),
            *(suspect.due for suspect in self._ready_suspects()),
        ]

    async def _drain(self) -> None:
        await self._probe()
        if self._has_failed:
            return
        self._turns.resume()
        for suspect in self._due_suspects():
            if not self._has_failed:
                await self._send(suspect.entries)
        await self._turns.drain(
            self._send,
            limit=lambda: _AT_A_TIME,
            passed_over=self._paused_until,
            has_failed=lambda: self._has_failed,
        )

    async def _send(self, entries: tuple[Entry, ...]) -> None:
        """Publish readings, and put back those that were not acknowledged."""
        try:
            tokens = await self._tokens({entry.reading.device_id for entry in entries})
            await self._publish(await self._messages(entries, tokens))
        finally:
            left = tuple(entry for entry in entries if entry.id not in self._suspects)
            await self._outbox.release(Batch(left))

    async def _tokens(self, device_ids: Collection[str]) -> dict[str, str | None]:
        """Return by device what its messages carry; a device that must wait is missing."""
        if self._token_of is None:
            return dict.fromkeys(device_ids)
        tokens: dict[str, str | None] = {}
        addressable = filter(_is_device_id, device_ids)
        for device_id in sorted(set(addressable) - self._paused_until.keys()):
            token = await self._known_token(self._token_of, device_id)
            if token is not None:
                tokens[device_id] = token
        return tokens

    async def _known_token(
        self, token_of: Callable[[str], Awaitable[str | None]], device_id: str
    ) -> str | None:
        """Return a device's token, or None if the device has to wait."""
        try:
            token = await token_of(device_id)
            if token is not None:
                token = protocol.check_token(token)
        except ValidationError as err:
            self._device_refused(device_id, str(err))
            return None
        except SensorVisionError as err:
            self._hold_back(device_id, err)
            return None
        self._token_failures.pop(device_id, None)
        if token is None:
            self._device_refused(device_id, _TOKENLESS)
        return token

    def _hold_back(self, device_id: str, err: SensorVisionError) -> None:
        """Ask for a device's token again after a pause that grows."""
        failures = self._token_failures.get(device_id, 0)
        self._token_failures[device_id] = failures + 1
        now = asyncio.get_running_loop().time()
        self._paused_until[device_id] = now + self._pace.backoff.delay_s(failures)
        self.status.problem = str(err)
        self._changed()

    async def _messages(
        self,
        entries: tuple[Entry, ...],
        tokens: Mapping[str, str | None],
        alone: frozenset[int] = frozenset(),
    ) -> list[_Message]:
        """Return what is to be published of those devices that need not wait."""
        messages = []
        prefix = self._publisher.broker.topic_prefix
        for moment in moments_of(entries, alone):
            device_id = moment[0].reading.device_id
            if device_id not in tokens and _is_device_id(device_id):
                continue
            try:
                topic = telemetry_topic(prefix, device_id)
                payload = moment_payload(moment, tokens[device_id])
            except ValidationError as err:
                if len(moment) == 1:
                    await self._set_aside(tuple(moment), str(err))
                else:
                    each = frozenset(entry.id for entry in moment)
                    messages += await self._messages(tuple(moment), tokens, each)
            else:
                messages.append(_Message(topic, payload, moment))
        return messages

    async def _publish(self, messages: list[_Message]) -> None:
        """Publish messages at once, and let go of what the broker has acknowledged."""
        if not messages:
            return
        acknowledged: list[int] = []
        error: NetworkError | None = None
        started = time.monotonic()
        try:
            await self._publisher.publish_all(
                [(each.topic, each.payload) for each in messages], acknowledged.append
            )
            self._took_s = time.monotonic() - started
        except NetworkError as err:
            error = err
        finally:
            # Also if nobody waits any more: what has arrived must not be sent again.
            if acknowledged:
                await self._acknowledged([messages[index] for index in acknowledged])
        if error is not None:
            taken = set(acknowledged)
            lost = [each for nr, each in enumerate(messages) if nr not in taken]
            if error.may_have_arrived:
                self.status.possible_duplicates += sum(len(each.told) for each in lost)
            self._server_failed(self._broken())
            await self._suspect(tuple(lost[0].told))

    async def _acknowledged(self, messages: list[_Message]) -> None:
        batch = Batch(tuple(entry for each in messages for entry in each.told))
        if self._suspects:
            for entry in batch.entries:
                self._suspects.pop(entry.id, None)
        self.status.possible_duplicates += self._outbox.doubtful(batch)
        await self._outbox.confirm(batch)
        self._delivered(batch)

    async def _suspect(self, told: tuple[Entry, ...]) -> None:
        """Find out whether the broker ends its sessions because of one message.

        It says nothing when it does, but takes messages in their order, so the first
        that it has not acknowledged is published by itself from then on. It is set
        aside when it has ended some sessions so, and others have passed since.
        """
        suspect = self._suspects.get(told[0].id)
        if suspect is None:
            if len(self._suspects) < _MAX_SUSPECTS:
                suspect = _Suspect(told, self.status.delivered)
                self._suspects.update((entry.id, suspect) for entry in told)
            return
        suspect.attempts += 1
        is_broker_well = self.status.delivered > suspect.delivered_before
        if suspect.attempts >= self._pace.suspect_attempts and is_broker_well:
            await self._set_aside(told, _DEADLY)
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

    def _ready_suspects(self) -> list[_Suspect]:
        """Return those suspects whose device does not wait for anything."""
        unique = {id(suspect): suspect for suspect in self._suspects.values()}
        return [
            suspect
            for suspect in unique.values()
            if suspect.entries[0].reading.device_id not in self._paused_until
        ]

    def _due_suspects(self) -> list[_Suspect]:
        now = asyncio.get_running_loop().time()
        return [suspect for suspect in self._ready_suspects() if suspect.due <= now]


class _Message(NamedTuple):
    """What is published, and the readings that it tells."""

    topic: str
    payload: bytes
    told: Moment


@dataclass
class _Suspect:
    """Readings of one message with which sessions have ended."""

    entries: tuple[Entry, ...]
    delivered_before: int
    attempts: int = 0
    due: float = 0


def _is_device_id(text: str) -> bool:
    try:
        protocol.check_device_id(text)
    except ValidationError:
        return False
    return True
