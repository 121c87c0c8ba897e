"""Bring readings from the outbox to the server: when, how fast, and what if not."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
import logging
import time
from typing import TYPE_CHECKING, Callable

from . import protocol
from .exceptions import (
    AnswerError,
    AuthenticationError,
    NetworkError,
    PermissionDeniedError,
    SensorVisionError,
    ValidationError,
    raise_for,
)
from .http import AsyncSensorVisionClient, RetryPolicy

if TYPE_CHECKING:
    from .outbox import Batch, Outbox

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How fast to send, and how long to wait after each kind of failure.

    Attributes:
        window_s: how long to collect changes before a round of posts.
        spacing_s: the least time between two posts; the hosted server's proxy refuses
            more than 10 a second.
        max_in_flight: how many devices are posted to at once.
        backoff: the growing random pauses while the server is away.
        suspect_attempts: how often the server may fail on one device's data before
            the data is split to find a culprit.
        refused_device_s: pause before a device that the server refuses is tried again.
        refused_credential_s: pause before a refused credential is tried again.
        idle_s: with nothing to send, how often to see whether the server is there.
    """

    window_s: float = 1
    spacing_s: float = 0.105
    max_in_flight: int = 4
    backoff: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(first_delay_s=2, max_delay_s=300)
    )
    suspect_attempts: int = 3
    refused_device_s: float = 3600
    refused_credential_s: float = 900
    idle_s: float = 300


@dataclass
class Status:
    """What became of the readings.

    Attributes:
        is_connected: whether the last exchange found server and credential good, or
            None before the first.
        problem: why it did not, a sentence for a person, or None.
        is_credential_refused: whether the server has refused the credential.
        delivered: how many readings the server has accepted.
        last_delivered: when it last did, in seconds since 1970 (UTC), or None.
        refused: how many readings the server has refused for good.
        refused_devices: what the server said, by id of the device that it refuses.
        refused_variables: what the server said, by device id and variable.
    """

    is_connected: bool | None = None
    problem: str | None = None
    is_credential_refused: bool = False
    delivered: int = 0
    last_delivered: float | None = None
    refused: int = 0
    refused_devices: dict[str, str] = field(default_factory=dict)
    refused_variables: dict[tuple[str, str], str] = field(default_factory=dict)


class Delivery:
    """Send what is in an outbox, one request a device and window.

    Args:
        client: the way to the server.
        outbox: where readings wait.
        home_device_id: a device id of this installation, to try the credential with.
        on_change: called in the event loop whenever `status` has changed.
        pace: how fast to send.
    """

    def __init__(
        self,
        client: AsyncSensorVisionClient,
        outbox: Outbox,
        home_device_id: str,
        *,
        on_change: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        self.status = Status()
        self._client = client
        self._outbox = outbox
        self._home_device_id = home_device_id
        self._on_change = on_change
        self._pace = pace or Pace()
        self._wake = asyncio.Event()
        self._next_turn = 0.0
        self._last_exchange = 0.0
        self._failures = 0
        self._retry_after_s = 0
        self._paused_until: dict[str, float] = {}
        self._suspects: dict[str, _Suspect] = {}

    def notify(self) -> None:
        """Say that there are new readings in the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._probe()
        while True:
            self._failures = 0 if self.status.is_connected else self._failures + 1
            await self._rest()
            devices = await self._due_devices()
            if devices and not self.status.is_credential_refused:
                await self._drain(devices)
            elif self._failures or self._idle_left_s() <= 0:
                await self._probe()

    async def _rest(self) -> None:
        """Wait for something to do: new readings, a paused device, a pause's end."""
        if self.status.is_credential_refused:
            await asyncio.sleep(self._pace.refused_credential_s)
            return
        if self._failures:
            delay_s = self._pace.backoff.delay_s(self._failures - 1)
            await asyncio.sleep(max(delay_s, self._retry_after_s))
            return
        now = asyncio.get_running_loop().time()
        waits_s = [until - now for until in self._paused_until.values()]
        timeout_s = max(0, min([self._idle_left_s(), *waits_s]))
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except asyncio.TimeoutError:
            return
        await asyncio.sleep(self._pace.window_s)
        self._wake.clear()

    def _idle_left_s(self) -> float:
        """Return how long the last exchange still vouches for the server."""
        now = asyncio.get_running_loop().time()
        return self._last_exchange + self._pace.idle_s - now

    async def _due_devices(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        for device_id, until in list(self._paused_until.items()):
            if until <= now:
                del self._paused_until[device_id]
        return [
            device_id
            for device_id in await self._outbox.devices()
            if device_id not in self._paused_until
        ]

    async def _probe(self) -> None:
        """See whether the server is there and takes the credential."""
        try:
            await self._client.probe(self._home_device_id)
        except AuthenticationError as err:
            self._credential_refused(err)
        except PermissionDeniedError:
            # Of server and credential this says that they are good.
            self._server_answered()
        except SensorVisionError as err:
            self._server_failed(err)
        else:
            self._server_answered()

    async def _drain(self, devices: list[str]) -> None:
        """Post the readings of these devices, a single one if the server was away."""
        queue = deque(devices)
        workers = 1 if self._failures else self._pace.max_in_flight
        await asyncio.gather(*(self._work(queue) for _ in range(workers)))

    async def _work(self, queue: deque[str]) -> None:
        while queue:
            device_id = queue.popleft()
            batch = await self._outbox.take(device_id)
            if batch is None:
                continue
            try:
                if await self._send(batch):
                    self._suspects.pop(device_id, None)
            finally:
                # What was confirmed on the way is not put back.
                await self._outbox.release(batch)
            if not self.status.is_connected:
                queue.clear()

    async def _send(self, batch: Batch) -> bool:
        """Post readings and return whether the server has settled all of them."""
        await self._turn()
        try:
            answer = await self._client.post(batch.device_id, batch.variables())
        except NetworkError as err:
            self._server_failed(err)
            return False
        except ValidationError as err:
            answer = protocol.Answer(protocol.WRONG_PAYLOAD, 0, str(err))
        if answer.kind == protocol.DELIVERED:
            await self._delivered(batch)
            return True
        if answer.kind == protocol.WRONG_PAYLOAD:
            return await self._isolate(batch, answer)
        if answer.suspect:
            return await self._suspect(batch, answer)
        if answer.kind == protocol.SIGN_IN:
            self._credential_refused(_error(answer))
        elif answer.kind == protocol.WRONG_DEVICE:
            self._device_refused(batch.device_id, answer)
        else:
            self._server_failed(_error(answer), answer.retry_after_s)
        return False

    async def _turn(self) -> None:
        """Keep the distance between two posts."""
        now = asyncio.get_running_loop().time()
        wait_s = self._next_turn - now
        self._next_turn = max(now, self._next_turn) + self._pace.spacing_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _delivered(self, batch: Batch) -> None:
        await self._outbox.confirm(batch)
        self.status.delivered += len(batch.readings)
        self.status.last_delivered = time.time()
        self.status.refused_devices.pop(batch.device_id, None)
        for reading in batch.readings:
            self.status.refused_variables.pop(
                (reading.device_id, reading.variable), None
            )
        self._server_answered()

    async def _isolate(self, batch: Batch, answer: protocol.Answer) -> bool:
        """Halve refused data down to the reading that the server does not want."""
        if len(batch.readings) == 1:
            await self._refuse(batch, answer)
            return True
        is_settled = True
        for half in batch.halves():
            if self.status.is_connected is not False:
                is_settled = await self._send(half) and is_settled
        return is_settled and self.status.is_connected is not False

    async def _refuse(self, batch: Batch, answer: protocol.Answer) -> None:
        await self._outbox.confirm(batch)
        self.status.refused += len(batch.readings)
        for reading in batch.readings:
            key = (reading.device_id, reading.variable)
            self.status.refused_variables[key] = answer.message
        self._server_answered()

    async def _suspect(self, batch: Batch, answer: protocol.Answer) -> bool:
        """Retry data on which the server failed, then split it.

        The same answer stands for a number that can't be stored and for a server in
        trouble, so a reading is refused only once the server has stored another one.
        """
        suspect = self._suspects.setdefault(
            batch.device_id, _Suspect(self.status.delivered)
        )
        suspect.attempts += 1
        is_server_well = self.status.delivered > suspect.delivered_before
        if suspect.attempts >= self._pace.suspect_attempts and (
            len(batch.readings) > 1 or is_server_well
        ):
            return await self._isolate(batch, answer)
        now = asyncio.get_running_loop().time()
        pause_s = self._pace.backoff.delay_s(suspect.attempts)
        self._paused_until[batch.device_id] = now + pause_s
        return False

    def _device_refused(self, device_id: str, answer: protocol.Answer) -> None:
        now = asyncio.get_running_loop().time()
        self._paused_until[device_id] = now + self._pace.refused_device_s
        self.status.refused_devices[device_id] = answer.message
        self._server_answered()

    def _credential_refused(self, err: AnswerError) -> None:
        if not self.status.is_credential_refused:
            _LOGGER.info("%r refuses the credential: %s", self._client, err)
        self.status.is_credential_refused = True
        self.status.is_connected = False
        self.status.problem = str(err)
        self._on_change()

    def _server_failed(
        self, err: SensorVisionError, retry_after_s: int | None = None
    ) -> None:
        if self.status.is_connected is not False:
            _LOGGER.info("%r is away, readings are kept: %s", self._client, err)
        self._retry_after_s = retry_after_s or 0
        self.status.is_connected = False
        self.status.problem = str(err)
        self._on_change()

    def _server_answered(self) -> None:
        if self.status.is_connected is False:
            _LOGGER.info("%r is back", self._client)
        self._last_exchange = asyncio.get_running_loop().time()
        self.status.is_credential_refused = False
        self.status.is_connected = True
        self.status.problem = None
        self._on_change()


@dataclass
class _Suspect:
    """A device on whose data the server has failed."""

    delivered_before: int
    attempts: int = 0


def _error(answer: protocol.Answer) -> AnswerError:
    """Return the exception that an unwelcome answer stands for."""
    try:
        raise_for(answer)
    except AnswerError as err:
        return err
    raise ValueError("the answer was yes")
