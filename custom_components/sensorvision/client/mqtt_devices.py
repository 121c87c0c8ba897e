"""SensorVision over MQTT: telemetry of devices to the server, its commands to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
import logging
from typing import TYPE_CHECKING, AsyncIterator, Iterable, Mapping

from .models import Sample
from .mqtt_messages import Outgoing, check_qos, command_of
from .telemetry import telemetry_payload
from .topics import command_topics, telemetry_topic

if TYPE_CHECKING:
    import datetime as dt

    from .mqtt_inbox import Inbox, Messages
    from .mqtt_messages import Command
    from .mqtt_statistics import Counter

_LOGGER = logging.getLogger(__name__)


class DeviceTopics(ABC):
    """What goes over the topics of devices (contract 4)."""

    _prefix: str
    _token: str | None
    _counter: Counter
    _inbox: Inbox

    @abstractmethod
    async def subscribe(self, filters: str | Iterable[str], qos: int = 1) -> None:
        """Subscribe, over all sessions to come."""

    @abstractmethod
    async def _publish(self, message: Outgoing, device_id: str | None = None) -> None:
        """Publish a message, and count it."""

    async def stream_data(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
        token: str | None = None,
        *,
        qos: int = 1,
    ) -> None:
        """Publish a device's telemetry (contract 4.3), and return when the broker has it.

        Whether the server takes it from there, nobody says: it drops what does not carry
        exactly this device's token, if it asks for tokens.

        Args:
            device_id: the device's public id.
            variables: finite numbers below 1e14 by name.
            timestamp: when they were true, with a zone; None for the server's now.
            token: this device's own; None for `api_key`, or none if there is none.
            qos: quality of service.

        Raises:
            ValidationError: it can't be sent.
            NetworkError: as `publish`.
        """
        message = self.telemetry(device_id, variables, timestamp, token, qos=qos)
        await self._publish(message, device_id)

    def telemetry(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
        token: str | None = None,
        *,
        qos: int = 1,
    ) -> Outgoing:
        """Return what `stream_data` would publish, for a batch.

        Raises:
            ValidationError: it can't be sent.
        """
        sample = Sample(device_id, variables, timestamp)
        topic = telemetry_topic(self._prefix, device_id)
        return Outgoing(topic, telemetry_payload(sample, token or self._token), qos)

    def commands(self, device_id: str, *, qos: int = 1) -> AsyncIterator[Command]:
        """Return the commands to a device and to all, for `async for`.

        The first step subscribes to them, which only `unsubscribe` ends. What is no
        command, what the broker had retained and what comes twice is skipped and counted
        (contract 4.4): nothing is to be done again at each connection.

        Raises:
            ValidationError: it is no device id.
        """
        topics = command_topics(self._prefix, device_id)
        messages = self._inbox.reader(topics, None)
        return self._commands(device_id, topics, check_qos(qos), messages)

    async def _commands(
        self,
        device_id: str,
        topics: tuple[str, str],
        qos: int,
        messages: Messages,
    ) -> AsyncIterator[Command]:
        await self.subscribe(topics, qos)
        last: dict[str, bytes] = {}
        async for message in messages:
            is_copy = last.get(message.topic) == message.payload
            last[message.topic] = message.payload
            try:
                command = command_of(
                    message, device_id, is_broadcast=message.topic != topics[0]
                )
            except ValueError as err:
                _LOGGER.debug("No command on %s: %s", message.topic, err)
                command = None
            if (
                command is None
                or message.is_retained
                # The server tells its time, so that no two commands are alike.
                or (is_copy and command.timestamp is not None)
            ):
                self._counter.commands_skipped += 1
            else:
                yield command
