"""What a broker keeps, how it is, and what is known of its topics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
import dataclasses
from typing import TYPE_CHECKING, Any

from .broker_health import read_health, read_retained
from .exceptions import NetworkError, ValidationError
from .mqtt_messages import Outgoing
from .topics import check_filter, check_topic, matches

if TYPE_CHECKING:
    from .broker import Broker
    from .broker_health import BrokerHealth
    from .mqtt_messages import Message
    from .mqtt_statistics import Counter, MqttStatistics, TopicInfo
    from .pace import Timeouts


class BrokerLooks(ABC):
    """What can be asked of a broker, and of what has been counted here."""

    _counter: Counter
    _timeouts: Timeouts

    @property
    @abstractmethod
    def _broker(self) -> Broker:
        """The broker that is asked."""

    @abstractmethod
    async def _publish(self, message: Outgoing, device_id: str | None = None) -> None:
        """Publish a message, and count it."""

    async def retained(self, topic: str, *, timeout: float = 1) -> Message | None:
        """Return the message that the broker keeps for a topic, or None.

        A session of its own asks for it, so that nobody who reads here sees it.

        Args:
            topic: the topic.
            timeout: seconds to wait; a broker does not say that it keeps nothing.

        Raises:
            ValidationError: it is no topic.
            NetworkError: there is no such session, for a reason that its class tells.
        """
        return await read_retained(
            self._broker, check_topic(topic), self._timeouts, timeout
        )

    async def set_retained(self, topic: str, payload: Any, qos: int = 1) -> None:  # noqa: ANN401 - whatever JSON can say
        """Publish a message that the broker keeps for those who subscribe later.

        Raises:
            ValidationError: it can't be published, is empty, or is telemetry.
            NetworkError: as `publish`.
        """
        message = Outgoing(topic, payload, qos, retain=True)
        if not message.payload:
            raise ValidationError(
                "payload",
                payload,
                "would delete what is retained",
                "Call delete_retained for that",
            )
        await self._publish(message)

    async def delete_retained(self, topic: str) -> None:
        """Let the broker forget the message that it keeps for a topic.

        Raises:
            ValidationError: it is no topic.
            NetworkError: as `publish`.
        """
        await self._publish(Outgoing(topic, b"", retain=True))

    def topics(self, topic_filter: str = "#") -> list[TopicInfo]:
        """Return the topics that this client has published to or heard of, by name.

        No broker tells what others do. Of more than 10,000 topics those of which nothing
        was heard for longest are forgotten.

        Raises:
            ValidationError: it is no filter.
        """
        check_filter(topic_filter)
        return [
            info for info in self._counter.topics() if matches(topic_filter, info.topic)
        ]

    async def topic_info(self, topic: str, *, timeout: float = 1) -> TopicInfo:
        """Return what this client knows of a topic, and what the broker keeps for it.

        Args:
            topic: the topic, of those under `$SYS` too.
            timeout: seconds to wait for what the broker keeps.

        Raises:
            ValidationError: it is no topic.
        """
        info = self._counter.topic(check_topic(topic))
        with suppress(NetworkError):
            kept = await self.retained(topic, timeout=timeout)
            size = 0 if kept is None else len(kept.payload)
            info = dataclasses.replace(info, retained_bytes=size)
        return info

    async def broker_health(self, *, timeout: float = 1) -> BrokerHealth:
        """Tell how the broker is, by a session of its own; it raises nothing.

        Args:
            timeout: seconds to wait for what the broker tells of itself under `$SYS`, and
                for a message of this client to come back.
        """
        return await read_health(self._broker, self._timeouts, timeout)

    def statistics(self) -> MqttStatistics:
        """Return what has been sent and received since this client was made."""
        return self._counter.statistics()
