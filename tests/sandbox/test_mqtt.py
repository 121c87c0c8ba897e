"""Readings and commands over a real broker."""

import asyncio
from collections.abc import AsyncGenerator
import json
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import pytest

from sandbox import Mode, Sandbox, Settings

from .conftest import DEV_A_TOKEN, JSON_TYPE, Client, eventually
from .wire import send

_TOPIC = "indcloud/devices/anything/telemetry"
_OLD_TOPIC = "sensorvision/devices/anything/telemetry"


@pytest.fixture
async def linked(mosquitto: str) -> AsyncGenerator[Sandbox]:
    """Run a sandbox that listens on Mosquitto."""
    async with Sandbox(Settings(fixtures="contract", broker=mosquitto)) as running:
        yield running


def _connect(url: str | None) -> aiomqtt.Client:
    """Return a client of a broker."""
    address = urlsplit(url or "")
    assert address.hostname is not None
    return aiomqtt.Client(address.hostname, address.port or 0)


def _message(**changes: object) -> dict[str, Any]:
    """Return a good message of dev-a, with changes."""
    good = {"deviceId": "dev-a", "apiToken": DEV_A_TOKEN, "variables": {"t": 1.5}}
    return {**good, **changes}


async def _publish(sandbox: Sandbox, payload: object, topic: str = _TOPIC) -> None:
    """Publish a message and wait until the server has dealt with it."""
    link = sandbox.context.mqtt
    assert link is not None
    seen = link.received
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    async with _connect(sandbox.mqtt_url) as client:
        await client.publish(topic, body, qos=1)
        await eventually(lambda: link.received > seen)


async def test_reading_arrives_with_its_own_time(linked: Sandbox) -> None:
    """The topic's middle level means nothing."""
    await _publish(linked, _message(timestamp="2026-01-01T00:00:00.5+01:00"))
    (row,) = linked.store.values("dev-a")
    assert row.value * 10 == 15
    assert row.timestamp.isoformat() == "2025-12-31T23:00:00.500000+00:00"


@pytest.mark.parametrize(
    ("timestamp", "stored"),
    [
        ("2026-01-01T10:30", "2026-01-01T10:30:00+00:00"),
        ("2026-01-01T10:30:01.25", "2026-01-01T10:30:01.250000+00:00"),
        ("2026-01-01 10:30:00", None),
        (1767225600, None),
        ("yesterday", None),
    ],
)
async def test_time_that_cannot_be_read_is_the_servers(
    linked: Sandbox, timestamp: object, stored: str | None
) -> None:
    """A time without a zone is UTC; anything else is no error."""
    await _publish(linked, _message(timestamp=timestamp))
    (row,) = linked.store.values("dev-a")
    if stored is not None:
        assert row.timestamp.isoformat() == stored
    else:
        assert abs(row.timestamp.timestamp() - linked.clock.now_s()) < 10


async def test_only_numbers_are_kept(linked: Sandbox) -> None:
    """What is no number is left out without a word."""
    variables = {"a": 1, "b": "2", "c": True, "d": None, "e": [3], "f": -4.5}
    await _publish(linked, _message(variables=variables, metadata={"location": "Hall"}))
    assert {row.variable for row in linked.store.values("dev-a")} == {"a", "f"}
    device = linked.store.device("dev-a")
    assert device is not None
    assert device.location == "Hall"


@pytest.mark.parametrize("variables", [{}, {"a": "1"}, None, [1]])
async def test_message_without_numbers_is_a_heartbeat(
    linked: Sandbox, variables: object
) -> None:
    """The device is online, and a record of zeros is written."""
    linked.store.connection.execute("UPDATE devices SET status = 'OFFLINE'")
    linked.store.forget_lookups()
    await _publish(linked, _message(variables=variables, metadata=5))
    device = linked.store.device("dev-a")
    assert device is not None
    assert device.status == "ONLINE"
    assert len(linked.store.rows("SELECT * FROM telemetry_records")) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'{"deviceId":"dev-a","apiToken":"%s","variables":{"t":1e400}}'
        % DEV_A_TOKEN.encode(),
        _message(deviceId=" "),
        _message(deviceId=None),
        _message(deviceId={}),
        _message(deviceId="dev-a2"),
        _message(deviceId="nobody"),
        _message(apiToken=None),
        _message(apiToken="99999999-9999-4999-8999-999999999999"),
        _message(variables={"t": 1e14}),
        _message(metadata={"location": 5}),
    ],
)
async def test_bad_message_is_dropped_as_a_whole(
    linked: Sandbox, payload: object
) -> None:
    """A token is good for its own device alone, and nothing is created."""
    before = linked.store.devices()
    await _publish(linked, payload)
    assert linked.store.rows("SELECT * FROM telemetry_records") == []
    assert linked.store.devices() == before
    link = linked.context.mqtt
    assert link is not None
    assert link.dropped == 1


async def test_without_device_auth_any_id_is_taken(mosquitto: str) -> None:
    """New devices land in the default organisation; a number is an id too."""
    settings = Settings(fixtures="contract", broker=mosquitto, mqtt_auth=False)
    async with Sandbox(settings) as sandbox:
        await _publish(sandbox, {"deviceId": 7, "variables": {"t": 1}})
        device = sandbox.store.device("7")
        assert device is not None
        name = sandbox.store.rows(
            "SELECT name FROM organizations WHERE id = ?", device.organization_id
        )[0]["name"]
        assert name == "Default Organization"


async def test_old_server_listens_on_the_old_topic(linked: Sandbox) -> None:
    """The other topic is ignored without a word, before and after the renaming."""
    modes = '{"modes":["no_connectivity"]}'
    await send(linked.url, "PUT", "/_sandbox/modes", JSON_TYPE, modes)
    async with _connect(linked.mqtt_url) as client:
        await client.publish(_TOPIC, json.dumps(_message(variables={"lost": 1})), qos=1)
    await _publish(linked, _message(), _OLD_TOPIC)
    assert [row.variable for row in linked.store.values("dev-a")] == ["t"]


async def test_broker_that_is_down_cannot_be_reached(linked: Sandbox) -> None:
    """Nothing arrives until the fault is cleared."""
    linked.faults.set("broker_down")
    status = await send(linked.url, "GET", "/api/v1/connectivity/mqtt")
    assert status.json()["status"] == "unreachable"
    async with _connect(linked.mqtt_url) as client:
        assert linked.context.mqtt is not None
        await linked.context.mqtt.settle()
        await client.publish(_TOPIC, json.dumps(_message(variables={"lost": 1})), qos=1)
    await send(linked.url, "DELETE", "/_sandbox/faults")
    await _publish(linked, _message())
    assert [row.variable for row in linked.store.values("dev-a")] == ["t"]


@pytest.mark.parametrize(
    ("path", "body", "command", "payload", "message"),
    [
        (
            "",
            {"command": "blink", "payload": [1, None]},
            "blink",
            [1, None],
            "Command sent successfully",
        ),
        ("", {"command": "blink"}, "blink", None, "Command sent successfully"),
        (
            "/toggle",
            {"target": "led"},
            "toggle",
            {"target": "led"},
            "Toggle command sent",
        ),
        ("/toggle", {}, "toggle", {"target": "default"}, "Toggle command sent"),
        (
            "/set-value",
            {"variable": "fan", "value": 2.5},
            "set_value",
            {"variable": "fan", "value": 2.5},
            "Set value command sent",
        ),
    ],
)
async def test_command_reaches_the_device(
    linked: Sandbox,
    path: str,
    body: object,
    command: str,
    payload: object,
    message: str,
) -> None:
    """It is published once, not retained."""
    async with _connect(linked.mqtt_url) as device:
        await device.subscribe("indcloud/devices/dev-a/commands", qos=1)
        reply = await Client(linked).user(
            "POST", f"/api/v1/devices/dev-a/commands{path}", body
        )
        assert reply.json() == {"success": True, "message": message}
        async with asyncio.timeout(5):
            arrived = await anext(aiter(device.messages))
    sent = json.loads(bytes(arrived.payload))
    assert (sent["command"], sent["payload"]) == (command, payload)
    assert list(sent) == ["command", "payload", "timestamp"]
    assert (arrived.qos, arrived.retain) == (1, False)


async def test_command_that_cannot_be_sent_says_why(linked: Sandbox) -> None:
    """Unknown and foreign devices, and a broker that is down."""
    client, body = Client(linked), {"command": "x"}
    unknown = await client.user("POST", "/api/v1/devices/nobody/commands", body)
    assert unknown.status == 500
    assert (
        unknown.json()["message"] == "Failed to send command: Device not found: nobody"
    )
    foreign = await client.user("POST", "/api/v1/devices/dev-b/commands", body)
    assert (foreign.status, foreign.json()["success"]) == (403, False)
    linked.faults.set("broker_down")
    assert linked.context.mqtt is not None
    await linked.context.mqtt.settle()
    down = await client.user("POST", "/api/v1/devices/dev-a/commands", body)
    assert (
        down.json()["message"] == "Failed to send command: MQTT client is not connected"
    )


async def test_embedded_broker_carries_a_reading_and_can_be_stopped() -> None:
    """It needs nothing installed, and comes back on its port."""
    async with Sandbox(Settings(fixtures="contract", broker="embedded")) as sandbox:
        await _publish(sandbox, _message())
        assert len(sandbox.store.values("dev-a")) == 1
        link = sandbox.context.mqtt
        assert link is not None
        sandbox.faults.set("broker_down")
        await link.settle()
        with pytest.raises(aiomqtt.MqttError):
            async with _connect(sandbox.mqtt_url):
                pass
        sandbox.faults.clear()
        await link.settle()
        await _publish(sandbox, _message())
        assert len(sandbox.store.values("dev-a")) == 2


async def test_broker_that_is_not_there_does_not_hold_up_the_start() -> None:
    """HTTP works without it, and a command fails."""
    settings = Settings(fixtures="contract", broker="mqtt://127.0.0.1:1")
    async with Sandbox(settings) as sandbox:
        assert (await Client(sandbox).ingest("dev-a", '{"t":1}')).status == 200
        reply = await send(sandbox.url, "GET", "/api/v1/connectivity/mqtt")
        assert reply.json()["reachable"] is False


def test_address_of_a_broker_must_be_an_mqtt_url() -> None:
    """The error says how to write it."""
    with pytest.raises(ValueError, match="mqtt://HOST:PORT"):
        Settings(broker="localhost:1883")


async def test_modes_that_are_older_than_the_renaming_change_the_topics(
    mosquitto: str,
) -> None:
    """A mode given at the start counts at once."""
    settings = Settings(
        fixtures="contract", broker=mosquitto, modes=frozenset({Mode.BEFORE_2025_11_22})
    )
    async with Sandbox(settings) as sandbox:
        await _publish(sandbox, _message(), _OLD_TOPIC)
        assert len(sandbox.store.values("dev-a")) == 1
