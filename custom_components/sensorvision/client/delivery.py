"""Bring readings from the outbox to the server: when, how fast, and what if not."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
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
    error_of,
)
from .pace import Pace
from .status import Status

if TYPE_CHECKING:
    from .http import AsyncSensorVisionClient
    from .outbox import Batch, Outbox

_LOGGER = logging.getLogger(__name__)


class Delivery:
    """Send what is in an outbox, one request a device and window.

    Args:
        client: the way to the server.
        outbox: where readings wait.
        home_device_id: a device id of this installation, to try the credential with.
        on_change: called in the event loop whenever `status` has changed; what it
            raises is logged once and stops nothing.
        pace: how fast to send.
        status: what became of readings before, to count on from.
    """

    def __init__(
        self,
        client: AsyncSensorVisionClient,
        outbox: Outbox,
        home_device_id: str,
        *,
        on_change: Callable[[], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        self.status = status or Status()
        self._client = client
        self._outbox = outbox
        self._home_device_id = home_device_id
        self._on_change = on_change
        self._pace = pace or Pace()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._next_turn = 0.0
        self._last_exchange = 0.0
        self._failures = 0
        self._has_failed = False
        self._is_explored = False
        self._retry_after_s = 0
        self._paused_until: dict[str, float] = {}
        self._suspects: dict[str, _Suspect] = {}
        self._logged: set[tuple[str, type[Exception]]] = set()

    def notify(self) -> None:
        """Say that there are new readings in the outbox."""
        self._wake.set()

    def flush(self) -> None:
        """End every pause: send at once what waits, and try again what was refused.

        The distance between two posts is kept. The server is asked anew what it can do.
        """
        self._is_explored = False
        self._paused_until.clear()
        self._retry_after_s = 0
        self._hurry.set()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                await self._deliver()
            except Exception as err:  # noqa: BLE001
                # A delivery that ended here would lose everything from then on unseen.
                self._failed_unexpectedly(err)
            await self._pause(self._pace.unexpected_s)

    async def _deliver(self) -> None:
        await self._probe()
        while True:
            is_well = self.status.is_connected and not self._has_failed
            self._failures = 0 if is_well else self._failures + 1
            await self._rest()
            is_hurried = self._hurry.is_set()
            self._hurry.clear()
            self._has_failed = False
            devices = await self._due_devices()
            if devices and not self.status.is_credential_refused:
                await self._drain(devices)
                if self.status.is_connected and not self._is_explored:
                    await self._probe()
            elif self._failures or is_hurried or self._idle_left_s() <= 0:
                await self._probe()

    async def _rest(self) -> None:
        """Wait for something to do: new readings, a paused device, a pause's end."""
        if self.status.is_credential_refused:
            await self._pause(self._pace.refused_credential_s)
            return
        if self._failures:
            delay_s = self._pace.backoff.delay_s(self._failures - 1)
            await self._pause(max(delay_s, self._retry_after_s))
            return
        if not await self._due_devices():
            now = asyncio.get_running_loop().time()
            waits_s = [until - now for until in self._paused_until.values()]
            timeout_s = max(0, min([self._idle_left_s(), *waits_s]))
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except asyncio.TimeoutError:
                return
        await self._pause(self._pace.window_s)
        self._wake.clear()

    async def _pause(self, seconds: float) -> None:
        """Do nothing for a while, unless somebody is in a hurry."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

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
            probe = await self._client.probe(self._home_device_id)
        except AuthenticationError as err:
            self._credential_refused(err)
        except PermissionDeniedError:
            # Of server and credential this says that they are good.
            self._is_explored = True
            self._server_answered()
        except SensorVisionError as err:
            self._server_failed(err)
        else:
            self.status.capabilities = probe.capabilities
            self.status.age = probe.age
            self._is_explored = True
            self._server_answered()

    async def _drain(self, devices: list[str]) -> None:
        """Post the readings of these devices, a single one if the server was away."""
        queue = deque(devices)
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
                if await self._send(batch):
                    self._suspects.pop(device_id, None)
            finally:
                # What was confirmed on the way is not put back.
                await self._outbox.release(batch)
            if self._has_failed:
                queue.clear()

    async def _send(self, batch: Batch) -> bool:
        """Post readings and return whether the server has settled all of them."""
        await self._turn()
        started = time.monotonic()
        try:
            answer = await self._client.post(batch.device_id, batch.variables())
        except NetworkError as err:
            self._server_failed(err)
            return False
        except ValidationError as err:
            return await self._isolate(batch, str(err))
        self.status.round_trip_s = time.monotonic() - started
        if answer.kind == protocol.WRONG_PAYLOAD:
            self._server_answered()
            return await self._isolate(batch, answer.message)
        if answer.suspect:
            return await self._suspect(batch, answer)
        error = error_of(answer)
        if error is None:
            await self._delivered(batch)
            return True
        if isinstance(error, AuthenticationError):
            self._credential_refused(error)
        elif isinstance(error, PermissionDeniedError):
            self._device_refused(batch.device_id, error)
        else:
            # Device ids are checked before they are sent, so what else the server has
            # against the address holds for all of them.
            self._server_failed(error)
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
        self.status.accepted_devices.add(batch.device_id)
        self.status.refused_devices.pop(batch.device_id, None)
        for reading in batch.readings:
            key = (reading.device_id, reading.variable)
            self.status.accepted_variables.add(key)
            self.status.refused_variables.pop(key, None)
        self._server_answered()

    async def _isolate(self, batch: Batch, reason: str) -> bool:
        """Halve refused data down to the reading that the server does not want."""
        if len(batch.readings) == 1:
            await self._refuse(batch, reason)
            return True
        is_settled = True
        for half in batch.halves():
            if self._has_failed:
                return False
            is_settled = await self._send(half) and is_settled
        return is_settled

    async def _refuse(self, batch: Batch, reason: str) -> None:
        await self._outbox.confirm(batch)
        self.status.refused += len(batch.readings)
        for reading in batch.readings:
            key = (reading.device_id, reading.variable)
            self.status.refused_variables[key] = reason
        self._changed()

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
            return await self._isolate(batch, answer.message)
        now = asyncio.get_running_loop().time()
        pause_s = self._pace.backoff.delay_s(suspect.attempts)
        self._paused_until[batch.device_id] = now + pause_s
        self.status.problem = str(error_of(answer))
        self._changed()
        return False

    def _device_refused(self, device_id: str, err: PermissionDeniedError) -> None:
        now = asyncio.get_running_loop().time()
        self._paused_until[device_id] = now + self._pace.refused_device_s
        self.status.refused_devices[device_id] = err.server_message
        self._server_answered()

    def _credential_refused(self, err: AnswerError) -> None:
        if not self.status.is_credential_refused:
            _LOGGER.info("%r refuses the credential: %s", self._client, err)
        self.status.is_credential_refused = True
        self._failed(str(err))

    def _server_failed(self, err: SensorVisionError) -> None:
        if self.status.is_connected is not False:
            _LOGGER.info("%r is away, readings are kept: %s", self._client, err)
        # It may come back as another version.
        self._is_explored = False
        asked_s = err.retry_after_s if isinstance(err, AnswerError) else None
        self._retry_after_s = asked_s or 0
        self._failed(str(err))

    def _failed_unexpectedly(self, err: Exception) -> None:
        self._log_once("The delivery stopped, it goes on after a pause", err)
        self._failed(
            f"An unexpected {type(err).__name__} stopped the delivery. See the log"
        )

    def _failed(self, problem: str) -> None:
        self._has_failed = True
        self.status.is_connected = False
        self.status.problem = problem
        self._changed()

    def _server_answered(self) -> None:
        if self.status.is_connected is False:
            _LOGGER.info("%r is back", self._client)
        self._last_exchange = asyncio.get_running_loop().time()
        self.status.clock_offset_s = self._client.clock_offset_s
        self.status.is_credential_refused = False
        self.status.is_connected = True
        self.status.problem = None
        self._changed()

    def _changed(self) -> None:
        try:
            self._on_change()
        except Exception as err:  # noqa: BLE001
            self._log_once("The delivery's status could not be shown", err)

    def _log_once(self, what: str, err: Exception) -> None:
        if (what, type(err)) not in self._logged:
            self._logged.add((what, type(err)))
            _LOGGER.error("%s", what, exc_info=err)


@dataclass
class _Suspect:
    """A device on whose data the server has failed."""

    delivered_before: int
    attempts: int = 0
