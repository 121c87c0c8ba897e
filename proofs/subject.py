"""Keep and deliver changes, in the process on which everything is tried."""

from abc import ABC, abstractmethod
import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
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
    CircuitBreaker,
    RateLimit,
    RetryPolicy,
    Timeouts,
)
from custom_components.sensorvision.client.bulk import BulkDelivery
from custom_components.sensorvision.client.delivery import Delivery
from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from custom_components.sensorvision.client.outbox import CompleteOutbox, NewestOutbox
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.client.posting import PostingDelivery
from custom_components.sensorvision.client.publishing import PublishingDelivery
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
# A cluster takes seconds to see that a node has gone.
_BROKER_TIMEOUTS = Timeouts(connect_s=10, read_s=20)
_REPORT_EVERY_S = 0.02
_READ_AT_ONCE = 200
# From then on a change is on the disk, however busy the machine is.
_WRITTEN_AFTER_S = COMMIT_INTERVAL_S + 0.5


@dataclass(frozen=True)
class Way:
    """What keeps changes and what delivers them, not at work yet.

    Attributes:
        outbox: keeps them.
        delivery: brings them away.
        close: ends what the delivery leaves open.
    """

    outbox: NewestOutbox | CompleteOutbox
    delivery: Delivery
    close: Callable[[], Awaitable[None]]


class Subject(ABC):
    """What the process is to deliver to, and how."""

    @abstractmethod
    def way(self) -> Way:
        """Return what it takes, made in the process itself."""


@dataclass(frozen=True)
class ServerSubject(Subject):
    """Delivery to a server.

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

    def way(self) -> Way:
        """Post by token, or send everything with its time."""
        client = self._client()
        path, limits = str(self.outbox), Limits(COMMIT_INTERVAL_S)
        if self.token:
            newest = NewestOutbox(path, limits)
            posting = PostingDelivery(
                client, newest, self.device_id, on_change=_nothing, pace=_PACE
            )
            return Way(newest, posting, client.close)
        complete = CompleteOutbox(path, limits)
        bulk = BulkDelivery(
            client,
            complete,
            self.device_id,
            on_change=_nothing,
            on_replayed=_not_told,
            pace=_PACE,
        )
        return Way(complete, bulk, client.close)

    def _client(self) -> AsyncSensorVisionClient:
        return AsyncSensorVisionClient(
            self.url,
            api_key=self.token,
            username=None if self.token else self.username,
            password=None if self.token else self.password,
            timeouts=_TIMEOUTS,
            clock=_fast_clock,
            # As the integration makes it: the delivery has a pace of its own.
            rate_limit=RateLimit.off(),
            breaker=CircuitBreaker.off(),
        )


@dataclass(frozen=True)
class BrokerSubject(Subject):
    """Delivery to an MQTT broker on this machine.

    Attributes:
        port: where it listens.
        outbox: the file.
        token: of the only device.
    """

    port: int
    outbox: Path
    token: str

    def way(self) -> Way:
        """Publish everything with its time."""
        outbox = CompleteOutbox(str(self.outbox), Limits(COMMIT_INTERVAL_S))
        publisher = Publisher(
            Broker("127.0.0.1", "sensorvision-proof", port=self.port),
            timeouts=_BROKER_TIMEOUTS,
        )
        delivery = PublishingDelivery(
            publisher,
            outbox,
            token_of=self._token_of,
            on_change=_nothing,
            on_replayed=_not_told,
            pace=_PACE,
        )
        return Way(outbox, delivery, publisher.close)

    async def _token_of(self, _device_id: str) -> str:
        return self.token


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
        way = subject.way()
        self._outbox, self._delivery = way.outbox, way.delivery
        self._close = way.close

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
        await self._close()
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


def _fast_clock() -> float:
    return time.monotonic() * _TIMES_FASTER


def _nothing() -> None:
    """Need not know."""


def _not_told(_device_ids: frozenset[str]) -> None:
    """Need not know either."""
