"""A client of a broker publishes, subscribes, keeps and reads, and counts what it does."""

import asyncio
from collections.abc import AsyncIterator, Callable
import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from custom_components.sensorvision.client import (
    NetworkError,
    RequestTimeoutError,
    SubscriptionError,
    Timeouts,
    ValidationError,
)
from custom_components.sensorvision.client.broker import Broker
from custom_components.sensorvision.client.mqtt_batches import publish_all
from custom_components.sensorvision.client.mqtt_client import MQTTClient
from custom_components.sensorvision.client.mqtt_messages import Message, Outgoing
from custom_components.sensorvision.client.mqtt_statistics import (
    MAX_REMEMBERED,
    Counter,
    Traffic,
)
from tests.brokers import Mosquitto, free_port

from .servers import eventually

SHORT = 0.2
LONG = 20


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Run a broker that lets everybody in and tells of itself each second."""
    broker = Mosquitto(tmp_path, ("allow_anonymous true", "sys_interval 1"))
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def client(mosquitto: Mosquitto) -> AsyncIterator[MQTTClient]:
    """Connect to it."""
    async with MQTTClient("127.0.0.1", mosquitto.port) as connected:
        yield connected


def reading_only(folder: Path, *filters: str) -> tuple[str, ...]:
    """Return how Mosquitto is told to refuse all subscriptions but some."""
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    rules = folder / "rules.json"
    allowed = [
        {"acltype": "subscribePattern", "topic": each, "allow": True}
        for each in filters
    ]
    default = ("publishClientSend", "publishClientReceive", "unsubscribe")
    rules.write_text(
        json.dumps(
            {
                "defaultACLAccess": {
                    **dict.fromkeys(default, True),
                    "subscribe": False,
                },
                "roles": [{"rolename": "reader", "acls": allowed}],
                "groups": [{"groupname": "all", "roles": [{"rolename": "reader"}]}],
                "anonymousGroup": "all",
            }
        )
    )
    return (f"plugin {plugin}", f"plugin_opt_config_file {rules}")


async def test_client_connects_and_disconnects_and_tells_so(
    mosquitto: Mosquitto,
) -> None:
    told: list[str] = []
    client = MQTTClient(
        "127.0.0.1", mosquitto.port, on_status=lambda status: told.append(status.state)
    )
    assert client.status.state == "disconnected"
    assert repr(client) == f"<MQTTClient 127.0.0.1:{mosquitto.port} disconnected>"
    await client.connect()
    begun = client.status
    await client.connect()
    assert client.is_connected
    assert client.status is begun
    assert begun.broker == f"127.0.0.1:{mosquitto.port}"
    await client.wait_connected()
    await client.disconnect()
    await client.disconnect()
    assert not client.is_connected
    await asyncio.sleep(0)
    assert told == ["connecting", "connected", "disconnected"]
    with pytest.raises(NetworkError, match="no session"):
        await client.publish("a", b"1")
    with pytest.raises(NetworkError, match="Nobody is connecting"):
        await client.wait_connected()


async def test_client_can_connect_again(mosquitto: Mosquitto) -> None:
    client = MQTTClient("127.0.0.1", mosquitto.port)
    for number in range(2):
        async with client:
            await client.subscribe("a")
            messages = client.messages()
            await client.publish("a", number)
            assert (await anext(messages)).json() == number
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
    assert client.statistics().sessions == 2
    assert client.statistics().reconnects == 0


async def test_two_who_connect_at_once_share_a_session(mosquitto: Mosquitto) -> None:
    client = MQTTClient("127.0.0.1", mosquitto.port)
    await asyncio.gather(client.connect(), client.connect())
    await client.publish("a", b"1")
    assert client.statistics().sessions == 1
    await client.disconnect()


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_message_arrives_with_its_quality_of_service(
    client: MQTTClient, qos: int
) -> None:
    await client.subscribe("a/b", qos=2)
    assert client.subscriptions == {"a/b": 2}
    await client.publish("a/b", {"c": 1}, qos=qos)
    assert await anext(client.messages()) == Message("a/b", b'{"c":1}', qos)


async def test_subscriptions_begin_and_end(client: MQTTClient) -> None:
    await client.subscribe(["a/+", "b/#", "a/+"])
    await client.subscribe("c", qos=0)
    assert client.subscriptions == {"a/+": 1, "b/#": 1, "c": 0}
    await client.unsubscribe(["b/#", "never"])
    await client.unsubscribe("c")
    assert client.subscriptions == {"a/+": 1}
    messages = client.messages()
    for topic in ("b/1", "c", "a/1"):
        await client.publish(topic, b"")
    assert (await anext(messages)).topic == "a/1"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client: client.publish("a/+", b""), "topic"),
        (lambda client: client.publish("a", b"", qos=3), "qos"),
        (lambda client: client.subscribe("a#"), "topic filter"),
        (lambda client: client.subscribe("a", qos=3), "qos"),
        (lambda client: client.subscribe([]), "filters"),
        (lambda client: client.unsubscribe(["a", "#/b"]), "topic filter"),
        (lambda client: client.retained("#"), "topic"),
        (lambda client: client.topic_info("#"), "topic"),
        (lambda client: client.set_retained("a", b""), "payload"),
        (
            lambda client: client.set_retained("indcloud/devices/a/telemetry", b"1"),
            "retain",
        ),
    ],
)
async def test_what_cannot_be_is_refused_before_it_is_sent(
    client: MQTTClient, call: Callable[[MQTTClient], Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        await call(client)
    assert caught.value.field == field
    assert client.is_connected
    assert client.statistics().total == Traffic()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "host"),
        ({"host": "h", "topic_prefix": "home"}, "topic_prefix"),
        ({"host": "h", "api_key": "x"}, "device token"),
        (
            {
                "brokers": [
                    Broker("h", "a"),
                    Broker("h", "b", topic_prefix="sensorvision"),
                ]
            },
            "brokers",
        ),
    ],
)
def test_client_that_cannot_work_is_not_made(
    arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        MQTTClient(**arguments)
    assert caught.value.field == field


def test_port_is_that_of_the_scheme() -> None:
    assert MQTTClient("h").brokers[0].port == 1883
    (secure,) = MQTTClient("h", tls=True).brokers
    assert secure.port == 8883
    assert secure.tls is not None
    assert secure.tls.check_hostname


async def test_subscription_that_the_broker_refuses_is_told(tmp_path: Path) -> None:
    """And the others are made; what is refused is not tried again."""
    broker = Mosquitto(
        tmp_path, ("allow_anonymous true", *reading_only(tmp_path, "mine/#"))
    )
    await broker.start()
    try:
        async with MQTTClient("127.0.0.1", broker.port) as client:
            with pytest.raises(SubscriptionError) as caught:
                await client.subscribe(["mine/a", "yours/a"])
            assert caught.value.filters == ("yours/a",)
            assert "yours/a" in str(caught.value)
            assert client.subscriptions == {"mine/a": 1}
            await client.publish("mine/a", b"1")
            assert (await anext(client.messages())).payload == b"1"
            health = await client.broker_health(timeout=SHORT)
            assert (health.is_up, health.round_trip_s) == (True, None)
    finally:
        await broker.stop()


async def test_everyone_who_reads_gets_what_their_filters_take_in(
    client: MQTTClient,
) -> None:
    """And the first of them what came before."""
    await client.subscribe("#")
    await client.publish("a", b"early")
    await client.publish("b", b"early")
    await eventually(lambda: client.statistics().total.received == 2)
    of_a, of_both = client.messages("a"), client.messages(["a", "b"])
    await client.publish("a", b"late")
    assert [(await anext(of_a)).payload for _ in range(2)] == [b"early", b"late"]
    assert [(await anext(of_both)).topic for _ in range(2)] == ["b", "a"]
    assert len(of_a) == len(of_both) == 0
    with pytest.raises(ValidationError):
        client.messages("a#")


async def test_where_too_much_waits_the_oldest_is_let_go_and_counted(
    client: MQTTClient,
) -> None:
    await client.subscribe("a")
    messages = client.messages(max_queued=2)
    for number in range(5):
        await client.publish("a", number)
    await eventually(lambda: client.statistics().total.received == 5)
    assert [(await anext(messages)).json() for _ in range(2)] == [3, 4]
    assert messages.dropped == client.statistics().dropped == 3


async def test_what_nobody_reads_is_bounded_too(mosquitto: Mosquitto) -> None:
    async with MQTTClient("127.0.0.1", mosquitto.port, max_queued=3) as client:
        await client.subscribe("#")
        for number in range(5):
            await client.publish("a", number)
        await eventually(lambda: client.statistics().total.received == 5)
        messages = client.messages()
        assert [(await anext(messages)).json() for _ in range(3)] == [2, 3, 4]
        assert client.statistics().dropped == 2
        assert messages.dropped == 0


async def test_who_reads_no_longer_is_forgotten(client: MQTTClient) -> None:
    """What comes then waits for the next."""
    await client.subscribe("a")
    messages = client.messages()
    del messages
    await client.publish("a", b"1")
    await eventually(lambda: client.statistics().total.received == 1)
    assert (await anext(client.messages())).payload == b"1"


async def test_reading_can_be_given_up_and_taken_up(client: MQTTClient) -> None:
    await client.subscribe("a")
    messages = client.messages()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(messages), SHORT)
    await client.publish("a", b"1")
    assert (await anext(messages)).payload == b"1"


async def test_two_may_take_turns_at_one_reader(client: MQTTClient) -> None:
    await client.subscribe("a")
    messages = client.messages()
    takers = [asyncio.create_task(anext(messages)) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await client.publish("a", number)
    taken = await asyncio.gather(*takers)
    assert sorted(message.json() for message in taken) == [0, 1, 2]


async def test_retained_message_is_set_and_read_and_deleted(
    client: MQTTClient,
) -> None:
    """Unseen by those who read."""
    await client.subscribe("a")
    messages = client.messages()
    assert await client.retained("a", timeout=SHORT) is None
    await client.set_retained("a", {"b": 1}, qos=2)
    kept = await client.retained("a", timeout=LONG)
    assert kept is not None
    assert (kept.json(), kept.is_retained) == ({"b": 1}, True)
    await client.delete_retained("a")
    assert await client.retained("a", timeout=SHORT) is None
    arrived = [(await anext(messages)).payload for _ in range(2)]
    assert arrived == [b'{"b":1}', b""]
    assert len(messages) == 0


async def test_telemetry_that_another_has_retained_can_be_deleted(
    client: MQTTClient, mosquitto: Mosquitto
) -> None:
    topic = "indcloud/devices/dev-a/telemetry"
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as another:
        await another.publish(topic, b"{}", qos=1, retain=True)
    assert await client.retained(topic, timeout=LONG) is not None
    await client.delete_retained(topic)
    assert await client.retained(topic, timeout=SHORT) is None


async def test_batch_says_of_each_message_what_became_of_it(
    client: MQTTClient,
) -> None:
    """In the order given, also beyond what may be in flight."""
    await client.subscribe("a/#", qos=2)
    messages = client.messages()
    items = [Outgoing("a/1", number, number % 3) for number in range(500)]
    batch = await client.publish_batch([*items, ("a/+", 1), ("a/2", object())])
    assert (batch.delivered, batch.failed, batch.not_sent) == (500, 2, 0)
    assert [result.id for result in batch.failures] == ["500", "501"]
    assert all(isinstance(each.error, ValidationError) for each in batch.failures)
    assert batch[3].message is items[3]
    arrived = [(await anext(messages)).json() for _ in range(500)]
    assert sorted(arrived) == list(range(500))
    # MQTT orders messages of the same quality of service (3.1.1, 4.6).
    of_one = [number for number in arrived if number % 3 == 1]
    assert of_one == sorted(of_one)
    assert client.statistics().total.sent == 500


async def test_no_message_of_any_quality_of_service_is_lost(client: MQTTClient) -> None:
    """Mosquitto acknowledges many of QoS 2 at once, and forgets some of them."""
    await client.subscribe("a", qos=2)
    batch = await client.publish_batch([Outgoing("a", n, 2) for n in range(200)])
    assert batch.is_complete
    await eventually(lambda: client.statistics().total.received == 200)


async def test_batch_can_end_at_its_first_error(client: MQTTClient) -> None:
    items = [("a", 1), ("#", 2), ("a", 3)]
    batch = await client.publish_batch(items, stop_on_first_error=True)
    assert (batch.delivered, batch.failed, batch.not_sent) == (1, 1, 1)
    assert not batch.by_id("2").is_tried
    everything = await client.publish_batch(items)
    assert (everything.delivered, everything.not_sent) == (2, 0)


async def test_batch_ends_in_time(client: MQTTClient, mosquitto: Mosquitto) -> None:
    """What is on its way by then may arrive; the rest was not tried."""
    mosquitto.freeze()
    items = [("a", number) for number in range(300)]
    batch = await client.publish_batch(items, timeout=SHORT)
    assert (batch.delivered, batch.failed, batch.not_sent) == (0, 200, 100)
    error = batch.failures[0].error
    assert isinstance(error, RequestTimeoutError)
    assert error.may_have_arrived
    mosquitto.thaw()


async def test_batch_without_a_session_fails_and_raises_nothing(
    mosquitto: Mosquitto,
) -> None:
    client = MQTTClient("127.0.0.1", mosquitto.port)
    batch = await client.publish_batch([("a", 1), Outgoing("a", 2, id="x")])
    assert batch.failed == 2
    assert isinstance(batch.by_id("x").error, NetworkError)
    assert client.statistics().total == Traffic(failed=2)


async def test_batch_that_is_cancelled_leaves_nothing_behind(
    client: MQTTClient, mosquitto: Mosquitto
) -> None:
    mosquitto.freeze()
    batch = asyncio.create_task(client.publish_batch([("a", 1), ("a", 2)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    mosquitto.thaw()
    await client.publish("a", b"3")
    assert client.statistics().total.sent == 1


@pytest.mark.parametrize(
    "error", [LookupError("It is a bug"), asyncio.CancelledError()]
)
async def test_what_is_no_error_of_ours_is_no_result(error: BaseException) -> None:
    """But ends the batch, as the end of its loop does."""

    async def fail(_message: Outgoing) -> None:
        raise error

    with pytest.raises(type(error)):
        await publish_all(
            fail,
            [("a", 1)],
            max_in_flight=1,
            stop_on_first_error=False,
            timeout_s=None,
        )


async def test_topics_are_those_that_this_client_has_seen(client: MQTTClient) -> None:
    await client.subscribe("b/#")
    await client.publish("a", b"123")
    await client.set_retained("b/c", b"4")
    await eventually(lambda: client.statistics().total.received == 1)
    assert [info.topic for info in client.topics()] == ["a", "b/c"]
    (of_b,) = client.topics("b/+")
    assert of_b.traffic == Traffic(sent=1, received=1, bytes_sent=1, bytes_received=1)
    assert of_b.last_at is not None
    assert of_b.retained_bytes is None
    assert (await client.topic_info("b/c", timeout=LONG)).retained_bytes == 1
    unseen = await client.topic_info("c", timeout=SHORT)
    assert (unseen.traffic, unseen.last_at, unseen.retained_bytes) == (
        Traffic(),
        None,
        0,
    )
    told = await client.topic_info("$SYS/broker/version", timeout=LONG)
    assert told.retained_bytes


async def test_what_a_broker_that_is_away_keeps_is_unknown() -> None:
    client = MQTTClient("127.0.0.1", free_port())
    assert (await client.topic_info("a")).retained_bytes is None
    with pytest.raises(NetworkError):
        await client.retained("a")


async def test_health_of_the_broker_is_what_it_tells(
    client: MQTTClient, mosquitto: Mosquitto
) -> None:
    health = await client.broker_health(timeout=LONG)
    while health.uptime_s is None or not health.messages_received:
        health = await client.broker_health(timeout=LONG)
    assert health.is_up
    assert health.problem is None
    assert health.broker == f"127.0.0.1:{mosquitto.port}"
    assert (health.version or "").startswith("mosquitto version")
    assert health.clients_connected == 2
    assert health.subscriptions is not None
    assert health.retained_messages is not None
    assert health.messages_sent is not None
    assert health.connect_s is not None
    assert health.round_trip_s is not None
    assert health.figures["$SYS/broker/uptime"].endswith("seconds")
    assert client.topics() == []


async def test_health_of_a_broker_that_tells_nothing_is_unknown(
    tmp_path: Path,
) -> None:
    """But for its answering."""
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite sensorvision/health/#\n")
    broker = Mosquitto(tmp_path, ("allow_anonymous true", f"acl_file {rules}"))
    await broker.start()
    try:
        client = MQTTClient("127.0.0.1", broker.port)
        health = await client.broker_health(timeout=2)
        assert health.is_up
        assert health.round_trip_s is not None
        assert (health.version, health.uptime_s, health.figures) == (None, None, {})
    finally:
        await broker.stop()


async def test_health_of_a_broker_that_is_away_says_why() -> None:
    port = free_port()
    health = await MQTTClient("127.0.0.1", port).broker_health()
    assert not health.is_up
    assert "failed" in (health.problem or "")
    assert health.connect_s is None


async def test_statistics_are_kept_by_device(client: MQTTClient) -> None:
    await client.subscribe("+/devices/+/commands")
    await client.publish("indcloud/devices/dev-a/commands", b"12")
    await client.publish("indcloud/devices/broadcast/commands", b"3")
    await client.stream_data("a.b", {"t": 1})
    await eventually(lambda: client.statistics().total.received == 2)
    statistics = client.statistics()
    assert statistics.devices["dev-a"] == Traffic(1, 1, 0, 2, 2)
    assert statistics.devices["a.b"].sent == 1
    assert set(statistics.devices) == {"dev-a", "a.b"}
    assert (statistics.total.sent, statistics.total.bytes_received) == (3, 3)
    statistics.total.sent = 0
    assert client.statistics().total.sent == 3


def test_topics_that_were_not_heard_of_for_longest_are_forgotten() -> None:
    counter = Counter()
    counter.count_received(Message("first", b""))
    for number in range(MAX_REMEMBERED):
        counter.count_received(Message(f"topic/{number}", b""))
    topics = {info.topic for info in counter.topics()}
    assert len(topics) == MAX_REMEMBERED
    assert "first" not in topics
    assert counter.total.received == MAX_REMEMBERED + 1


async def test_publishing_in_vain_ends_the_session_and_it_begins_again(
    mosquitto: Mosquitto,
) -> None:
    hasty = Timeouts(connect_s=2, read_s=SHORT)
    async with MQTTClient("127.0.0.1", mosquitto.port, timeouts=hasty) as client:
        mosquitto.freeze()
        with pytest.raises(NetworkError) as caught:
            await client.publish("a", b"1")
        assert caught.value.may_have_arrived
        assert client.statistics().total == Traffic(failed=1)
        await eventually(lambda: not client.is_connected)
        mosquitto.thaw()
        await client.wait_connected(LONG)
        assert client.statistics().reconnects == 1
