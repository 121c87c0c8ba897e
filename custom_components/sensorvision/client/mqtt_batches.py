"""Publish many messages, and say of each what became of it."""

from __future__ import annotations

import asyncio
from typing import Awaitable, Callable, Sequence

from .exceptions import RequestTimeoutError, SensorVisionError, ValidationError
from .mqtt_messages import Item, Outgoing, PublishBatch, PublishResult

Publish = Callable[[Outgoing], Awaitable[None]]


async def publish_all(
    publish: Publish,
    items: Sequence[Item],
    *,
    max_in_flight: int,
    stop_on_first_error: bool,
    timeout_s: float | None,
) -> PublishBatch:
    """Publish messages in their order, many in flight.

    Args:
        publish: publishes one.
        items: the messages, or pairs of topic and payload.
        max_in_flight: how many may wait for their acknowledgement.
        stop_on_first_error: whether to begin no more once one has failed.
        timeout_s: seconds for all of them, or None to wait as long as it takes.
    """
    batch = _Batch(publish, items)
    loop = asyncio.get_running_loop()
    deadline = None if timeout_s is None else loop.time() + timeout_s
    try:
        for index in range(len(items)):
            if stop_on_first_error and batch.has_failed:
                break
            if len(batch.calls) >= max_in_flight and not await batch.proceed(deadline):
                break
            batch.begin(index)
        while batch.calls and await batch.proceed(deadline):
            pass
    finally:
        # What has not been acknowledged in time is given up.
        batch.give_up()
    return batch.results()


class _Batch:
    """Messages on their way."""

    def __init__(self, publish: Publish, items: Sequence[Item]) -> None:
        self._publish = publish
        self._items = items
        self._results: dict[int, PublishResult] = {}
        self._moved: asyncio.Future[None] | None = None
        self._bug: BaseException | None = None
        self.calls: dict[asyncio.Future[None], int] = {}
        self.has_failed = False

    def begin(self, index: int) -> None:
        """Publish one, unless it can't be."""
        item = self._items[index]
        try:
            message = item if isinstance(item, Outgoing) else Outgoing(*item)
        except ValidationError as err:
            self._note(index, err)
        else:
            call = asyncio.ensure_future(self._publish(message))
            self.calls[call] = index
            call.add_done_callback(self._answered)

    async def proceed(self, deadline: float | None) -> bool:
        """Wait until at least one has its answer, and tell whether there is time left."""
        loop = asyncio.get_running_loop()
        left = None if deadline is None else max(0.0, deadline - loop.time())
        moved = self._moved = loop.create_future()
        # To wait for the calls themselves would cost as much for each as for all.
        await asyncio.wait([moved], timeout=left)
        if self._bug is not None:
            raise self._bug
        return moved.done()

    def give_up(self) -> None:
        """Wait no longer for those that are on their way."""
        for call, index in self.calls.items():
            call.remove_done_callback(self._answered)
            call.cancel()
            late = RequestTimeoutError(
                "The batch was not done in time", may_have_arrived=True
            )
            self._note(index, late)
        self.calls.clear()

    def _answered(self, call: asyncio.Future[None]) -> None:
        index = self.calls.pop(call)
        # At the end of its loop each call is cancelled, before who waits for them.
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if error is None or isinstance(error, SensorVisionError):
            self._note(index, error)
        else:
            self._bug = error
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    def results(self) -> PublishBatch:
        """Return what became of each."""
        return PublishBatch(
            [
                self._results.get(index)
                or PublishResult(self._id(index), self._items[index], is_tried=False)
                for index in range(len(self._items))
            ]
        )

    def _note(self, index: int, error: SensorVisionError | None) -> None:
        self.has_failed = self.has_failed or error is not None
        self._results[index] = PublishResult(self._id(index), self._items[index], error)

    def _id(self, index: int) -> str:
        item = self._items[index]
        own = item.id if isinstance(item, Outgoing) else None
        return str(index) if own is None else own
