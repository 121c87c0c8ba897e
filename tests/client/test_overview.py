"""A client tells how server and devices are, and passes commands on."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
from typing import Any, cast

import aiomqtt
import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    AuthenticationError,
    CapabilityError,
    DeviceError,
    DeviceStatus,
    Health,
    NotSensorVisionError,
    PermissionDeniedError,
    RateLimit,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD
from tests.brokers import Mosquitto

from .both_clients import ClientClass, both_clients
from .servers import TOKEN, http_answer, scripted

type Client = AsyncSensorVisionClient

HEALTH = "/actuator/health"
ALICE: dict[str, Any] = {"username": "alice", "password": ALICE_PASSWORD}
OFTEN: dict[str, Any] = {"retry": RetryPolicy.off(), "rate_limit": RateLimit.off()}


@pytest.fixture(params=both_clients.args[1], ids=["async", "sync"])
def client_class(request: pytest.FixtureRequest) -> ClientClass:
    """Return one client's class, and then the other's."""
    return cast("ClientClass", request.param)


@pytest.fixture
async def account(sandbox: Sandbox, client_class: ClientClass) -> AsyncIterator[Client]:
    """Open a client with alice's password."""
    async with client_class(
        sandbox.url, **ALICE, **OFTEN, clock=sandbox.clock.now_s
    ) as client:
        yield client


async def test_health_is_told_without_a_credential(
    sandbox: Sandbox, account: Client
) -> None:
    assert await account.health() == Health(True, "UP", {})
    (asked,) = sandbox.requests
    assert asked.path == HEALTH
    assert not {"x-api-key", "authorization"} & {name.lower() for name in asked.headers}


async def test_server_that_calls_itself_down_has_answered_all_the_same(
    client_class: ClientClass,
) -> None:
    body = {
        "status": "DOWN",
        "components": {"db": {"status": "UP"}, "mail": {"status": "DOWN"}, "odd": 1},
    }
    async with (
        scripted(http_answer(503, json.dumps(body).encode())) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        health = await client.health()
    assert health == Health(False, "DOWN", {"db": "UP", "mail": "DOWN"})


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"<html>", ServerError),
        (200, b"<html>", NotSensorVisionError),
        (200, b"[]", NotSensorVisionError),
        (200, b'{"status":200}', NotSensorVisionError),
        (401, b'{"status":401}', AuthenticationError),
        (200, b"[" * 100_000, NotSensorVisionError),
    ],
)
async def test_what_is_no_health_is_an_error(
    client_class: ClientClass, status: int, body: bytes, error: type[Exception]
) -> None:
    async with (
        scripted(http_answer(status, body)) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        with pytest.raises(error):
            await client.health()


@pytest.mark.parametrize(
    ("credential", "can"),
    [
        ({"api_key": TOKEN}, (False, False, False)),
        ({"api_key": ALICE_KEY}, (True, True, False)),
        ({"user_key": ALICE_KEY}, (True, True, False)),
        (ALICE, (True, True, True)),
    ],
)
async def test_capabilities_are_looked_up_once_within_their_lifetime(
    sandbox: Sandbox,
    client_class: ClientClass,
    credential: dict[str, Any],
    can: tuple[bool, bool, bool],
) -> None:
    async with client_class(
        sandbox.url,
        **credential,
        **OFTEN,
        cache_lifetime_s=60,
        clock=sandbox.clock.now_s,
    ) as client:
        found = await client.capabilities()
        assert (found.timestamps, found.create_devices, found.read_back) == can
        before = len(sandbox.requests)
        sandbox.clock.advance(59)
        assert await client.capabilities() is found
        assert len(sandbox.requests) == before
        sandbox.clock.advance(2)
        assert await client.capabilities() == found
        assert len(sandbox.requests) > before
    assert {device.external_id for device in sandbox.store.devices()} == {
        "dev-a",
        "dev-a2",
        "dev-b",
    }


async def test_probe_spares_looking_up_the_capabilities(
    sandbox: Sandbox, account: Client
) -> None:
    probe = await account.probe("dev-a")
    before = len(sandbox.requests)
    assert await account.capabilities() == probe.capabilities
    assert len(sandbox.requests) == before


async def test_status_of_a_device_is_asked_anew_each_time(
    sandbox: Sandbox, account: Client
) -> None:
    await account.register_device("lamp", name="Lamp")
    assert await account.device_status("lamp") == DeviceStatus(
        "lamp", "UNKNOWN", None, True, None
    )
    await account.send_data("lamp", {"a": 1})
    status = await account.device_status("lamp")
    assert status.is_online
    assert status.last_seen_at == (await account.device("lamp")).last_seen_at
    assert status.last_seen_at is not None
    sandbox.clock.advance(3700)
    await account.devices()
    assert not (await account.device_status("lamp")).is_online


async def test_id_of_a_device_in_the_database_is_looked_up_once_within_its_lifetime(
    sandbox: Sandbox, account: Client
) -> None:
    await account.send_data("dev-a", {"a": 1})
    assert await account.latest_values("dev-a") == {"a": 1}
    before = len(sandbox.requests)
    assert await account.latest_values("dev-a") == {"a": 1}
    assert [each.name for each in await account.variables("dev-a")] == ["a"]
    assert len(sandbox.requests) == before + 2
    sandbox.clock.advance(601)
    await account.latest_values("dev-a")
    assert len(sandbox.requests) == before + 4


async def test_device_that_was_made_anew_is_found_under_its_new_id(
    sandbox: Sandbox, account: Client
) -> None:
    await account.register_device("lamp")
    assert await account.latest_values("lamp") == {}
    old = sandbox.store.device("lamp")
    assert old
    sandbox.store.delete_device(old)
    async with AsyncSensorVisionClient(sandbox.url, **ALICE) as other:
        await other.send_data("lamp", {"a": 2})
    assert await account.latest_values("lamp") == {"a": 2}


async def test_device_that_was_removed_is_forgotten(
    sandbox: Sandbox, account: Client
) -> None:
    await account.register_device("lamp")
    await account.latest_values("lamp")
    await account.unregister_device("lamp")
    with pytest.raises(DeviceError):
        await account.latest_values("lamp")
    assert "variables" not in sandbox.requests[-1].path
    result = await account.send_batch([{"device_id": "lamp", "variables": {"a": 1}}])
    assert result.is_complete
    assert await account.latest_values("lamp") == {"a": 1}


@pytest.mark.parametrize("credential", [ALICE, {"user_key": ALICE_KEY}])
async def test_command_reaches_the_device(
    tmp_path: Path, client_class: ClientClass, credential: dict[str, Any]
) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        async with (
            Sandbox(Settings(fixtures="contract", broker=broker.url)) as sandbox,
            aiomqtt.Client("127.0.0.1", broker.port) as device,
            client_class(sandbox.url, **credential, **OFTEN) as client,
        ):
            await device.subscribe("+/devices/dev-a/commands", qos=1)
            await client.send_command("dev-a", "dim", {"to": [1, 2.5, None, "x"]})
            message = await anext(aiter(device.messages))
            assert isinstance(message.payload, bytes)
            told = json.loads(message.payload)
            assert (told["command"], told["payload"]) == (
                "dim",
                {"to": [1, 2.5, None, "x"]},
            )
    finally:
        await broker.stop()


async def test_command_that_can_not_be_passed_on_says_why(account: Client) -> None:
    with pytest.raises(ServerError, match="MQTT is off"):
        await account.send_command("dev-a", "dim")
    with pytest.raises(PermissionDeniedError):
        await account.send_command("dev-b", "dim")
    with pytest.raises(DeviceError, match="Device not found: nobody"):
        await account.send_command("nobody", "dim")


@pytest.mark.parametrize(
    ("device_id", "command", "payload", "field"),
    [
        ("a/b", "dim", None, "device id"),
        ("dev-a", "", None, "command"),
        ("dev-a", 7, None, "command"),
        ("dev-a", "dim", {1, 2}, "payload"),
        ("dev-a", "dim", float("nan"), "payload"),
    ],
)
async def test_what_is_no_command_is_refused_before_anything_is_sent(
    sandbox: Sandbox,
    account: Client,
    device_id: str,
    command: str,
    payload: object,
    field: str,
) -> None:
    with pytest.raises(ValidationError) as caught:
        await account.send_command(device_id, command, payload)
    assert caught.value.field == field
    assert not sandbox.requests


async def test_device_token_sends_no_commands(
    sandbox: Sandbox, client: AsyncSensorVisionClient
) -> None:
    with pytest.raises(CapabilityError):
        await client.send_command("dev-a", "dim")
    assert all("commands" not in asked.path for asked in sandbox.requests)
