"""Topics and topic filters: which may be used, which match, and what SensorVision's are.

Pure. The rules are those of MQTT 3.1.1, sections 1.5.3 and 4.7, and of the wire contract,
sections 4.1 and 4.4.
"""

from __future__ import annotations

from functools import lru_cache

from . import protocol
from .protocol import ValidationError

TOPIC_PREFIXES = ("indcloud", "sensorvision")
MAX_TOPIC_BYTES = 65535
BROADCAST = "broadcast"

_DEVICES = "devices"
_TELEMETRY = "telemetry"
_COMMANDS = "commands"
_OF_A_DEVICE = 4


def check_topic(topic: str) -> str:
    """Return a topic to which a message can be published.

    Raises:
        ValidationError: it is no text, empty, longer than 65535 bytes of UTF-8, or holds
            a wildcard, U+0000 or what has no UTF-8 (MQTT 3.1.1, 1.5.3 and 4.7.3).
    """
    _check_text("topic", topic)
    if "+" in topic or "#" in topic:
        raise ValidationError(
            "topic",
            topic,
            "holds a wildcard",
            "Publish to one topic; + and # are for what you subscribe to",
        )
    return topic


def check_filter(topic_filter: str) -> str:
    """Return a filter by which topics can be subscribed to.

    Raises:
        ValidationError: it is none as a text (see `check_topic`), or has a wildcard
            beside something else in a level, or `#` before the last (MQTT 3.1.1, 4.7.1).
    """
    _check_text("topic filter", topic_filter)
    levels = topic_filter.split("/")
    for level in levels:
        if len(level) > 1 and ("+" in level or "#" in level):
            raise ValidationError(
                "topic filter",
                topic_filter,
                "has a wildcard that is no whole level",
                "Put + or # between slashes, such as house/+/temperature",
            )
    if "#" in levels[:-1]:
        raise ValidationError(
            "topic filter",
            topic_filter,
            "goes on after #",
            "End it there, or take + for one level",
        )
    return topic_filter


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a filter takes in a topic.

    Both are taken for good. A wildcard at the first level takes in no topic that begins
    with `$` (MQTT 3.1.1, 4.7.2), and `a/#` takes in `a` too (4.7.1.2).
    """
    wanted, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    if wanted[-1] == "#":
        del wanted[-1]
        if len(given) < len(wanted):
            return False
        del given[len(wanted) :]
    return len(wanted) == len(given) and all(
        level in ("+", other) for level, other in zip(wanted, given)
    )


# Devices publish again and again.
@lru_cache(maxsize=16_384)
def telemetry_topic(prefix: str, device_id: str) -> str:
    """Return the topic of a device's telemetry (contract 4.1).

    The server reads the device from the payload alone. RabbitMQ takes a dot for the
    border of two levels, and would acknowledge what nobody listens to.

    Raises:
        ValidationError: it is no device id that can stand in a topic.
    """
    level = protocol.check_device_id(device_id).replace(".", "-")
    return f"{prefix}/{_DEVICES}/{level}/{_TELEMETRY}"


def is_telemetry_topic(topic: str) -> bool:
    """Tell whether a server of any age takes what is published there for telemetry."""
    levels = topic.split("/")
    return _is_of_a_device(levels) and levels[3] == _TELEMETRY


def command_topics(prefix: str, device_id: str) -> tuple[str, str]:
    """Return where a device's commands are published, and those to all (contract 4.4).

    Raises:
        ValidationError: it is no device id that can stand in a topic.
    """
    levels = protocol.check_device_id(device_id), BROADCAST
    own, broadcast = (f"{prefix}/{_DEVICES}/{level}/{_COMMANDS}" for level in levels)
    return own, broadcast


def device_of(topic: str) -> str | None:
    """Return the level that names a device in a topic of SensorVision's, or None.

    Of telemetry it is the device's id with hyphens for its dots.
    """
    levels = topic.split("/")
    return levels[2] if _is_of_a_device(levels) and levels[2] != BROADCAST else None


def _is_of_a_device(levels: list[str]) -> bool:
    return (
        len(levels) == _OF_A_DEVICE
        and levels[0] in TOPIC_PREFIXES
        and levels[1] == _DEVICES
    )


def _check_text(field: str, text: str) -> None:
    """Make sure that a text can go over the wire as a topic."""
    problem = None
    if not isinstance(text, str):
        problem = "is no text"
    elif not text:
        problem = "is empty"
    elif "\0" in text:
        problem = "holds U+0000"
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            problem = "holds half a character"
        else:
            if size > MAX_TOPIC_BYTES:
                problem = f"has {size} bytes"
    if problem is not None:
        raise ValidationError(
            field,
            text,
            problem,
            f"Take 1 to {MAX_TOPIC_BYTES} bytes of text, such as house/kitchen/light",
        )
