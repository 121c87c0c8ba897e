"""Topics and filters are taken, refused and matched as MQTT says, and as Mosquitto does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.sensorvision.client import ValidationError
from custom_components.sensorvision.client.broker import Broker
from custom_components.sensorvision.client.mqtt_messages import Message
from custom_components.sensorvision.client.mqtt_session import Session
from custom_components.sensorvision.client.topics import (
    MAX_TOPIC_BYTES,
    check_filter,
    check_topic,
    command_topics,
    device_of,
    is_telemetry_topic,
    matches,
    telemetry_topic,
)
from tests.brokers import Mosquitto

NO_TEXTS = ["", "a\0b", "é" * 32768, "\ud800", None, 7]
LEVELS = ["", "a", "b", "$a"]


@pytest.mark.parametrize("topic", ["a", "/", "a//b", " ", "é" * 32767, "$SYS/x"])
def test_topic_of_the_standard_is_taken(topic: str) -> None:
    assert check_topic(topic) == topic
    assert check_filter(topic) == topic


@pytest.mark.parametrize("topic", [*NO_TEXTS, "a/+", "#", "a+b", "a/#/b"])
def test_topic_that_no_message_can_have_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_topic(topic)
    assert caught.value.field == "topic"
    assert caught.value.value == topic


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/#", "+/a/+", "/#", "+/+/#"])
def test_filter_of_the_standard_is_taken(topic_filter: str) -> None:
    assert check_filter(topic_filter) == topic_filter


@pytest.mark.parametrize(
    "topic_filter", [*NO_TEXTS, "a+", "a/b#", "#/a", "a/#/b", "++", "##", "+#"]
)
def test_filter_that_no_broker_takes_is_refused(topic_filter: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_filter(topic_filter)
    assert caught.value.field == "topic filter"


def test_longest_topic_has_as_many_bytes_as_its_length_can_tell() -> None:
    assert check_topic("a" * MAX_TOPIC_BYTES)
    with pytest.raises(ValidationError, match="65536 bytes"):
        check_topic("a" * (MAX_TOPIC_BYTES + 1))


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("sport/tennis/#", "sport/tennis", True),
        ("sport/tennis/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/#", "sport", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("sport/+", "sport/a/b", False),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("$SYS/+", "$SYS/uptime", True),
        ("a/#", "a/$b", True),
        ("A", "a", False),
    ],
)
def test_filter_matches_as_in_the_examples_of_the_standard(
    topic_filter: str, topic: str, expected: bool
) -> None:
    """MQTT 3.1.1, 4.7.1 to 4.7.3."""
    assert matches(topic_filter, topic) is expected


class Oracle:
    """Mosquitto, asked what matches."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.broker = Mosquitto(folder)
        self.heard: list[str] = []
        self.ended: asyncio.Event | None = None
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        await self.broker.start()
        where = Broker("127.0.0.1", "oracle", self.broker.port)
        self.session = Session(where, on_message=self._take)
        await self.session.connect()
        await self.session.subscribe([("the/end/of/it", 1)])

    def _take(self, message: Message) -> None:
        if message.topic == "the/end/of/it":
            assert self.ended is not None
            self.ended.set()
        else:
            self.heard.append(message.topic)

    def delivers(self, topic_filter: str, topic: str) -> bool:
        """Tell whether what is published arrives."""
        return self.runner.run(self._delivers(topic_filter, topic))

    async def _delivers(self, topic_filter: str, topic: str) -> bool:
        self.heard.clear()
        self.ended = asyncio.Event()
        await self.session.subscribe([(topic_filter, 1)])
        await self.session.publish(topic, b"x")
        await self.session.publish("the/end/of/it", b"x")
        await asyncio.wait_for(self.ended.wait(), 10)
        await self.session.unsubscribe([topic_filter])
        return topic in self.heard

    def end(self) -> None:
        """Stop it."""
        self.runner.run(self.session.close())
        self.runner.run(self.broker.stop())
        self.runner.close()


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    """Start a broker to ask."""
    asked = Oracle(tmp_path)
    yield asked
    asked.end()


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_filters_match_as_mosquitto_matches_them(
    oracle: Oracle, data: st.DataObject
) -> None:
    """Whatever the levels are, empty ones and those with a dollar among them."""
    levels = data.draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4))
    wanted = data.draw(
        st.lists(st.sampled_from([*LEVELS, "+"]), min_size=1, max_size=4)
    )
    if data.draw(st.booleans()):
        wanted.append("#")
    topic, topic_filter = "/".join(levels), "/".join(wanted)
    if topic and topic_filter:
        expected = oracle.delivers(topic_filter, topic)
        assert matches(topic_filter, topic) is expected, (topic_filter, topic)


@pytest.mark.parametrize("prefix", ["indcloud", "sensorvision"])
def test_topics_of_devices_are_known_by_either_prefix(prefix: str) -> None:
    assert is_telemetry_topic(telemetry_topic(prefix, "a.b"))
    assert device_of(telemetry_topic(prefix, "a.b")) == "a-b"
    own, broadcast = command_topics(prefix, "a.b")
    assert own == f"{prefix}/devices/a.b/commands"
    assert broadcast == f"{prefix}/devices/broadcast/commands"
    assert device_of(own) == "a.b"
    assert device_of(broadcast) is None
    assert not is_telemetry_topic(own)


@pytest.mark.parametrize(
    "topic",
    [
        "home/devices/a/telemetry",
        "indcloud/things/a/telemetry",
        "indcloud/devices/a/telemetry/b",
        "indcloud/devices/a",
    ],
)
def test_topics_of_others_are_of_no_device(topic: str) -> None:
    assert device_of(topic) is None
    assert not is_telemetry_topic(topic)


def test_device_that_cannot_stand_in_a_topic_gets_no_commands() -> None:
    with pytest.raises(ValidationError):
        command_topics("indcloud", "a/b")
