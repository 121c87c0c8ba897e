"""What the server tells a device to do, as it comes over MQTT (contract 4.4)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, AsyncIterator, Awaitable, Callable

from .mqtt_messages import command_of

if TYPE_CHECKING:
    from .mqtt_inbox import Messages
    from .mqtt_messages import Command, Message

_LOGGER = logging.getLogger(__name__)


class Commands(AsyncIterator["Command"]):
    """Commands as they arrive, for `async for`.

    Args:
        device_id: the device that listens.
        broadcast: topic of those that go to all devices.
        messages: where they come from.
        subscribe: subscribes to them.
        on_skipped: called for each message that is none, or not to be done now.
    """

    def __init__(
        self,
        device_id: str,
        broadcast: str,
        messages: Messages,
        subscribe: Callable[[], Awaitable[None]],
        on_skipped: Callable[[], None],
    ) -> None:
        self._device_id = device_id
        self._broadcast = broadcast
        self._messages = messages
        self._subscribe = subscribe
        self._on_skipped = on_skipped
        self._is_subscribed = False
        self._last: dict[str, bytes] = {}

    async def __anext__(self) -> Command:
        """Wait for the next command; the first time, subscribe to them.

        Raises:
            SubscriptionError: the broker refuses it.
            NetworkError: there is no session to subscribe in, or the client has given up.
        """
        if not self._is_subscribed:
            await self._subscribe()
            self._is_subscribed = True
        while True:
            command = self._read(await self._messages.__anext__())
            if command is not None:
                return command
            self._on_skipped()

    def _read(self, message: Message) -> Command | None:
        """Return what a message says is to be done now, if anything."""
        is_copy = self._last.get(message.topic) == message.payload
        self._last[message.topic] = message.payload
        try:
            command = command_of(
                message,
                self._device_id,
                is_broadcast=message.topic == self._broadcast,
            )
        except ValueError as err:
            _LOGGER.debug("No command on %s: %s", message.topic, err)
            return None
        # The server tells its time, so that no two commands of its own are alike.
        is_copy = is_copy and command.timestamp is not None
        return None if is_copy or message.is_retained else command
