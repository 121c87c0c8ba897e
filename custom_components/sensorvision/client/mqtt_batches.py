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
            self.calls[asyncio.ensure_future(self._publish(message))] = index

    async def proceed(self, deadline: float | None) -> bool:
        """Wait until at least one has its answer, and tell whether there is time left."""
        left = None
        if deadline is not None:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait(
            self.calls, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        for call in done:
            error = call.exception()
            if error is not None and not isinstance(error, SensorVisionError):
                raise error
            self._note(self.calls.pop(call), error)
        return bool(done)

    def give_up(self) -> None:
        """Wait no longer for those that are on their way."""
        for call, index in self.calls.items():
            call.cancel()
            late = RequestTimeoutError(
                "The batch was not done in time", may_have_arrived=True
            )
            self._note(index, late)
        self.calls.clear()

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
