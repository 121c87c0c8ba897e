"""Bring readings from the outbox to where they go: when, how fast, and what if not."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from contextlib import suppress
import logging
import time
from typing import TYPE_CHECKING, Callable

from .exceptions import AnswerError
from .pace import Pace
from .status import Status

if TYPE_CHECKING:
    from .exceptions import SensorVisionError
    from .readings import Batch

_LOGGER = logging.getLogger(__name__)


class Delivery(ABC):
    """Send what is in an outbox, as long as the other side is there.

    While it is away, one exchange after growing random pauses sees whether it is back.

    Args:
        peer: who takes the readings, and says so when it is printed.
        on_change: called in the event loop whenever `status` has changed; what it
            raises is logged once and stops nothing.
        pace: how fast to send.
        status: what became of readings before, to count on from.
    """

    def __init__(
        self,
        peer: object,
        *,
        on_change: Callable[[], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        self.status = status or Status()
        self._peer = peer
        self._on_change = on_change
        self._pace = pace or Pace()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._last_exchange = 0.0
        self._failures = 0
        self._has_failed = False
        self._is_explored = False
        self._retry_after_s = 0
        self._paused_until: dict[str, float] = {}
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
            if await self._has_work() and not self.status.is_credential_refused:
                await self._drain()
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
        if not await self._has_work():
            now = asyncio.get_running_loop().time()
            waits_s = [until - now for until in self._pauses()]
            timeout_s = max(0, min([self._idle_left_s(), *waits_s]))
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except asyncio.TimeoutError:
                return
        await self._pause(self._window_s())
        self._wake.clear()

    def _window_s(self) -> float:
        """Return how long to collect what is new, in seconds."""
        return self._pace.window_s

    async def _pause(self, seconds: float) -> None:
        """Do nothing for a while, unless somebody is in a hurry."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    def _idle_left_s(self) -> float:
        """Return how long the last exchange still vouches for the server."""
        now = asyncio.get_running_loop().time()
        return self._last_exchange + self._pace.idle_s - now

    def _pauses(self) -> list[float]:
        """Return when something is to be tried again, by the event loop's clock."""
        return list(self._paused_until.values())

    def _end_pauses(self) -> None:
        """Take those devices for good again whose pause is over."""
        now = asyncio.get_running_loop().time()
        for device_id, until in list(self._paused_until.items()):
            if until <= now:
                del self._paused_until[device_id]

    @abstractmethod
    async def _has_work(self) -> bool:
        """Tell whether there is anything to send now."""

    @abstractmethod
    async def _drain(self) -> None:
        """Send what is to be sent now, until it is done or something has failed.

        If the server was away, a single exchange must show first that it is back.
        """

    @abstractmethod
    async def _probe(self) -> None:
        """See whether the other side is there and takes the credential."""

    def _delivered(self, batch: Batch) -> None:
        self.status.delivered += len(batch.entries)
        self.status.last_delivered = time.time()
        status = self.status
        variables = {entry.reading[:2] for entry in batch.entries}
        status.accepted_variables |= variables
        if status.refused_variables:
            for key in variables:
                status.refused_variables.pop(key, None)
        devices = {device_id for device_id, _ in variables}
        status.accepted_devices |= devices
        for device_id in devices:
            status.refused_devices.pop(device_id, None)
        self._server_answered()

    def _refused(self, batch: Batch, reason: str) -> None:
        self.status.refused += len(batch.entries)
        for device_id, variable, _, _ in batch.readings:
            self.status.refused_variables[device_id, variable] = reason
        self._changed()

    def _device_refused(self, device_id: str, message: str) -> None:
        now = asyncio.get_running_loop().time()
        self._paused_until[device_id] = now + self._pace.refused_device_s
        self.status.refused_devices[device_id] = message
        self._server_answered()

    def _credential_refused(self, err: SensorVisionError) -> None:
        if not self.status.is_credential_refused:
            _LOGGER.info("%r refuses the credential: %s", self._peer, err)
        self.status.is_credential_refused = True
        self._failed(str(err))

    def _server_failed(self, err: SensorVisionError) -> None:
        if self.status.is_connected is not False:
            _LOGGER.info("%r is away, readings are kept: %s", self._peer, err)
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
            _LOGGER.info("%r is back", self._peer)
        self._last_exchange = asyncio.get_running_loop().time()
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
