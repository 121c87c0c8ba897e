"""Keep and deliver changes, in the process on which everything is tried."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
import json
from multiprocessing.connection import Connection
from pathlib import Path
import resource
import signal
import socket
import time

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    RetryPolicy,
    Timeouts,
)
from custom_components.sensorvision.client.bulk import BulkDelivery
from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.outbox import CompleteOutbox, NewestOutbox
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.client.posting import PostingDelivery
from custom_components.sensorvision.client.readings import Reading

from .changes import ACKNOWLEDGEMENT

COMMIT_INTERVAL_S = 0.3

# As in a home, but twenty times as fast.
_TIMES_FASTER = 20
_PACE = Pace(
    window_s=0.05,
    spacing_s=0.02,
    backoff=RetryPolicy(first_delay_s=0.1, max_delay_s=0.4),
    refused_device_s=0.5,
    refused_credential_s=0.3,
    idle_s=5,
    unexpected_s=0.3,
)
_TIMEOUTS = Timeouts(connect_s=0.8, read_s=0.8, total_s=0.8)
_REPORT_EVERY_S = 0.02
_READ_AT_ONCE = 200
# From then on a change is on the disk, however busy the machine is.
_WRITTEN_AFTER_S = COMMIT_INTERVAL_S + 0.5


@dataclass(frozen=True)
class Subject:
    """What the process is to deliver to, and how.

    Attributes:
        url: of the server.
        outbox: the file.
        device_id: a device of the house.
        token: a device token, or None to log in.
        username: for a login.
        password: for a login.
    """

    url: str
    outbox: Path
    device_id: str
    token: str | None
    username: str
    password: str


@dataclass(frozen=True)
class Report:
    """How things stand in the process.

    Attributes:
        read: how many changes were taken in.
        is_fed: whether there will be no more.
        waiting: how many the server has not said yes to.
        delivered: how many the server has said yes to.
        superseded: how many were replaced by a newer one.
        dropped: how many there was no room for.
        refused: how many the server does not want.
        possible_duplicates: how many may have been stored more than once.
        memory_kb: the most that the process has used.
    """

    read: int = 0
    is_fed: bool = False
    waiting: int = 0
    delivered: int = 0
    superseded: int = 0
    dropped: int = 0
    refused: int = 0
    possible_duplicates: int = 0
    memory_kb: int = 0


def live(subject: Subject, channel: socket.socket, reports: Connection) -> None:
    """Deliver what comes through a channel until terminated.

    Args:
        subject: what the process is.
        channel: brings changes, one a message.
        reports: takes how things stand, again and again.
    """
    with suppress(BrokenPipeError):
        asyncio.run(_House(subject, channel, reports).live())


class _House:
    """An outbox and its delivery."""

    def __init__(
        self, subject: Subject, channel: socket.socket, reports: Connection
    ) -> None:
        self._channel = channel
        self._reports = reports
        self._read = 0
        self._is_fed = False
        self._fresh: deque[tuple[float, int]] = deque()
        self._client = _client(subject)
        path, limits = str(subject.outbox), Limits(COMMIT_INTERVAL_S)
        self._outbox: NewestOutbox | CompleteOutbox
        self._delivery: PostingDelivery | BulkDelivery
        if subject.token:
            self._outbox = newest = NewestOutbox(path, limits)
            self._delivery = PostingDelivery(
                self._client,
                newest,
                subject.device_id,
                on_change=_nothing,
                pace=_PACE,
            )
        else:
            self._outbox = complete = CompleteOutbox(path, limits)
            self._delivery = BulkDelivery(
                self._client,
                complete,
                subject.device_id,
                on_change=_nothing,
                on_replayed=lambda _devices: None,
                pace=_PACE,
            )

    async def live(self) -> None:
        """Deliver until terminated, and tell how things stand."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        await self._outbox.open()
        self._channel.setblocking(False)
        loop.add_reader(self._channel, self._take_in)
        delivering = asyncio.create_task(self._delivery.run())
        while not stopped.is_set():
            self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _REPORT_EVERY_S)
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)
        await self._client.close()
        await self._outbox.close()
        self._tell()

    def _take_in(self) -> None:
        """Accept the changes that have come."""
        for _ in range(_READ_AT_ONCE):
            try:
                message = self._channel.recv(4096)
            except BlockingIOError:
                break
            except ConnectionResetError:
                # The driver has gone without listening; what it has sent is there.
                continue
            if not message:
                asyncio.get_running_loop().remove_reader(self._channel)
                self._is_fed = True
                break
            number, device_id, variable, value, time_us = json.loads(message)
            self._outbox.append([Reading(device_id, variable, value, time_us / 1e6)])
            self._read = number + 1
            self._fresh.append((time.monotonic(), number))
        self._delivery.notify()

    def _tell(self) -> None:
        """Say how things stand, and which changes must be on the disk."""
        status = self._delivery.status
        self._reports.send(
            Report(
                self._read,
                self._is_fed,
                len(self._outbox),
                status.delivered,
                self._outbox.superseded,
                self._outbox.dropped,
                status.refused,
                status.possible_duplicates,
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            )
        )
        kept = []
        while self._fresh and self._fresh[0][0] < time.monotonic() - _WRITTEN_AFTER_S:
            kept.append(self._fresh.popleft()[1])
        if kept:
            # The driver may have gone, or be too busy to listen.
            with suppress(OSError):
                self._channel.send(ACKNOWLEDGEMENT.pack(kept[0], kept[-1]))


def _client(subject: Subject) -> AsyncSensorVisionClient:
    def clock() -> float:
        return time.monotonic() * _TIMES_FASTER

    if subject.token:
        return AsyncSensorVisionClient(
            subject.url, api_key=subject.token, timeouts=_TIMEOUTS, clock=clock
        )
    return AsyncSensorVisionClient(
        subject.url,
        username=subject.username,
        password=subject.password,
        timeouts=_TIMEOUTS,
        clock=clock,
    )


def _nothing() -> None:
    """Need not know."""
