"""What goes over MQTT: messages in and out, wills, commands, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
import json
from typing import Any, Iterator, Mapping, Sequence, Tuple, Union, overload

from .exceptions import SensorVisionError, ValidationError
from .models import parse_instant
from .topics import check_topic, is_telemetry_topic

# MQTT 3.1.1, 2.2.3: a whole packet has at most so many bytes behind its fixed header.
MAX_PACKET_BYTES = 268_435_455

_ROOM_FOR_TOPIC_BYTES = 65_539


@dataclass(frozen=True)
class Message:
    """A message that has arrived.

    Attributes:
        topic: where it was published.
        payload: what it says; shown by its size alone, as it may hold a token.
        qos: with which quality of service it came.
        is_retained: whether the broker had kept it from before the subscription.
    """

    topic: str
    payload: bytes
    qos: int = 0
    is_retained: bool = False

    def __repr__(self) -> str:
        """Show everything but the payload."""
        return _shown(self, f"qos={self.qos}, is_retained={self.is_retained}")

    @property
    def text(self) -> str:
        """The payload as text.

        Raises:
            ValueError: it is not UTF-8.
        """
        return self.payload.decode()

    def json(self) -> Any:  # noqa: ANN401 - it is whatever was sent
        """Return the payload as JSON.

        Raises:
            ValueError: it is none.
        """
        try:
            return json.loads(self.payload)
        except RecursionError as err:
            raise ValueError("It is nested too deep") from err


@dataclass(frozen=True)
class Outgoing:
    """A message to publish.

    Attributes:
        topic: where to.
        payload: bytes, text that goes as UTF-8, or anything else that JSON can say.
        qos: 0, at most once; 1, at least once; or 2, exactly once (MQTT 3.1.1, 4.3).
        retain: whether the broker keeps it for those who subscribe later.
        id: what its result is called in a batch; None for its index as text.

    Raises:
        ValidationError: it can't be published, or is telemetry that would be retained:
            the server would store it again each time that it connects (contract 4.2).
    """

    topic: str
    payload: Any
    qos: int = 1
    retain: bool = False
    id: str | None = None

    def __post_init__(self) -> None:
        check_topic(self.topic)
        check_qos(self.qos)
        payload = encode_payload(self.payload)
        object.__setattr__(self, "payload", payload)
        # An empty one deletes what was retained by mistake (MQTT 3.1.1, 3.3.1.3).
        if self.retain and payload and is_telemetry_topic(self.topic):
            raise ValidationError(
                "retain",
                self.retain,
                "would let the server store telemetry again at each connection",
                "Publish telemetry without retain",
            )

    def __repr__(self) -> str:
        """Show everything but the payload, which may hold a token."""
        return _shown(self, f"qos={self.qos}, retain={self.retain}")


class Will(Outgoing):
    """What the broker publishes when a session ends without a farewell.

    After `disconnect()` it publishes nothing (MQTT 3.1.1, 3.1.2.5).
    """


Item = Union[Outgoing, Tuple[str, Any]]


@dataclass(frozen=True)
class PublishResult:
    """What became of one message of a batch.

    Attributes:
        id: the message's, or its index as text.
        message: the message, or the pair of topic and payload, as it was given.
        error: why it is not delivered; None if it is, or if it was not tried.
        is_tried: whether it was published at all.
    """

    id: str
    message: Item
    error: SensorVisionError | None = None
    is_tried: bool = True

    def __repr__(self) -> str:
        """Show everything but the payload."""
        state = "delivered" if self.is_delivered else self.error or "not sent"
        return f"<PublishResult {self.id!r}: {state}>"

    @property
    def is_delivered(self) -> bool:
        """Whether the broker has acknowledged it, or with QoS 0 it has been sent."""
        return self.is_tried and self.error is None


class PublishBatch(Sequence[PublishResult]):
    """What became of each message of a batch, in the order given.

    Attributes:
        delivered: how many the broker has.
        failed: how many could not be published.
        not_sent: how many were not tried, because the batch ended before.
    """

    def __init__(self, results: Sequence[PublishResult]) -> None:
        self._results = tuple(results)
        self.delivered = sum(result.is_delivered for result in self._results)
        self.not_sent = sum(not result.is_tried for result in self._results)
        self.failed = len(self._results) - self.delivered - self.not_sent

    def __repr__(self) -> str:
        """Show the counts."""
        return (
            f"<PublishBatch delivered={self.delivered} failed={self.failed}"
            f" not_sent={self.not_sent}>"
        )

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[PublishResult]:
        return iter(self._results)

    @overload
    def __getitem__(self, index: int) -> PublishResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PublishResult]: ...
    def __getitem__(
        self, index: int | slice
    ) -> PublishResult | Sequence[PublishResult]:
        return self._results[index]

    @property
    def is_complete(self) -> bool:
        """Whether the broker has all of them."""
        return self.delivered == len(self._results)

    @property
    def failures(self) -> list[PublishResult]:
        """The results of those that could not be published."""
        return [result for result in self._results if result.error is not None]

    def by_id(self, message_id: str) -> PublishResult:
        """Return the result of one message.

        Raises:
            KeyError: there is none of this id.
        """
        for result in self._results:
            if result.id == message_id:
                return result
        raise KeyError(message_id)


@dataclass(frozen=True)
class Command:
    """What the server tells a device to do (contract 4.4).

    Attributes:
        device_id: the device that listens.
        command: what to do.
        payload: whatever JSON came with it, or None.
        timestamp: when the server sent it, or None if it does not say.
        is_broadcast: whether it goes to all devices.
    """

    device_id: str
    command: str
    payload: Any = None
    timestamp: dt.datetime | None = None
    is_broadcast: bool = False


def command_of(message: Message, device_id: str, *, is_broadcast: bool) -> Command:
    """Read a command.

    Raises:
        ValueError: it is none.
    """
    found = message.json()
    members = found if isinstance(found, Mapping) else {}
    command, sent_at = members.get("command"), members.get("timestamp")
    if not isinstance(command, str) or not command.strip():
        raise ValueError("It names no command")
    if sent_at is not None and not isinstance(sent_at, str):
        raise ValueError("Its timestamp is no text")
    return Command(
        device_id,
        command,
        members.get("payload"),
        None if sent_at is None else parse_instant(sent_at),
        is_broadcast,
    )


def check_qos(qos: int) -> int:
    """Return a quality of service.

    Raises:
        ValidationError: it is none of 0, 1 and 2 (MQTT 3.1.1, 4.3).
    """
    if isinstance(qos, bool) or qos not in (0, 1, 2):
        raise ValidationError(
            "qos", qos, "is no quality of service", "Choose 0, 1 or 2"
        )
    return qos


def encode_payload(payload: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """Return what goes over the wire: bytes as they are, text as UTF-8, else JSON.

    Raises:
        ValidationError: JSON can't say it, or a packet can't hold it.
    """
    if payload is None:
        raise ValidationError(
            "payload",
            payload,
            "may mean an empty message or JSON's null",
            'Give b"" or "null"',
        )
    try:
        if isinstance(payload, (bytes, bytearray, memoryview)):
            encoded = bytes(payload)
        elif isinstance(payload, str):
            encoded = payload.encode()
        else:
            encoded = json.dumps(
                payload, separators=(",", ":"), allow_nan=False, ensure_ascii=False
            ).encode()
    except (TypeError, ValueError, RecursionError):
        encoded = None
    if encoded is None:
        # Raised outside of the handler, whose exception repeats what may be secret.
        raise ValidationError(
            "payload",
            type(payload),
            "is not what a message can say",
            "Give bytes, text, or finite numbers, lists and dicts of such",
        )
    if len(encoded) > MAX_PACKET_BYTES - _ROOM_FOR_TOPIC_BYTES:
        raise ValidationError(
            "payload",
            len(encoded),
            "bytes are too many for a message",
            "Split it: MQTT takes less than 256 MiB",
        )
    return encoded


def _shown(message: Message | Outgoing, details: str) -> str:
    kind, size = type(message).__name__, len(message.payload)
    return f"{kind}({message.topic!r}, {size} bytes, {details})"
