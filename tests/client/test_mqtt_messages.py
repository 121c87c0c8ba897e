"""What goes over MQTT is checked before it goes, and read with care when it comes."""

import datetime as dt
import json
from typing import Any

import pytest

from custom_components.sensorvision.client import NetworkError, ValidationError
from custom_components.sensorvision.client.mqtt_messages import (
    MAX_PACKET_BYTES,
    Command,
    Message,
    Outgoing,
    PublishBatch,
    PublishResult,
    Will,
    command_of,
)

TELEMETRY = "indcloud/devices/dev-a/telemetry"
SECRET = "half-a-secret"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\xff", b"\xff"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        ("é", b"\xc3\xa9"),
        ("", b""),
        (0, b"0"),
        (True, b"true"),
        (1.5, b"1.5"),
        ({"a": [1, None, "é"]}, b'{"a":[1,null,"\xc3\xa9"]}'),
    ],
)
def test_payload_is_bytes_or_text_or_json(payload: object, expected: bytes) -> None:
    assert Outgoing("a", payload).payload == expected


def test_payload_that_says_nothing_certain_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for payload in (None, float("nan"), {"a": float("inf")}, {1, 2}, "\ud800", loop):
        with pytest.raises(ValidationError) as caught:
            Outgoing("a", payload)
        assert caught.value.field == "payload"
        assert caught.value.remedy
    with pytest.raises(ValidationError):
        Outgoing("a", deep)


def test_payload_that_is_refused_is_not_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        Outgoing("a", {"token": SECRET, "value": float("nan")})
    assert SECRET not in str(caught.value) + repr(vars(caught.value))
    assert caught.value.__context__ is None


def test_message_longer_than_a_packet_is_refused() -> None:
    with pytest.raises(ValidationError, match="256 MiB"):
        Outgoing("a", bytes(MAX_PACKET_BYTES))


@pytest.mark.parametrize("qos", [-1, 3, "1", True, None])
def test_quality_of_service_is_one_of_three(qos: int) -> None:
    with pytest.raises(ValidationError, match="Choose 0, 1 or 2"):
        Outgoing("a", b"", qos)


@pytest.mark.parametrize("kind", [Outgoing, Will])
@pytest.mark.parametrize("prefix", ["indcloud", "sensorvision"])
def test_telemetry_is_never_retained(kind: type[Outgoing], prefix: str) -> None:
    """The server would store it again at each of its connections."""
    topic = f"{prefix}/devices/dev-a/telemetry"
    with pytest.raises(ValidationError) as caught:
        kind(topic, b"{}", retain=True)
    assert caught.value.field == "retain"
    assert kind(topic, b"{}").topic == topic
    assert kind(topic, b"", retain=True).payload == b""


def test_payloads_are_not_shown() -> None:
    """They may hold a token."""
    message, outgoing = Message("a", SECRET.encode()), Outgoing("a", SECRET)
    assert repr(message) == "Message('a', 13 bytes, qos=0, is_retained=False)"
    assert repr(outgoing) == "Outgoing('a', 13 bytes, qos=1, retain=False)"
    assert repr(Will("a", SECRET)).startswith("Will(")
    batch = PublishBatch(
        [PublishResult("0", ("a", SECRET)), PublishResult("1", outgoing)]
    )
    assert SECRET not in repr(batch) + repr(list(batch))


def test_message_tells_text_and_json() -> None:
    assert Message("a", b'{"a": 1}').json() == {"a": 1}
    assert Message("a", b"\xc3\xa9").text == "é"
    for payload in (b"{", b"\xff", b"[" * 1_000_000):
        with pytest.raises(ValueError, match=r"."):
            Message("a", payload).json()


def test_command_is_read_as_in_the_contract() -> None:
    payload = {"command": "set_value", "payload": {"a": 1}}
    sent = {**payload, "timestamp": "2026-01-02T12:00:00.123456789Z"}
    at = dt.datetime(2026, 1, 2, 12, 0, 0, 123456, dt.UTC)
    message = Message("a", json.dumps(sent).encode())
    assert command_of(message, "dev-a", is_broadcast=False) == Command(
        "dev-a", "set_value", {"a": 1}, at
    )
    bare = Message("a", b'{"command": "on"}')
    assert command_of(bare, "dev-a", is_broadcast=True) == Command(
        "dev-a", "on", is_broadcast=True
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"on",
        b"[]",
        b"{}",
        b'{"command": 1}',
        b'{"command": " "}',
        b'{"command": "on", "timestamp": 1}',
        b'{"command": "on", "timestamp": "yesterday"}',
        b"\xff",
    ],
)
def test_what_is_no_command_is_not_read_as_one(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        command_of(Message("a", payload), "dev-a", is_broadcast=False)


def test_batch_counts_and_finds_its_results() -> None:
    message = Outgoing("a", b"1", id="mine")
    lost = PublishResult("1", ("a", 2), NetworkError("It is away"))
    results = [
        PublishResult("mine", message),
        lost,
        PublishResult("2", ("a", 3), is_tried=False),
    ]
    batch = PublishBatch(results)
    assert (batch.delivered, batch.failed, batch.not_sent) == (1, 1, 1)
    assert not batch.is_complete
    assert batch.failures == [lost]
    assert batch.by_id("mine").is_delivered
    assert list(batch) == results
    assert (batch[1], batch[1:], len(batch)) == (lost, tuple(results[1:]), 3)
    assert repr(batch) == "<PublishBatch delivered=1 failed=1 not_sent=1>"
    assert "It is away" in repr(lost)
    assert "not sent" in repr(results[2])
    with pytest.raises(KeyError):
        batch.by_id("another")
    assert PublishBatch([]).is_complete
