"""The client without an event loop: what is its own beside the other one's."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
import datetime as dt
import gzip
import inspect
from pathlib import Path
import signal
import socket
import ssl
import subprocess
import sys
from typing import Any

import pytest
import requests
import trustme

from custom_components.sensorvision.client import (
    ACCOUNT,
    AsyncSensorVisionClient,
    Config,
    ConfigError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    RateLimit,
    RequestTimeoutError,
    RetryPolicy,
    Sample,
    Secret,
    Timeouts,
    ValidationError,
)
from custom_components.sensorvision.client.deadline import deadline
from custom_components.sensorvision.client.sync import SensorVisionClient
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_PASSWORD

from .both_clients import ClientClass, both_clients
from .servers import (
    STORED,
    TOKEN,
    eventually,
    http_answer,
    scripted,
    server_context,
    silence,
)

NUMBERS = {"a": 1}
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
ONCE = RetryPolicy.off()
GOOD = http_answer(200, STORED)
# What each waits with.
OWN = {"session", "ssl", "verify"}


def _public(owner: type) -> dict[str, Any]:
    members = inspect.getmembers(owner)
    return {name: member for name, member in members if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    """Also those that are added to one of them one day."""
    assert _public(SensorVisionClient).keys() == _public(AsyncSensorVisionClient).keys()


@pytest.mark.parametrize("name", sorted(_public(AsyncSensorVisionClient)))
def test_method_is_called_and_told_alike(name: str) -> None:
    """Who knows one client knows the other."""
    awaited = getattr(AsyncSensorVisionClient, name)
    blocking = getattr(SensorVisionClient, name)
    assert not inspect.iscoroutinefunction(blocking)
    assert blocking.__doc__
    if callable(awaited):
        theirs, ours = inspect.signature(awaited), inspect.signature(blocking)
        assert ours.parameters == theirs.parameters
    if inspect.iscoroutinefunction(awaited):
        assert blocking.__doc__ == awaited.__doc__
        assert ours.return_annotation == theirs.return_annotation


def test_both_clients_are_made_alike() -> None:
    """But for what they wait with."""

    def taken(owner: type) -> dict[str, inspect.Parameter]:
        found = inspect.signature(owner).parameters
        return {name: found[name] for name in found if name not in OWN}

    assert taken(SensorVisionClient) == taken(AsyncSensorVisionClient)


async def test_account_does_everything(sandbox: Sandbox) -> None:
    """One login, and no await."""

    def work() -> list[float]:
        with SensorVisionClient(
            sandbox.url, username="alice", password=ALICE_PASSWORD
        ) as client:
            assert client.probe("lamp").credential == ACCOUNT == client.credential
            client.register_device("lamp", name="Lamp")
            results = client.send_batch(
                Sample("lamp", {"power": n}, NOON + n * dt.timedelta(seconds=1))
                for n in range(3)
            )
            assert all(result.is_delivered for result in results)
            client.forget_devices()
            (variable,) = client.variables("lamp")
            assert client.update_variable(variable, unit="W").unit == "W"
            assert client.latest_values("lamp") == {"power": 2}
            values = client.values(variable, NOON, NOON + dt.timedelta(hours=1))
            client.unregister_device("lamp")
            assert client.clock_offset_s is not None
        return [value.value for value in values]

    assert await asyncio.to_thread(work) == [0, 1, 2]
    logins = [
        arrived for arrived in sandbox.requests if arrived.path.endswith("/login")
    ]
    assert len(logins) == 1


async def test_threads_share_a_client(sandbox: Sandbox) -> None:
    """Its login and its connections, too."""
    most = 8

    def work() -> None:
        with (
            SensorVisionClient(
                sandbox.url,
                username="alice",
                password=ALICE_PASSWORD,
                rate_limit=RateLimit.off(),
            ) as client,
            ThreadPoolExecutor(most) as threads,
        ):
            jobs = [
                threads.submit(client.send_data, f"dev-{n % most}", {"a": n})
                for n in range(10 * most)
            ]
            for job in jobs:
                job.result()

    await asyncio.to_thread(work)
    stored = [
        float(row.value)
        for n in range(most)
        for row in sandbox.store.values(f"dev-{n}")
    ]
    assert sorted(stored) == list(range(10 * most))
    assert sum(asked.path.endswith("/login") for asked in sandbox.requests) == 1


async def test_pool_is_no_larger_than_it_may_be() -> None:
    """Threads that find no connection wait for one."""
    held, in_flight = asyncio.Event(), 0

    async def speak(writer: asyncio.StreamWriter) -> None:
        nonlocal in_flight
        in_flight += 1
        await held.wait()
        writer.write(GOOD)

    async with scripted(speak) as server:
        with SensorVisionClient(
            server.url, api_key=TOKEN, pool_size=2, rate_limit=RateLimit.off()
        ) as client:
            sending = asyncio.gather(
                *(
                    asyncio.to_thread(client.send_data, f"dev-{n}", NUMBERS)
                    for n in range(6)
                )
            )
            await eventually(lambda: in_flight == 2)
            held.set()
            await sending
        await eventually(lambda: server.closed)
    assert (len(server.requests), server.closed) == (6, 2)


@pytest.fixture
def strange_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what `requests` looks for in an environment."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))


@pytest.mark.usefixtures("strange_environment")
async def test_environment_adds_no_proxy_and_no_credential(sandbox: Sandbox) -> None:
    """A second credential would be refused, and a proxy would see the first."""

    def work() -> None:
        with SensorVisionClient(sandbox.url, api_key=TOKEN) as client:
            client.send_data("dev-a", NUMBERS)

    await asyncio.to_thread(work)
    (arrived,) = sandbox.requests
    assert not arrived.headers.keys() & {"Authorization", "Cookie", "Origin"}
    assert arrived.headers["User-Agent"].startswith("sensorvision/")


@pytest.mark.filterwarnings("ignore:A test tried to use socket.socket.connect")
@both_clients
async def test_cookie_is_not_kept(client_class: ClientClass) -> None:
    """It would tie requests together, and some proxies set one."""
    cookie = http_answer(200, STORED, Set_Cookie="a=b; Path=/")
    async with scripted(cookie) as server:
        # An address of numbers would be reason enough for some jars to keep none.
        url = server.url.replace("127.0.0.1", "localhost")
        async with client_class(url, api_key=TOKEN) as client:
            await client.send_data("dev-a", NUMBERS)
            await client.send_data("dev-a", NUMBERS)
    assert len(server.requests) == 2
    assert not any(b"cookie" in asked.lower() for asked in server.requests)


async def test_authority_is_given_as_a_file(tmp_path: Path) -> None:
    """And trusted alone."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    settings = Settings(fixtures="contract", ssl_context=server_context(authority))
    async with Sandbox(settings) as sandbox:

        def work() -> None:
            with SensorVisionClient(
                sandbox.url, api_key=TOKEN, verify=str(file)
            ) as client:
                client.send_data("dev-a", NUMBERS)

        await asyncio.to_thread(work)
        assert len(sandbox.store.values("dev-a")) == 1


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_file_without_an_authority_is_refused(text: str | None, tmp_path: Path) -> None:
    """At once, not at the first reading."""
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValidationError, match="holds no certificate") as caught:
        SensorVisionClient("https://127.0.0.1", api_key=TOKEN, verify=str(file))
    assert caught.value.field == "verify"


async def test_given_session_is_used_and_left_open(sandbox: Sandbox) -> None:
    """Who made it closes it."""
    used = []

    class Counting(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
            used.append(True)
            return super().send(*args, **kwargs)

        def close(self) -> None:
            used.append(False)
            super().close()

    def work() -> None:
        with requests.Session() as session:
            session.mount("http://", Counting())
            with SensorVisionClient(
                sandbox.url, api_key=TOKEN, session=session
            ) as client:
                client.send_data("dev-a", NUMBERS)
            client.send_data("dev-a", NUMBERS)
            assert used == [True, True]

    await asyncio.to_thread(work)
    assert len(sandbox.store.values("dev-a")) == 2


def test_context_is_not_given_to_a_session_of_the_callers() -> None:
    """It would be forgotten without a word, and others be trusted."""
    context = ssl.create_default_context()
    with (
        requests.Session() as session,
        pytest.raises(ValidationError, match="mount an adapter") as caught,
    ):
        SensorVisionClient(
            "https://127.0.0.1", api_key=TOKEN, session=session, verify=context
        )
    assert caught.value.field == "verify"


@both_clients
@pytest.mark.parametrize("pool_size", [0, -1])
def test_pool_without_a_connection_is_refused(
    client_class: ClientClass, pool_size: int
) -> None:
    """One library would take it for endless, the other would wait for ever."""
    with pytest.raises(ValidationError, match="Take 1 or more") as caught:
        client_class("http://127.0.0.1", api_key=TOKEN, pool_size=pool_size)
    assert caught.value.field == "pool_size"


@pytest.mark.parametrize("field", ["connect_s", "read_s", "total_s"])
@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_time_that_cannot_be_waited_is_refused(field: str, seconds: float) -> None:
    """Libraries differ in what they make of it."""
    with pytest.raises(ValidationError, match="above 0") as caught:
        Timeouts(**{field: seconds})
    assert caught.value.field == field


@both_clients
async def test_packed_answer_in_pieces_is_unpacked(client_class: ClientClass) -> None:
    """A proxy may pack what the server says."""
    packed = gzip.compress(STORED)

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n" % len(packed)
        )
        for byte in packed:
            writer.write(bytes([byte]))
            await writer.drain()

    async with (
        scripted(speak) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        await client.send_data("dev-a", NUMBERS)
        await client.send_data("dev-a", NUMBERS)


@both_clients
async def test_packed_answer_is_bounded_unpacked(client_class: ClientClass) -> None:
    """A few bytes on the wire may be very many in memory."""
    packed = gzip.compress(b" " * 50_000_000)
    told: list[Any] = []
    async with (
        scripted(http_answer(200, packed, Content_Encoding="gzip")) as server,
        client_class(server.url, api_key=TOKEN, on_request=told.append) as client,
    ):
        assert not (await client.post("dev-a", NUMBERS)).is_json
    assert told[0].bytes_received < 1_000_000


@both_clients
async def test_dripping_answer_ends_in_a_timeout(client_class: ClientClass) -> None:
    """Each piece comes in time, and all of it never."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with (
        scripted(speak) as server,
        client_class(
            server.url,
            api_key=TOKEN,
            retry=ONCE,
            timeouts=Timeouts(read_s=5, total_s=0.1),
        ) as client,
    ):
        with pytest.raises(RequestTimeoutError, match="did not answer in time"):
            await client.send_data("dev-a", NUMBERS)


@both_clients
async def test_deadline_ends_a_request(client_class: ClientClass) -> None:
    """However long the timeouts are."""
    async with (
        scripted(silence) as server,
        client_class(server.url, api_key=TOKEN, retry=ONCE) as client,
    ):
        with deadline(0.05), pytest.raises(RequestTimeoutError) as caught:
            await client.send_data("dev-a", NUMBERS)
        assert caught.value.may_have_arrived
        with deadline(0), pytest.raises(RequestTimeoutError) as caught:
            await client.send_data("dev-a", NUMBERS)
        assert not caught.value.may_have_arrived
    assert len(server.requests) == 1


@both_clients
async def test_connection_that_is_not_taken_ends_in_a_timeout(
    client_class: ClientClass,
) -> None:
    """Its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(address)
        async with client_class(
            f"http://127.0.0.1:{address[1]}",
            api_key=TOKEN,
            retry=ONCE,
            timeouts=Timeouts(connect_s=0.05),
        ) as client:
            with pytest.raises(RequestTimeoutError, match="can't be reached") as caught:
                await client.send_data("dev-a", NUMBERS)
        for other in waiting:
            other.close()
    assert not caught.value.may_have_arrived


@both_clients
@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..b"])
async def test_host_that_can_have_no_address_is_not_found(
    client_class: ClientClass, host: str
) -> None:
    """It can't even be asked for."""
    async with client_class(f"http://{host}", api_key=TOKEN, retry=ONCE) as client:
        with pytest.raises(HostNotFoundError, match="There is no host named"):
            await client.send_data("dev-a", NUMBERS)


@pytest.mark.parametrize("host", [".invalid", "*.invalid"])
def test_host_that_the_library_refuses_is_not_found(host: str) -> None:
    """Its error holds the request, and is not the cause."""
    with (
        SensorVisionClient(f"http://{host}", api_key=TOKEN, retry=ONCE) as client,
        pytest.raises(HostNotFoundError) as caught,
    ):
        client.send_data("dev-a", NUMBERS)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_host_that_has_no_address_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the system's resolver says, which tests may not ask."""

    def resolve(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with (
        SensorVisionClient(
            "http://nowhere.invalid", api_key=TOKEN, retry=ONCE
        ) as client,
        pytest.raises(HostNotFoundError, match="no host named nowhere"),
    ):
        client.send_data("dev-a", NUMBERS)


@both_clients
async def test_port_that_speaks_no_tls_is_told(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The URL begins with the wrong word."""
    async with client_class(
        sandbox.url.replace("http:", "https:"), api_key=TOKEN, retry=ONCE
    ) as client:
        with pytest.raises(NotHttpError, match="does not speak TLS"):
            await client.send_data("dev-a", NUMBERS)


async def test_client_works_where_an_event_loop_runs() -> None:
    """As in a notebook."""
    async with scripted(GOOD) as server:
        url = server.url

        async def cell() -> None:
            with SensorVisionClient(url, api_key=TOKEN) as client:
                client.send_data("dev-a", NUMBERS)

        await asyncio.to_thread(asyncio.run, cell())
    assert len(server.requests) == 1


async def test_interrupted_request_leaves_its_connection_and_its_turn() -> None:
    """Whoever presses Ctrl-C and goes on, as in a notebook, finds a client that works."""
    async with scripted(silence, GOOD) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _INTERRUPTED,
            server.url,
            TOKEN,
            stdout=subprocess.PIPE,
        )
        await eventually(lambda: server.requests)
        process.send_signal(signal.SIGINT)
        printed, _ = await process.communicate()
        assert printed.split() == [b"interrupted", b"sent"]
    assert (len(server.requests), server.closed) == (2, 2)


_INTERRUPTED = """
import signal, sys
from sensorvision import RateLimit, SensorVisionClient

signal.signal(signal.SIGINT, signal.default_int_handler)
with SensorVisionClient(
    sys.argv[1],
    api_key=sys.argv[2],
    pool_size=1,
    rate_limit=RateLimit(max_in_flight=1),
) as client:
    try:
        client.send_data("dev-a", {"a": 1})
    except KeyboardInterrupt:
        print("interrupted")
    client.send_data("dev-a", {"a": 1})
    print("sent")
"""


@both_clients
async def test_client_is_made_of_settings(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The credential comes out of its secret only here."""
    config = Config(
        url="http://127.0.0.1:9",
        fallback_urls=(sandbox.url,),
        api_key=Secret(TOKEN),
        timeout_s=5,
        retries=0,
        rate_limit=100,
    )
    async with client_class.from_config(config) as client:
        await client.send_data("dev-a", NUMBERS)
        assert TOKEN not in repr(client)
        sandbox.faults.set("http_503")
        with pytest.raises(NetworkError):
            await client_class.from_config(
                config, fallback_urls=(), retry=ONCE
            ).send_data("dev-a", NUMBERS)
    assert len(sandbox.requests) == 1


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@both_clients
async def test_settings_say_whom_to_trust(
    client_class: ClientClass, tmp_path: Path
) -> None:
    """One authority, or any certificate."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    settings = Settings(fixtures="contract", ssl_context=server_context(authority))
    async with Sandbox(settings) as sandbox:
        for trust in ({"ca_file": file}, {"verify_tls": False}):
            config = Config(
                url=sandbox.url, api_key=Secret(TOKEN), rate_limit=0, **trust
            )
            async with client_class.from_config(config) as client:
                await client.send_data("dev-a", NUMBERS)
        assert len(sandbox.store.values("dev-a")) == 2


@both_clients
def test_settings_without_a_credential_are_refused(client_class: ClientClass) -> None:
    """As they name it."""
    with pytest.raises(ConfigError, match="SENSORVISION_API_KEY"):
        client_class.from_config(Config(url="http://127.0.0.1"))


def test_context_may_be_given_for_a_file() -> None:
    """Who has a certificate of their own to show needs one."""
    context = ssl.create_default_context()
    client = SensorVisionClient("https://127.0.0.1", api_key=TOKEN, verify=context)
    client.close()
    assert repr(client) == "<SensorVisionClient https://127.0.0.1>"
