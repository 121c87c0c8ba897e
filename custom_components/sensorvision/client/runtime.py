"""Wait, lock and do many things at once, with an event loop or with threads.

What a client does is written once, as coroutines that wait for nothing but their runtime
and their transport. In an event loop they are awaited. Without one, `run` drives each of
them in the thread that calls: there every wait blocks, so that none ever suspends.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
import contextvars
import threading
import time
from typing import (
    Any,
    AsyncContextManager,
    Awaitable,
    Callable,
    Coroutine,
    Protocol,
    Sequence,
    TypeVar,
)

from .deadline import no_time_left, remaining_s, within_deadline

T = TypeVar("T")


class Runtime(Protocol):
    """How a client waits. All but `now` keep to the `deadline` around them."""

    def now(self) -> float:
        """Return seconds that only grow."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            RequestTimeoutError: the deadline comes first; no time has passed.
        """

    def semaphore(self, slots: int) -> AsyncContextManager[None]:
        """Return a lock, to be kept, that so many may hold at once.

        Entering raises RequestTimeoutError if the deadline comes first.
        """

    async def gather(
        self, jobs: Sequence[Callable[[], Awaitable[T]]], *, limit: int
    ) -> list[T]:
        """Do all jobs, at most so many at once, begun in their order.

        Returns:
            What each returned, in their order. The first exception of one is raised once
            those that were begun have ended, and the others are not begun.
        """


class AsyncRuntime:
    """Wait in the event loop that runs."""

    def now(self) -> float:
        """See `Runtime`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Runtime`."""
        _check_enough_is_left(seconds)
        await asyncio.sleep(seconds)

    def semaphore(self, slots: int) -> AsyncContextManager[None]:
        """See `Runtime`."""
        return _AsyncSemaphore(slots)

    async def gather(
        self, jobs: Sequence[Callable[[], Awaitable[T]]], *, limit: int
    ) -> list[T]:
        """See `Runtime`."""
        results: dict[int, T] = {}
        left = iter(enumerate(jobs))
        failures: list[BaseException] = []

        async def work() -> None:
            for index, job in left:
                if failures:
                    return
                try:
                    results[index] = await job()
                except BaseException as err:
                    failures.append(err)
                    raise

        workers = [asyncio.ensure_future(work()) for _ in range(min(limit, len(jobs)))]
        try:
            await asyncio.gather(*workers, return_exceptions=True)
        finally:
            for worker in workers:
                worker.cancel()
        if failures:
            raise failures[0]
        return [results[index] for index in range(len(jobs))]


class SyncRuntime:
    """Block the thread that calls."""

    def now(self) -> float:
        """See `Runtime`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Runtime`."""
        _check_enough_is_left(seconds)
        time.sleep(seconds)  # noqa: ASYNC251

    def semaphore(self, slots: int) -> AsyncContextManager[None]:
        """See `Runtime`."""
        return _ThreadSemaphore(slots)

    async def gather(
        self, jobs: Sequence[Callable[[], Awaitable[T]]], *, limit: int
    ) -> list[T]:
        """See `Runtime`."""
        has_failed = threading.Event()

        def work(job: Callable[[], Awaitable[T]]) -> list[T]:
            if has_failed.is_set():
                return []
            try:
                return [run(_awaited(job()))]
            except BaseException:
                has_failed.set()
                raise

        if not jobs:
            return []
        with ThreadPoolExecutor(min(limit, len(jobs)), "sensorvision") as pool:
            # A thread begins without the deadline of the one that started it.
            futures = [
                pool.submit(contextvars.copy_context().run, work, job) for job in jobs
            ]
        return [result for future in futures for result in future.result()]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine of a client with a `SyncRuntime` to its end, in this thread.

    Raises:
        RuntimeError: it waited for something of an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError("A client without an event loop has waited for one")


class _AsyncSemaphore:
    """A semaphore that is made in the loop which needs it.

    Before Python 3.10 one belongs to the loop that is the current one when it is made.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._semaphore: asyncio.Semaphore | None = None

    async def __aenter__(self) -> None:
        if self._semaphore is None:
            self._semaphore = asyncio.Semaphore(self._slots)
        left_s = remaining_s()
        try:
            await asyncio.wait_for(self._semaphore.acquire(), left_s)
        except asyncio.TimeoutError:
            raise no_time_left() from None

    async def __aexit__(self, *_exc: object) -> None:
        if self._semaphore is not None:
            self._semaphore.release()


class _ThreadSemaphore:
    """A semaphore of threads, entered like one of tasks."""

    def __init__(self, slots: int) -> None:
        self._semaphore = threading.Semaphore(slots)

    async def __aenter__(self) -> None:
        left_s = remaining_s()
        timeout_s = None if left_s is None else max(left_s, 0)
        if not self._semaphore.acquire(timeout=timeout_s):
            raise no_time_left()

    async def __aexit__(self, *_exc: object) -> None:
        self._semaphore.release()


def _check_enough_is_left(seconds: float) -> None:
    if within_deadline(seconds) < seconds:
        raise no_time_left()


async def _awaited(waiting: Awaitable[T]) -> T:
    return await waiting
