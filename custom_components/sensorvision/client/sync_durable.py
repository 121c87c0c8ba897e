"""Send readings by way of a file without an event loop of one's own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
import datetime as dt
from functools import partial
import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Mapping, Sequence, TypeVar

from .durable import DurableSender
from .durable_status import DurableStatus
from .pace import Pace

if TYPE_CHECKING:
    from types import TracebackType

    from .capabilities import Capabilities, Probe
    from .limits import Limits
    from .moments import Moment
    from .protocol import Answer
    from .sync import SensorVisionClient

T = TypeVar("T")


class SyncDurableSender:
    """Put readings into a file, from which they are sent in the background.

    Use it as a context manager. It does what `DurableSender` does, in a thread of its own,
    and sends with the client that it is given. Threads may share it.

    Args:
        client: the way to the server.
        path: the file, which is made if there is none.
        limits: how much the file may hold, and how soon a reading is written down.
        pace: how fast to send.
    """

    def __init__(
        self,
        client: SensorVisionClient,
        path: str | os.PathLike[str],
        *,
        limits: Limits | None = None,
        pace: Pace | None = None,
    ) -> None:
        pace = pace or Pace()
        # One for each post on its way, and one for what is asked beside them.
        self._workers = ThreadPoolExecutor(
            pace.max_in_flight + 1, "sensorvision-request"
        )
        peer = _InThreads(client, self._workers)
        self._sender = DurableSender(peer, path, limits=limits, pace=pace)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncDurableSender:
        """Open the file, and begin to send."""
        self.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the sending; what waits is in the file then."""
        self.close()

    def open(self) -> None:
        """Open the file with what an earlier run has left in it, and begin to send."""
        self._loop = asyncio.new_event_loop()
        # An interpreter that ends does not wait for who forgot to close.
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sensorvision-durable", daemon=True
        )
        self._thread.start()
        self._do(self._sender.open())

    def close(self) -> None:
        """End the sending, and write down what waits.

        Returns when the requests have come to their end that are on their way.
        """
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._do(self._sender.close())
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._workers.shutdown()

    def put(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
    ) -> None:
        """Accept readings of one device; see `DurableSender.put`."""
        self._do(self._sender.put(device_id, variables, timestamp))

    def flush(self, timeout: float | None = 60) -> DurableStatus:
        """Wait until nothing waits; see `DurableSender.flush`."""
        return self._do(self._sender.flush(timeout))

    @property
    def status(self) -> DurableStatus:
        """What became of the readings so far."""
        return self._do(self._status())

    async def _status(self) -> DurableStatus:
        return self._sender.status

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the thread do something, and return what it returns."""
        if self._loop is None:
            work.close()
            raise RuntimeError("The sender is closed. Use it within `with`")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _InThreads:
    """A client that blocks, as what is to be awaited.

    Args:
        client: the client.
        workers: the threads that it may block.
    """

    def __init__(self, client: SensorVisionClient, workers: ThreadPoolExecutor) -> None:
        self._client = client
        self._workers = workers

    def __repr__(self) -> str:
        """Name the server and nothing secret."""
        return repr(self._client)

    @property
    def credential(self) -> str | None:
        """See `SensorVisionClient.credential`."""
        return self._client.credential

    @property
    def clock_offset_s(self) -> float | None:
        """See `SensorVisionClient.clock_offset_s`."""
        return self._client.clock_offset_s

    def forget_devices(self) -> None:
        """See `SensorVisionClient.forget_devices`."""
        self._client.forget_devices()

    async def capabilities(self) -> Capabilities:
        """See `SensorVisionClient.capabilities`."""
        return await self._run(self._client.capabilities)

    async def probe(self, device_id: str) -> Probe:
        """See `SensorVisionClient.probe`."""
        return await self._run(partial(self._client.probe, device_id))

    async def post(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> Answer:
        """See `SensorVisionClient.post`."""
        return await self._run(partial(self._client.post, device_id, variables))

    async def post_moments(self, moments: Sequence[Moment]) -> list[Answer]:
        """See `SensorVisionClient.post_moments`."""
        return await self._run(partial(self._client.post_moments, moments))

    async def _run(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, action)
