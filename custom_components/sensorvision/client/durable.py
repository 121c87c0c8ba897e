"""Send readings by way of a file, so that a script survives its network and itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import datetime as dt
import os
import time
from typing import TYPE_CHECKING, Mapping, Protocol, Union
import uuid

from . import protocol
from .bulk import BulkDelivery
from .bulk_posts import no_times
from .capabilities import Capabilities
from .credentials import DEVICE_TOKEN
from .delivery import Delivery
from .durable_status import DurableStatus
from .exceptions import SensorVisionError
from .http_delivery import HttpPeer
from .limits import Limits
from .models import format_instant
from .outbox import CompleteOutbox, NewestOutbox
from .pace import Pace
from .posting import PostingDelivery
from .readings import Reading
from .status import Status
from .version import __version__

if TYPE_CHECKING:
    from types import TracebackType

AnyOutbox = Union[CompleteOutbox, NewestOutbox]


class DurablePeer(HttpPeer, Protocol):
    """Who takes the readings, and can be asked which credential it has."""

    @property
    def credential(self) -> str | None:
        """What the credential is, or None as long as that is unknown."""

    async def capabilities(self) -> Capabilities:
        """Find out what the credential can do, and by that which it is."""


class DurableSender:
    """Put readings into a file, from which they are sent as soon as the server takes them.

    Use it as an async context manager. Leaving it ends the sending; what still waits is
    sent by the next run that opens the file. So call `flush` at the end of a script that
    runs for a moment only. One process at a time can use a file.

    With a user key or an account every reading arrives, with the time at which it was
    true. With a device token the server takes only what is true now: of what waits during
    an outage the newest reading of each variable is sent, and what an earlier run has
    left for more than a quarter of an hour is not.

    A reading may arrive twice if the server's answer is lost, or the process is killed
    before it could note the answer; none is lost that was written down.

    Args:
        client: the way to the server.
        path: the file, which is made if there is none.
        limits: how much the file may hold, and how soon a reading is written down.
        pace: how fast to send.
    """

    def __init__(
        self,
        client: DurablePeer,
        path: str | os.PathLike[str],
        *,
        limits: Limits | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._path = os.fspath(path)
        self._limits = limits or Limits()
        self._pace = pace or Pace()
        self._counts = Status()
        self._outbox: AnyOutbox | None = None
        self._delivery: Delivery | None = None
        self._running: asyncio.Task[None] | None = None
        self._exchanging: asyncio.Lock
        self._has_changed: asyncio.Event
        self._hurry: asyncio.Event

    async def __aenter__(self) -> DurableSender:
        """Open the file, and begin to send."""
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the sending; what waits is in the file then."""
        await self.close()

    async def open(self) -> None:
        """Open the file with what an earlier run has left in it, and begin to send."""
        # Made here because before Python 3.10 they belong to the loop they are made in.
        self._exchanging = asyncio.Lock()
        self._has_changed = asyncio.Event()
        self._hurry = asyncio.Event()
        is_token = self._client.credential == DEVICE_TOKEN
        self._outbox = await self._open_outbox(
            NewestOutbox if is_token else CompleteOutbox
        )
        self._running = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End the sending, and write down what waits."""
        running, self._running = self._running, None
        if running is None:
            return
        running.cancel()
        try:
            await asyncio.wait([running])
        finally:
            outbox, self._outbox = self._opened(), None
            await outbox.close()
        if not running.cancelled():
            # An error that nobody has thought of must be seen.
            running.result()

    async def put(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
    ) -> None:
        """Accept readings of one device, whether or not the server is there.

        They are written down within `Limits.commit_interval_s`, a second by default: a
        crash loses no more than that. If it is 0, they are when this returns.

        Args:
            device_id: 1 to 64 letters, digits, `.`, `_` or `-`.
            variables: finite numbers below 1e14 by name.
            timestamp: when they were true, with a zone; None for now.

        Raises:
            ValidationError: something could never be sent; nothing was accepted.
            CapabilityError: a device token sends no times.
        """
        self._opened()
        protocol.check_device_id(device_id)
        protocol.check_variables(dict(variables))
        at = time.time()
        if timestamp is not None:
            format_instant(timestamp)
            at = timestamp.timestamp()
            if self._client.credential == DEVICE_TOKEN:
                raise no_times()
        async with self._exchanging:
            outbox = self._opened()
            outbox.append(
                Reading(device_id, name, value, at) for name, value in variables.items()
            )
            if not self._limits.commit_interval_s:
                await outbox.commit()
        if self._delivery is not None:
            self._delivery.notify()

    async def flush(self, timeout: float | None = 60) -> DurableStatus:
        """Write down what waits, try at once to send it, and wait until nothing waits.

        Args:
            timeout: seconds after which it is waited for no longer, None for no end. It
                goes on waiting in the file.

        Returns:
            What became of the readings; `waiting` is 0 if all were settled in time.
        """
        self._opened()
        async with self._exchanging:
            await self._opened().commit()
        self._hurry.set()
        if self._delivery is not None:
            self._delivery.flush()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settled(), timeout)
        return self.status

    @property
    def status(self) -> DurableStatus:
        """What became of the readings so far."""
        outbox, counts = self._opened(), self._counts
        return DurableStatus(
            waiting=len(outbox),
            delivered=counts.delivered,
            superseded=outbox.superseded,
            refused=counts.refused,
            dropped=outbox.dropped,
            possible_duplicates=counts.possible_duplicates,
            is_connected=counts.is_connected,
            problem=counts.problem,
            file_problem=outbox.problem,
        )

    def _opened(self) -> AnyOutbox:
        if self._outbox is None:
            raise RuntimeError("The sender is closed. Use it within `async with`")
        return self._outbox

    async def _settled(self) -> None:
        """Wait until nothing waits, or nothing will be taken."""
        while len(self._opened()):
            self._has_changed.clear()
            await self._has_changed.wait()
            if self._counts.is_credential_refused:
                return

    async def _open_outbox(
        self, kind: type[CompleteOutbox | NewestOutbox]
    ) -> AnyOutbox:
        outbox = kind(self._path, self._limits, __version__)
        await outbox.open()
        return outbox

    async def _run(self) -> None:
        """Find out which credential it is, and then deliver until cancelled."""
        if self._client.credential is None:
            await self._explore()
        if self._client.credential == DEVICE_TOKEN:
            await self._keep_newest()
        self._delivery = self._make_delivery()
        await self._delivery.run()

    async def _explore(self) -> None:
        """Ask the server until it says what the credential is."""
        attempt = 0
        while True:
            self._hurry.clear()
            try:
                await self._client.capabilities()
            except SensorVisionError as err:
                self._counts.is_connected = False
                self._counts.problem = str(err)
                self._show()
            else:
                return
            pause_s = self._pace.backoff.delay_s(attempt)
            attempt += 1
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause_s)

    async def _keep_newest(self) -> None:
        """Let only the newest readings wait from now on, if all of them did."""
        async with self._exchanging:
            outbox = self._opened()
            if isinstance(outbox, CompleteOutbox):
                await outbox.close()
                self._outbox = await self._open_outbox(NewestOutbox)

    def _make_delivery(self) -> Delivery:
        outbox = self._opened()
        # About which device the server is asked is all the same, if it is nobody's.
        home_device_id = f"probe-{uuid.uuid4()}"
        if isinstance(outbox, CompleteOutbox):
            return BulkDelivery(
                self._client,
                outbox,
                home_device_id,
                on_change=self._show,
                on_replayed=lambda _device_ids: None,
                pace=self._pace,
                status=self._counts,
            )
        return PostingDelivery(
            self._client,
            outbox,
            home_device_id,
            on_change=self._show,
            pace=self._pace,
            status=self._counts,
        )

    def _show(self) -> None:
        self._has_changed.set()
