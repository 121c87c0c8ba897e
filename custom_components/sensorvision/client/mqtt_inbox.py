"""Messages that wait for whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, AsyncIterator, Callable, Collection
from weakref import WeakSet

from .topics import matches

if TYPE_CHECKING:
    from .exceptions import SensorVisionError
    from .mqtt_messages import Message


class Messages(AsyncIterator["Message"]):
    """Messages as they arrive, for `async for`, from the moment that it is made.

    It goes on over lost sessions. It ends with `disconnect()`, and raises once the
    client has given up connecting. If they come faster than they are read, the oldest
    are let go.

    Args:
        filters: topic filters of which one has to match; None for all messages.
        limit: how many may wait.
        on_dropped: called for each that is let go.

    Attributes:
        dropped: how many were let go.
    """

    def __init__(
        self,
        filters: Collection[str] | None,
        limit: int,
        on_dropped: Callable[[], None],
    ) -> None:
        self._filters = filters
        self._limit = limit
        self._on_dropped = on_dropped
        self._waiting: deque[Message] = deque()
        self._sleepers: list[asyncio.Future[None]] = []
        self._is_ended = False
        self._error: SensorVisionError | None = None
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def __anext__(self) -> Message:
        """Wait for the next message.

        Raises:
            SensorVisionError: why the client has given up.
        """
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                raise StopAsyncIteration
            await self._sleep()
        return self._waiting.popleft()

    def takes(self, topic: str) -> bool:
        """Tell whether messages of a topic are wanted."""
        return self._filters is None or any(
            matches(topic_filter, topic) for topic_filter in self._filters
        )

    def put(self, message: Message) -> None:
        """Let a message wait."""
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self.dropped += 1
            self._on_dropped()
        self._waiting.append(message)
        self._wake()

    def end(self, error: SensorVisionError | None) -> None:
        """Say that no more will come, and why if it was not asked for."""
        self._is_ended, self._error = True, error
        self._wake()

    async def _sleep(self) -> None:
        # An event would be bound to a loop before Python 3.10.
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.remove(sleeper)

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)


class Inbox:
    """Hands messages to those who read them, and keeps those that nobody reads yet.

    Args:
        limit: how many may wait for nobody.
        on_dropped: called for each message that is let go.
    """

    def __init__(self, limit: int, on_dropped: Callable[[], None]) -> None:
        self._limit = limit
        self._on_dropped = on_dropped
        # Who reads no longer is forgotten without a word.
        self._readers: WeakSet[Messages] = WeakSet()
        self._unread: deque[Message] = deque()

    def reader(self, filters: Collection[str] | None, limit: int | None) -> Messages:
        """Return who reads messages from now on, and those that nobody has read."""
        messages = Messages(filters, limit or self._limit, self._on_dropped)
        left: deque[Message] = deque()
        for message in self._unread:
            if messages.takes(message.topic):
                messages.put(message)
            else:
                left.append(message)
        self._unread = left
        self._readers.add(messages)
        return messages

    def put(self, message: Message) -> None:
        """Hand on a message."""
        readers = [each for each in self._readers if each.takes(message.topic)]
        for reader in readers:
            reader.put(message)
        if readers:
            return
        if len(self._unread) >= self._limit:
            self._unread.popleft()
            self._on_dropped()
        self._unread.append(message)

    def end(self, error: SensorVisionError | None) -> None:
        """Say to all who read that no more will come, and why."""
        for reader in list(self._readers):
            reader.end(error)
        self._readers.clear()
