"""SensorVision over MQTT: telemetry of devices to the server, its commands to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Iterable, Mapping

from .models import Sample
from .mqtt_commands import Commands
from .mqtt_messages import Outgoing, check_qos
from .telemetry import telemetry_payload
from .topics import command_topics, telemetry_topic

if TYPE_CHECKING:
    import datetime as dt

    from .mqtt_inbox import Inbox
    from .mqtt_statistics import Counter


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

    def commands(self, device_id: str, *, qos: int = 1) -> Commands:
        """Return the commands to a device and to all, for `async for`.

        The first step subscribes to them, which only `unsubscribe` ends. What is no
        command, what the broker had retained and what comes twice is skipped and counted
        (contract 4.4): nothing is to be done again at each connection.

        Raises:
            ValidationError: it is no device id.
        """
        own, broadcast = command_topics(self._prefix, device_id)
        check_qos(qos)
        return Commands(
            device_id,
            broadcast,
            self._inbox.reader((own, broadcast), None),
            lambda: self.subscribe((own, broadcast), qos),
            self._counter.count_skipped,
        )
