"""Telemetry over MQTT reaches the server, and the server's commands reach the device."""

import asyncio
from collections.abc import AsyncIterator
import datetime as dt
import json

from aiohttp import ClientSession
import pytest

from custom_components.sensorvision.client import NetworkError, ValidationError
from custom_components.sensorvision.client.mqtt_client import MQTTClient
from custom_components.sensorvision.client.mqtt_messages import Command
from custom_components.sensorvision.client.topics import command_topics
from sandbox import Mode, Sandbox, Settings
from sandbox.fixtures import ALICE_KEY
from tests.brokers import Mosquitto, free_port

from .servers import TOKEN, eventually

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


@pytest.fixture
async def server(mosquitto: Mosquitto) -> AsyncIterator[Sandbox]:
    """Run a server that takes telemetry from the broker."""
    settings = Settings(fixtures="contract", broker=mosquitto.url)
    async with Sandbox(settings) as running:
        yield running


@pytest.fixture
async def client(mosquitto: Mosquitto) -> AsyncIterator[MQTTClient]:
    """Connect a device."""
    async with MQTTClient("127.0.0.1", mosquitto.port, api_key=TOKEN) as connected:
        yield connected


async def test_telemetry_is_stored_with_its_time(
    server: Sandbox, client: MQTTClient
) -> None:
    await client.stream_data("dev-a", {"t": 21.5, "h": 48}, NOON)
    await eventually(lambda: server.store.values("dev-a", "h"))
    (value,) = server.store.values("dev-a", "t")
    assert (float(value.value), value.timestamp) == (21.5, NOON)
    assert client.statistics().devices["dev-a"].sent == 1


async def test_telemetry_goes_with_the_token_of_its_device(
    server: Sandbox, mosquitto: Mosquitto
) -> None:
    """Else the server takes none of it."""
    async with MQTTClient("127.0.0.1", mosquitto.port) as client:
        await client.stream_data("dev-a", {"t": 1})
        await client.stream_data("dev-a", {"t": 2}, token=TOKEN)
        await eventually(lambda: server.store.values("dev-a", "t"))
    (value,) = server.store.values("dev-a", "t")
    assert float(value.value) == 2


async def test_telemetry_can_be_batched(server: Sandbox, client: MQTTClient) -> None:
    batch = await client.publish_batch(
        client.telemetry("dev-a", {"t": n}, NOON + dt.timedelta(seconds=n))
        for n in range(300)
    )
    assert batch.is_complete
    await eventually(lambda: len(server.store.values("dev-a", "t")) == 300)


async def test_older_server_is_reached_by_its_prefix(mosquitto: Mosquitto) -> None:
    settings = Settings(
        fixtures="contract",
        broker=mosquitto.url,
        modes=frozenset({Mode.NO_CONNECTIVITY}),
    )
    async with (
        Sandbox(settings) as server,
        MQTTClient(
            "127.0.0.1", mosquitto.port, topic_prefix="sensorvision", api_key=TOKEN
        ) as client,
    ):
        await client.stream_data("dev-a", {"t": 1}, NOON)
        await eventually(lambda: server.store.values("dev-a", "t"))


async def test_telemetry_is_not_retained(client: MQTTClient) -> None:
    message = client.telemetry("dev-a", {"t": 1})
    assert not message.retain
    await client.stream_data("dev-a", {"t": 1}, qos=0)
    assert await client.retained(message.topic, timeout=0.2) is None


async def test_telemetry_that_the_server_would_drop_is_refused(
    client: MQTTClient,
) -> None:
    for device_id, variables in (("a/b", {"t": 1}), ("a", {}), ("a", {"t": True})):
        with pytest.raises(ValidationError):
            await client.stream_data(device_id, variables)
    with pytest.raises(ValidationError):
        await client.stream_data("a", {"t": 1}, NOON.replace(tzinfo=None))
    with pytest.raises(ValidationError) as caught:
        await client.stream_data("a", {"t": 1}, token="half-a-secret")
    assert "half-a-secret" not in str(caught.value)
    assert client.statistics().total.sent == 0


async def test_commands_of_the_server_arrive(
    server: Sandbox, client: MQTTClient
) -> None:
    commands = client.commands("dev-a")
    first = asyncio.ensure_future(anext(commands))
    own, broadcast = command_topics("indcloud", "dev-a")
    await eventually(lambda: client.subscriptions == {own: 1, broadcast: 1})
    before = dt.datetime.now(dt.UTC)
    async with ClientSession() as session:
        answer = await session.post(
            f"{server.url}/api/v1/devices/dev-a/commands/set-value",
            json={"variable": "interval_s", "value": 5},
            headers={"X-API-Key": ALICE_KEY},
        )
        assert answer.status == 200
    command = await first
    assert (command.device_id, command.command) == ("dev-a", "set_value")
    assert command.payload["variable"] == "interval_s"
    assert not command.is_broadcast
    assert command.timestamp is not None
    assert abs(command.timestamp - before) < dt.timedelta(minutes=1)
    await client.publish(broadcast, {"command": "blink"})
    assert await anext(commands) == Command("dev-a", "blink", is_broadcast=True)


async def test_command_before_the_first_step_waits_where_it_is_subscribed_to(
    client: MQTTClient,
) -> None:
    own, _ = command_topics("indcloud", "dev-a")
    await client.subscribe(own)
    await client.publish(own, {"command": "early"})
    assert (await anext(client.commands("dev-a"))).command == "early"


async def test_what_is_no_command_is_skipped_and_counted(client: MQTTClient) -> None:
    """As is what the broker had kept, and what comes a second time."""
    own, _ = command_topics("indcloud", "dev-a")
    await client.set_retained(own, {"command": "kept"})
    commands = client.commands("dev-a")
    first = asyncio.ensure_future(anext(commands))
    await eventually(lambda: client.statistics().commands_skipped == 1)
    on = json.dumps({"command": "on", "timestamp": "2026-01-02T12:00:00Z"})
    await client.publish(own, b"nonsense")
    await client.publish(own, on)
    assert (await first).command == "on"
    await client.publish(own, on)
    await client.publish(own, {"command": "toggle"})
    await client.publish(own, {"command": "toggle"})
    # Without a time two that are alike are two.
    assert [(await anext(commands)).command for _ in range(2)] == ["toggle"] * 2
    assert client.statistics().commands_skipped == 3


async def test_commands_go_on_after_a_lost_session(
    client: MQTTClient, mosquitto: Mosquitto
) -> None:
    own, _ = command_topics("indcloud", "dev-a")
    commands = client.commands("dev-a")
    first = asyncio.ensure_future(anext(commands))
    await eventually(lambda: own in client.subscriptions)
    await mosquitto.kill()
    await eventually(lambda: not client.is_connected)
    await mosquitto.start()
    await client.wait_connected(20)
    await client.publish(own, {"command": "on"})
    assert (await first).command == "on"


async def test_waiting_for_commands_can_be_given_up_and_taken_up(
    client: MQTTClient,
) -> None:
    own, _ = command_topics("indcloud", "dev-a")
    commands = client.commands("dev-a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(commands), 0.2)
    await client.publish(own, {"command": "on"})
    assert (await anext(commands)).command == "on"


async def test_commands_without_a_session_are_an_error() -> None:
    client = MQTTClient("127.0.0.1", free_port())
    with pytest.raises(NetworkError):
        await anext(client.commands("dev-a"))
    with pytest.raises(ValidationError):
        client.commands("a/b")
