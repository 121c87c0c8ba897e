"""What has gone over MQTT, counted: in all, by device and by topic."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
import datetime as dt
from typing import TYPE_CHECKING, Mapping, TypeVar

from .topics import device_of

if TYPE_CHECKING:
    from .mqtt_messages import Message, Outgoing

_T = TypeVar("_T")

# So many topics and devices are remembered; those that were heard of least lately go.
MAX_REMEMBERED = 10_000


@dataclass
class Traffic:
    """Messages and the bytes of their payloads, one way and the other.

    Attributes:
        sent: how many the broker has acknowledged, or with QoS 0 were sent.
        received: how many have arrived.
        failed: how many could not be sent, or only perhaps.
        bytes_sent: bytes of the payloads sent.
        bytes_received: bytes of the payloads received.
    """

    sent: int = 0
    received: int = 0
    failed: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def count_sent(self, size: int) -> None:
        """Count a message that went out."""
        self.sent += 1
        self.bytes_sent += size

    def count_received(self, size: int) -> None:
        """Count a message that came in."""
        self.received += 1
        self.bytes_received += size


@dataclass(frozen=True)
class MqttStatistics:
    """What a client has done since it was made.

    Attributes:
        total: of all messages.
        devices: of those on the topics of a device, by its id.
        sessions: how many have begun.
        reconnects: how many of them in place of one that was lost.
        dropped: messages that nobody read in time.
        commands_skipped: messages on a topic of commands that were none, that the broker
            had retained, or that came twice.
    """

    total: Traffic
    devices: Mapping[str, Traffic]
    sessions: int
    reconnects: int
    dropped: int
    commands_skipped: int


@dataclass(frozen=True)
class TopicInfo:
    """What is known of a topic.

    Attributes:
        topic: the topic.
        traffic: what this client has sent there and received from there.
        last_at: when it did so last, or None.
        retained_bytes: size of the message that the broker keeps for it, 0 if there is
            none, or None if unknown.
    """

    topic: str
    traffic: Traffic
    last_at: dt.datetime | None
    retained_bytes: int | None = None


class Counter:
    """Counts what goes out and comes in.

    Attributes:
        total: of all messages.
        sessions: how many have begun.
        reconnects: how many of them in place of one that was lost.
        dropped: messages that nobody read in time.
        commands_skipped: see `MqttStatistics`.
    """

    def __init__(self) -> None:
        self.total = Traffic()
        self.sessions = 0
        self.reconnects = 0
        self.dropped = 0
        self.commands_skipped = 0
        self._devices: OrderedDict[str, Traffic] = OrderedDict()
        self._topics: OrderedDict[str, TopicInfo] = OrderedDict()

    def count_dropped(self) -> None:
        """Count a message that nobody has read in time."""
        self.dropped += 1

    def count_skipped(self) -> None:
        """Count what was no command to be done."""
        self.commands_skipped += 1

    def count_sent(self, message: Outgoing, device_id: str | None = None) -> None:
        """Count a message that went out."""
        for traffic in self._of(message.topic, device_id):
            traffic.count_sent(len(message.payload))

    def count_failed(self, message: Outgoing, device_id: str | None = None) -> None:
        """Count a message that could not be sent."""
        for traffic in self._of(message.topic, device_id):
            traffic.failed += 1

    def count_received(self, message: Message) -> None:
        """Count a message that came in."""
        for traffic in self._of(message.topic, None):
            traffic.count_received(len(message.payload))

    def statistics(self) -> MqttStatistics:
        """Return what has been counted so far."""
        return MqttStatistics(
            replace(self.total),
            {device: replace(traffic) for device, traffic in self._devices.items()},
            self.sessions,
            self.reconnects,
            self.dropped,
            self.commands_skipped,
        )

    def topics(self) -> list[TopicInfo]:
        """Return what is known of each topic, in the order of their names."""
        return [self.topic(topic) for topic in sorted(self._topics)]

    def topic(self, topic: str) -> TopicInfo:
        """Return what is known of a topic."""
        info = self._topics.get(topic)
        if info is None:
            return TopicInfo(topic, Traffic(), None)
        return replace(info, traffic=replace(info.traffic))

    def _of(self, topic: str, device_id: str | None) -> list[Traffic]:
        """Return all that a message on a topic counts for."""
        known = self._topics.pop(topic, None)
        traffic = Traffic() if known is None else known.traffic
        now = dt.datetime.now(dt.timezone.utc)
        _remember(self._topics, topic, TopicInfo(topic, traffic, now))
        counted = [self.total, traffic]
        device = device_id or device_of(topic)
        if device is not None:
            of_device = self._devices.pop(device, None) or Traffic()
            _remember(self._devices, device, of_device)
            counted.append(of_device)
        return counted


def _remember(book: OrderedDict[str, _T], key: str, value: _T) -> None:
    """Put something last, and let go of the first if there is too much."""
    book[key] = value
    if len(book) > MAX_REMEMBERED:
        book.popitem(last=False)
