"""A client of a broker stays connected whatever happens, and says so when it does not."""

import asyncio
from collections.abc import AsyncIterator
import logging
from pathlib import Path
import signal
import ssl
import sys
from typing import Any

import pytest
import trustme

from custom_components.sensorvision.client import (
    BrokerLoginError,
    CertificateError,
    ConfigError,
    NetworkError,
    RequestTimeoutError,
    RetryPolicy,
    Timeouts,
    ValidationError,
    load_config,
    mqtt_connection,
)
from custom_components.sensorvision.client.broker import Broker
from custom_components.sensorvision.client.mqtt_client import MQTTClient
from custom_components.sensorvision.client.mqtt_messages import Outgoing, Will
from custom_components.sensorvision.client.mqtt_status import MqttStatus
from tests.brokers import PASSWORD, Mosquitto, free_port

from .servers import TOKEN, eventually
from .test_mqtt_client import LONG, reading_only

WRONG = "another-that-is-wrong"
SWIFT = RetryPolicy(attempts=sys.maxsize, first_delay_s=0.01, max_delay_s=0.05)
noted_attempts: list[int] = []
ROOT = Path(__file__).parents[2]


async def lost(client: MQTTClient) -> None:
    """Wait until a client knows that its session has ended."""
    await eventually(lambda: not client.is_connected)


async def test_session_is_replaced_with_its_subscriptions_when_the_broker_returns(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that it is away, and once that it is back."""
    caplog.set_level(logging.INFO)
    told: list[MqttStatus] = []
    async with MQTTClient(
        "127.0.0.1", mosquitto.port, reconnect=SWIFT, on_status=told.append
    ) as client:
        await client.subscribe(["a", "b/#"], qos=2)
        messages = client.messages()
        for number in range(2):
            await mosquitto.kill()
            await lost(client)
            assert client.status.state == "reconnecting"
            assert "has ended" in (told[-1].problem or "") or told[-1].problem
            with pytest.raises(NetworkError, match="no session"):
                await client.publish("a", b"never")
            with pytest.raises(NetworkError, match="no session"):
                await client.subscribe("c")
            await mosquitto.start()
            await client.wait_connected(LONG)
            await client.publish("b/1", number)
            assert (await anext(messages)).json() == number
        assert client.subscriptions == {"a": 2, "b/#": 2}
        statistics = client.statistics()
        assert (statistics.sessions, statistics.reconnects) == (3, 2)
        assert statistics.total.failed == 2
    lines = [record.getMessage() for record in caplog.records]
    assert sum("is away" in line for line in lines) == 2
    assert sum("again" in line for line in lines) == 2


async def test_what_was_on_its_way_when_the_broker_was_killed_may_have_arrived(
    mosquitto: Mosquitto,
) -> None:
    async with MQTTClient("127.0.0.1", mosquitto.port, reconnect=SWIFT) as client:
        mosquitto.freeze()
        items = [("a", number) for number in range(50)]
        batch = asyncio.create_task(client.publish_batch(items))
        await asyncio.sleep(0)
        await mosquitto.kill()
        done = await batch
        assert done.failed == 50
        for failure in done.failures:
            assert isinstance(failure.error, NetworkError)
            assert failure.error.may_have_arrived


async def test_reconnecting_can_be_switched_off(mosquitto: Mosquitto) -> None:
    """Who reads is told so then."""
    client = MQTTClient("127.0.0.1", mosquitto.port, reconnect=RetryPolicy.off())
    await client.connect()
    messages = client.messages()
    reading = asyncio.create_task(anext(messages))
    await mosquitto.kill()
    with pytest.raises(NetworkError, match="has ended"):
        await reading
    assert client.status.state == "disconnected"
    assert "has ended" in (client.status.problem or "")
    with pytest.raises(NetworkError):
        await anext(messages)
    await mosquitto.start()
    await client.connect()
    assert client.is_connected
    await client.disconnect()


async def test_reconnecting_is_given_up_after_so_many_attempts(
    mosquitto: Mosquitto,
) -> None:
    policy = RetryPolicy(attempts=3, first_delay_s=0.01)
    async with MQTTClient("127.0.0.1", mosquitto.port, reconnect=policy) as client:
        messages = client.messages()
        await mosquitto.kill()
        with pytest.raises(NetworkError, match="failed"):
            await anext(messages)
        assert client.status.state == "disconnected"


async def test_connecting_anew_by_hand_need_not_wait_for_the_pause(
    mosquitto: Mosquitto,
) -> None:
    patient = RetryPolicy(attempts=9, first_delay_s=1e6, max_delay_s=1e6)
    async with MQTTClient("127.0.0.1", mosquitto.port, reconnect=patient) as client:
        await client.subscribe("a")
        messages = client.messages()
        await mosquitto.kill()
        await eventually(lambda: client.status.state == "reconnecting")
        with pytest.raises(RequestTimeoutError):
            await client.wait_connected(0)
        await mosquitto.start()
        await client.connect()
        await client.publish("a", b"1")
        assert (await anext(messages)).payload == b"1"


async def test_who_waits_for_a_session_is_told_when_it_is_given_up(
    mosquitto: Mosquitto,
) -> None:
    patient = RetryPolicy(attempts=9, first_delay_s=1e6, max_delay_s=1e6)
    client = MQTTClient("127.0.0.1", mosquitto.port, reconnect=patient)
    await client.connect()
    await mosquitto.kill()
    await eventually(lambda: client.status.state == "reconnecting")
    waiting = asyncio.create_task(client.wait_connected())
    another = asyncio.create_task(client.wait_connected())
    await asyncio.sleep(0)
    another.cancel()
    await client.disconnect()
    with pytest.raises(NetworkError):
        await waiting
    assert another.cancelled()


class Noted(RetryPolicy):
    """A policy without pauses that tells which attempt it was asked for."""

    def delay_s(self, attempt: int) -> float:
        """Note the attempt."""
        noted_attempts.append(attempt)
        return 0


@pytest.mark.parametrize(("settled_s", "expected"), [(1e6, [1, 2, 3]), (0, [0, 0, 0])])
async def test_pauses_grow_where_sessions_are_short(
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    settled_s: float,
    expected: list[int],
) -> None:
    """As they are where another client has taken the same id."""
    monkeypatch.setattr(mqtt_connection, "_SETTLED_S", settled_s)
    noted_attempts.clear()
    first = MQTTClient("127.0.0.1", mosquitto.port, client_id="one", reconnect=Noted(9))
    off = RetryPolicy.off()
    async with first:
        for reconnects in range(1, 4):
            async with MQTTClient(
                "127.0.0.1", mosquitto.port, client_id="one", reconnect=off
            ):
                await eventually(
                    lambda n=reconnects: first.statistics().reconnects == n  # type: ignore[misc]
                )
            assert len(noted_attempts) == reconnects
    assert noted_attempts == expected


async def test_subscription_that_is_refused_later_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says so, and the others go on."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        async with MQTTClient("127.0.0.1", broker.port, reconnect=SWIFT) as client:
            await client.subscribe(["mine/a", "yours/a"])
            await broker.kill()
            broker.lines = ("allow_anonymous true", *reading_only(tmp_path, "mine/#"))
            await lost(client)
            await broker.start()
            await client.wait_connected(LONG)
            assert client.subscriptions == {"mine/a": 1}
    finally:
        await broker.stop()
    assert "refuses yours/a" in caplog.text


async def test_login_that_is_refused_is_told_and_kept_secret(
    guarded: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = MQTTClient(
        "127.0.0.1", guarded.port, username="ha", password=WRONG, api_key=TOKEN
    )
    with pytest.raises(BrokerLoginError) as caught:
        await client.connect()
    assert client.status.state == "disconnected"
    health = await client.broker_health()
    assert not health.is_up
    told = [caplog.text, str(caught.value), repr(client), repr(client.brokers)]
    told += [repr(client.status), repr(health), repr(client.telemetry("d", {"t": 1}))]
    assert WRONG not in "\n".join(told)
    assert TOKEN not in "\n".join(told)
    async with MQTTClient(
        "127.0.0.1", guarded.port, username="ha", password=PASSWORD
    ) as welcome:
        await welcome.publish("a", b"1")


async def test_certificate_is_verified(tmp_path: Path) -> None:
    """And not trusted but by the authority that is given."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    broker = Mosquitto(
        tmp_path,
        (
            "allow_anonymous true",
            f"certfile {tmp_path}/server.pem",
            f"keyfile {tmp_path}/server.key",
        ),
    )
    await broker.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        async with MQTTClient("127.0.0.1", broker.port, tls=context) as client:
            await client.subscribe("a", qos=2)
            await client.publish("a", bytes(300_000), qos=2)
            assert (await anext(client.messages())).payload == bytes(300_000)
        with pytest.raises(CertificateError):
            await MQTTClient("127.0.0.1", broker.port, tls=True).connect()
        given: dict[str, Any] = {
            "mqtt_host": "127.0.0.1",
            "mqtt_port": broker.port,
            "mqtt_tls": True,
            "ca_file": tmp_path / "ca.pem",
        }
        async with MQTTClient.from_config(load_config(environ={}, **given)) as client:
            assert client.is_connected
    finally:
        await broker.stop()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Mosquitto, Mosquitto]]:
    """Run two brokers."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (Mosquitto(folder) for folder in folders)
    await first.start()
    await second.start()
    yield first, second
    await first.stop()
    await second.stop()


async def test_next_broker_takes_over_and_the_first_again_later(
    pair: tuple[Mosquitto, Mosquitto],
) -> None:
    first, second = pair
    brokers = [Broker("127.0.0.1", "a", port=broker.port) for broker in pair]
    async with MQTTClient(
        brokers=brokers, reconnect=SWIFT, birth=Outgoing("born", "again", retain=True)
    ) as client:
        await client.subscribe("a")
        messages = client.messages("a")
        for number, (old, new) in enumerate(((first, second), (second, first))):
            assert client.status.broker == f"127.0.0.1:{old.port}"
            await old.kill()
            await eventually(
                lambda n=number: client.statistics().reconnects == n + 1  # type: ignore[misc]
            )
            await client.wait_connected(LONG)
            assert client.status.broker == f"127.0.0.1:{new.port}"
            await client.publish("a", b"1")
            assert (await anext(messages)).payload == b"1"
            kept = await client.retained("born", timeout=LONG)
            assert kept is not None
            assert kept.text == "again"
            await old.start()
        assert client.statistics().reconnects == 2


async def test_broker_that_is_silent_is_passed_over(
    pair: tuple[Mosquitto, Mosquitto],
) -> None:
    silent, other = pair
    silent.freeze()
    brokers = [Broker("127.0.0.1", "a", port=broker.port) for broker in pair]
    hasty = Timeouts(connect_s=1)
    async with MQTTClient(brokers=brokers, timeouts=hasty) as client:
        assert client.status.broker == f"127.0.0.1:{other.port}"


async def test_no_broker_that_answers_is_told() -> None:
    brokers = [Broker("127.0.0.1", "a", port=free_port()) for _ in range(2)]
    client = MQTTClient(brokers=brokers)
    with pytest.raises(NetworkError, match="failed"):
        await client.connect()
    assert "failed" in (client.status.problem or "")


async def test_connecting_can_be_cancelled(mosquitto: Mosquitto) -> None:
    mosquitto.freeze()
    client = MQTTClient("127.0.0.1", mosquitto.port)
    connecting = asyncio.create_task(client.connect())
    await eventually(lambda: client.status.state == "connecting")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert client.status.state == "disconnected"
    mosquitto.thaw()
    await client.connect()
    await client.disconnect()


async def test_birth_that_fails_is_a_session_that_has_not_begun(
    tmp_path: Path,
) -> None:
    """Where the broker ends it over what is born."""
    broker = Mosquitto(tmp_path, ("allow_anonymous true", "max_packet_size 100"))
    await broker.start()
    try:
        client = MQTTClient(
            "127.0.0.1", broker.port, birth=Outgoing("born", bytes(200))
        )
        with pytest.raises(NetworkError):
            await client.connect()
        assert client.status.state == "disconnected"
        assert client.statistics().sessions == 0
    finally:
        await broker.stop()


_MOURNED = """
import asyncio, sys
from sensorvision import MQTTClient, Will

async def main():
    will = Will("will", "gone", qos=2, retain=True)
    client = MQTTClient("127.0.0.1", int(sys.argv[1]), will=will)
    await client.connect()
    print("here", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await client.disconnect()

asyncio.run(main())
"""


@pytest.mark.parametrize("is_killed", [True, False])
async def test_will_is_published_of_one_that_was_killed_but_not_of_one_that_left(
    mosquitto: Mosquitto, is_killed: bool
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MOURNED, str(mosquitto.port)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    async with MQTTClient("127.0.0.1", mosquitto.port) as heir:
        await heir.subscribe("will", qos=2)
        messages = heir.messages()
        if is_killed:
            process.send_signal(signal.SIGKILL)
            assert (await anext(messages)).text == "gone"
            assert await heir.retained("will", timeout=LONG) is not None
        else:
            await process.communicate(b"\n")
            assert process.returncode == 0
            await heir.publish("will", b"after it")
            assert (await anext(messages)).payload == b"after it"
    if is_killed:
        await process.communicate()


async def test_client_is_made_of_settings(guarded: Mosquitto) -> None:
    """And what is given besides comes first."""
    config = load_config(
        environ={
            "SENSORVISION_MQTT_HOST": "127.0.0.1",
            "SENSORVISION_MQTT_PORT": str(guarded.port),
            "SENSORVISION_MQTT_USERNAME": "ha",
            "SENSORVISION_MQTT_PASSWORD": PASSWORD,
            "SENSORVISION_MQTT_PREFIX": "sensorvision",
            "SENSORVISION_API_KEY": TOKEN,
            "SENSORVISION_TIMEOUT_S": "5",
        }
    )
    async with MQTTClient.from_config(config) as client:
        message = client.telemetry("d", {"t": 1})
        assert message.topic == "sensorvision/devices/d/telemetry"
        assert TOKEN.encode() in message.payload
    overridden = MQTTClient.from_config(config, topic_prefix="indcloud", port=1)
    assert overridden.brokers[0].port == 1
    assert overridden.telemetry("d", {"t": 1}).topic.startswith("indcloud/")
    brokers = [Broker("h", "a")]
    assert MQTTClient.from_config(config, brokers=brokers).brokers == tuple(brokers)


def test_settings_without_a_broker_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        MQTTClient.from_config(load_config(environ={}))
    assert caught.value.field == "mqtt_host"


def test_will_that_would_retain_telemetry_is_refused() -> None:
    with pytest.raises(ValidationError):
        Will("indcloud/devices/d/telemetry", b"{}", retain=True)
