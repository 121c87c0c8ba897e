"""A session with a broker begins, or says why not, and ends without a trace."""

import asyncio
import datetime as dt
import json
import logging
from pathlib import Path
import socket
import ssl
import subprocess
import sys
from typing import Any

import aiomqtt
import pytest
import trustme

from custom_components.sensorvision.client import (
    AuthenticationError,
    BrokerLoginError,
    CertificateError,
    ClientCertificateError,
    NetworkError,
    RequestTimeoutError,
    Sample,
    SensorVisionError,
    Timeouts,
    ValidationError,
    mqtt_library,
)
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from custom_components.sensorvision.client.telemetry import telemetry_payload
from custom_components.sensorvision.client.topics import telemetry_topic
from tests.brokers import PASSWORD, Mosquitto, free_port

from .servers import TOKEN, eventually

WRONG = "another-that-is-wrong"
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
HASTY = Timeouts(connect_s=0.3, read_s=0.3)


def broker_at(port: int, **changes: object) -> Broker:
    """Return a broker on this machine."""
    facts: dict[str, object] = {"host": "127.0.0.1", "client_id": "ha-1", "port": port}
    return Broker(**{**facts, **changes})  # type: ignore[arg-type]


async def error_of(broker: Broker, timeouts: Timeouts | None = None) -> Exception:
    """Return why no session begins."""
    publisher = Publisher(broker, timeouts=timeouts)
    with pytest.raises(SensorVisionError) as caught:
        await publisher.connect()
    assert not publisher.is_connected
    await publisher.close()
    return caught.value


async def test_message_is_published_once_and_never_retained(
    mosquitto: Mosquitto,
) -> None:
    """Whoever subscribes later gets nothing of it."""
    publisher = Publisher(broker_at(mosquitto.port))
    await publisher.connect()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as now:
        await now.subscribe("#", qos=1)
        await publisher.publish("a/b", b"1")
        arrived = await anext(aiter(now.messages))
    assert (str(arrived.topic), arrived.payload) == ("a/b", b"1")
    assert (arrived.qos, arrived.retain) == (1, False)
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as later:
        await later.subscribe("#", qos=1)
        await publisher.publish("a/b", b"2")
        assert (await anext(aiter(later.messages))).payload == b"2"
    await publisher.close()
    assert not publisher.is_connected


async def test_what_is_published_at_once_arrives_in_order(mosquitto: Mosquitto) -> None:
    publisher = Publisher(broker_at(mosquitto.port))
    await publisher.connect()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as subscriber:
        await subscriber.subscribe("#", qos=1)
        sent = [str(number).encode() for number in range(500)]
        await asyncio.gather(*(publisher.publish("a", each) for each in sent))
        messages = aiter(subscriber.messages)
        assert [(await anext(messages)).payload for _ in sent] == sent
    await publisher.close()


@pytest.mark.parametrize(
    ("username", "password"), [(None, None), ("ha", WRONG), ("nobody", PASSWORD)]
)
async def test_login_that_is_refused_is_told_apart(
    guarded: Mosquitto, username: str | None, password: str | None
) -> None:
    """Whether it is a wrong one, or none."""
    err = await error_of(broker_at(guarded.port, username=username, password=password))
    assert isinstance(err, BrokerLoginError)
    assert isinstance(err, AuthenticationError)
    assert "user name and password" in str(err)


async def test_login_that_is_good_begins_a_session(guarded: Mosquitto) -> None:
    publisher = Publisher(broker_at(guarded.port, username="ha", password=PASSWORD))
    await publisher.connect()
    await publisher.publish("a", b"1")
    assert publisher.is_connected
    await publisher.close()


async def test_no_login_and_no_token_comes_to_light(
    guarded: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in what is raised nor in what is printed or logged."""
    caplog.set_level(logging.DEBUG)
    broker = broker_at(guarded.port, username="ha", password=WRONG)
    err: BaseException | None = await error_of(broker)
    told = [caplog.text, repr(broker), repr(Publisher(broker))]
    while err is not None:
        told += [repr(err), str(err), repr(vars(err)), repr(err.args)]
        err = err.__context__
    assert WRONG not in "\n".join(told)
    assert repr(Publisher(broker)) == f"<MQTT broker 127.0.0.1:{guarded.port}>"


async def test_host_that_does_not_answer_is_told_apart(mosquitto: Mosquitto) -> None:
    """By its port, or its silence."""
    refused = await error_of(broker_at(free_port()))
    assert type(refused) is NetworkError
    mosquitto.freeze()
    silent = await error_of(broker_at(mosquitto.port), HASTY)
    assert isinstance(silent, RequestTimeoutError)


async def _tls_broker(
    folder: Path, authority: trustme.CA, host: str, *lines: str
) -> Mosquitto:
    issued = authority.issue_cert(host)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")
    broker = Mosquitto(
        folder,
        (
            "allow_anonymous true",
            f"cafile {folder}/ca.pem",
            f"certfile {folder}/server.pem",
            f"keyfile {folder}/server.key",
            *lines,
        ),
    )
    await broker.start()
    return broker


def trusting(authority: trustme.CA, *, client: bool = False) -> ssl.SSLContext:
    """Return a context that trusts an authority, and may show a certificate of it."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client:
        authority.issue_cert("ha@example.org").configure_cert(context)
    return context


async def test_certificate_is_verified(tmp_path: Path) -> None:
    """Its authority and its host."""
    ours, other = trustme.CA(), trustme.CA()
    broker = await _tls_broker(tmp_path, ours, "127.0.0.1")
    try:
        publisher = Publisher(broker_at(broker.port, tls=trusting(ours)))
        await publisher.connect()
        await publisher.publish("a", b"1")
        await publisher.close()
        wrong = await error_of(broker_at(broker.port, tls=trusting(other)))
        name = await error_of(
            broker_at(broker.port, host="localhost", tls=trusting(ours))
        )
    finally:
        await broker.stop()
    assert type(wrong) is type(name) is CertificateError
    assert "not trusted" in str(wrong)
    assert "localhost" in str(name)


async def test_tls_with_a_broker_without_it_fails(mosquitto: Mosquitto) -> None:
    err = await error_of(broker_at(mosquitto.port, tls=ssl.create_default_context()))
    assert isinstance(err, NetworkError)


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
async def test_client_certificate_is_asked_for(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """TLS 1.3 says it only after the client takes the session for begun."""
    authority = trustme.CA()
    broker = await _tls_broker(
        tmp_path, authority, "127.0.0.1", "require_certificate true"
    )
    try:
        with_one, without = trusting(authority, client=True), trusting(authority)
        for context in (with_one, without):
            context.maximum_version = version
        publisher = Publisher(broker_at(broker.port, tls=with_one))
        await publisher.connect()
        await publisher.publish("a", b"1")
        await publisher.close()
        err = await error_of(broker_at(broker.port, tls=without))
    finally:
        await broker.stop()
    assert isinstance(err, ClientCertificateError)
    assert "Give a certificate" in str(err)


async def test_message_that_was_not_acknowledged_may_have_arrived(
    mosquitto: Mosquitto,
) -> None:
    """The session has ended then, and without one nothing is published."""
    publisher = Publisher(broker_at(mosquitto.port), timeouts=HASTY)
    await publisher.connect()
    mosquitto.freeze()
    with pytest.raises(NetworkError) as caught:
        await publisher.publish("a", b"1")
    assert caught.value.may_have_arrived
    assert not publisher.is_connected
    with pytest.raises(NetworkError) as caught:
        await publisher.publish("a", b"1")
    assert not caught.value.may_have_arrived


async def test_session_that_ends_by_itself_is_noticed_at_rest(
    mosquitto: Mosquitto,
) -> None:
    publisher = Publisher(broker_at(mosquitto.port))
    lost: list[bool] = []
    publisher.on_lost = lambda: lost.append(publisher.is_connected)
    await publisher.connect()
    await mosquitto.kill()
    await eventually(lambda: lost)
    assert lost == [False]
    await publisher.close()


async def test_broker_that_falls_silent_is_noticed_at_rest(
    mosquitto: Mosquitto,
) -> None:
    """By the keepalive."""
    publisher = Publisher(broker_at(mosquitto.port, keepalive_s=1))
    lost: list[bool] = []
    publisher.on_lost = lambda: lost.append(publisher.is_connected)
    await publisher.connect()
    mosquitto.freeze()
    await eventually(lambda: lost)
    assert not publisher.is_connected


async def test_connecting_can_be_cancelled(mosquitto: Mosquitto) -> None:
    """And nothing of it goes on."""
    mosquitto.freeze()
    hastier = Timeouts(connect_s=0.05)
    publisher = Publisher(broker_at(mosquitto.port), timeouts=hastier)
    connecting = asyncio.create_task(publisher.connect())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await publisher.close()
    assert not publisher.is_connected


def test_prefix_that_no_server_reads_is_refused() -> None:
    with pytest.raises(ValidationError, match="indcloud, sensorvision"):
        broker_at(1883, topic_prefix="home")


@pytest.mark.parametrize("prefix", ["indcloud", "sensorvision"])
def test_topic_names_the_device(prefix: str) -> None:
    assert telemetry_topic(prefix, "dev-a") == f"{prefix}/devices/dev-a/telemetry"


def test_topic_has_no_dot_that_a_broker_takes_for_another_level() -> None:
    assert telemetry_topic("indcloud", "a.b.c") == "indcloud/devices/a-b-c/telemetry"


@pytest.mark.parametrize("device_id", ["", "a/b", "+", "#"])
def test_device_that_cannot_stand_in_a_topic_is_refused(device_id: str) -> None:
    with pytest.raises(ValidationError):
        telemetry_topic("indcloud", device_id)


@pytest.mark.parametrize(
    ("at", "token", "more"),
    [
        (NOON, None, {"timestamp": "2026-01-02T12:00:00.000000Z"}),
        (None, None, {}),
        (None, TOKEN, {"apiToken": TOKEN}),
    ],
)
def test_payload_is_that_of_the_contract(
    at: dt.datetime | None, token: str | None, more: dict[str, str]
) -> None:
    payload = json.loads(telemetry_payload(Sample("dev-a", {"t": 1.5}, at), token))
    assert payload == {"deviceId": "dev-a", "variables": {"t": 1.5}, **more}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e14])
def test_number_that_the_server_cannot_store_is_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        telemetry_payload(Sample("dev-a", {"t": value}), None)


def test_client_works_without_the_library() -> None:
    """It is needed for MQTT alone."""
    program = (
        "import sys; sys.modules['aiomqtt'] = None;"
        "import custom_components.sensorvision.client as client;"
        "print(client.AsyncSensorVisionClient.__name__)"
    )
    folder = Path(__file__).parents[2] / "custom_components" / "sensorvision"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("custom_components.sensorvision.", "")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "AsyncSensorVisionClient\n"


async def test_socket_that_is_closed_already_is_not_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As the library asks for when a connection breaks in the thread that opens it."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    careful = mqtt_library.CarefulLoop(loop)
    with socket.socket() as closed:
        fd = closed.fileno()
    loop.call_soon(careful.add_writer, fd, lambda: None)
    loop.call_soon(careful.add_reader, -1, lambda: None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert complaints == []
    assert careful.time() == pytest.approx(loop.time(), abs=1)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("answer", "tls", "error", "said"),
    [
        (b"\x20\x02\x00\x03", None, NetworkError, "unavailable"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            ssl.create_default_context(),
            CertificateError,
            "did not agree on TLS",
        ),
    ],
    ids=["not now", "no TLS"],
)
async def test_what_else_answers_is_told_apart(
    answer: bytes, tls: ssl.SSLContext | None, error: type[Exception], said: str
) -> None:
    """A broker that takes nobody now, and a server that speaks something else."""
    callers: list[asyncio.StreamWriter] = []

    async def respond(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        callers.append(writer)
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        publisher = Publisher(
            Broker("127.0.0.1", "caller", port=port, tls=tls),
            timeouts=Timeouts(connect_s=5),
        )
        with pytest.raises(error, match=said) as raised:
            await publisher.connect()
        assert not isinstance(raised.value, AuthenticationError)
        assert not publisher.is_connected
        for writer in callers:
            writer.close()
