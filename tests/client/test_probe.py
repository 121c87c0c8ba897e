"""A probe finds out about URL, token and device id, and stores nothing."""

import asyncio
import re
import socket

import aiohttp
from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult
import pytest

from custom_components.sensorvision.client import (
    AnswerError,
    AsyncSensorVisionClient,
    AuthenticationError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    Probe,
    RateLimitError,
    RedirectError,
    SensorVisionError,
    ServerError,
    ValidationError,
)
from sandbox import Mode, Sandbox, Settings

from .servers import (
    CONNECTIVITY,
    INGEST,
    STORED,
    TOKEN,
    eventually,
    http_answer,
    scripted,
    silence,
)

ONLINE = http_answer(200, b'{"status":"online","reachable":true}')
GOOD = http_answer(
    400, b'{"success":false,"message":"At least one numeric variable is required"}'
)
PAGE = b"<html><title>Router</title></html>"


async def _probe(url: str, device_id: str = "dev-a", token: str = TOKEN) -> Probe:
    async with AsyncSensorVisionClient(url, api_key=token) as client:
        return await client.probe(device_id)


@pytest.mark.parametrize("device_id", ["dev-a", "dev-a2", "free-id"])
async def test_good_url_token_and_device_id_pass(
    sandbox: Sandbox, device_id: str
) -> None:
    """The device id is good if it is ours or free."""
    assert await _probe(sandbox.url, device_id) == Probe(has_connectivity_check=True)
    assert not sandbox.store.values(device_id)
    assert len(sandbox.requests) == 2


async def test_probe_makes_no_device(sandbox: Sandbox) -> None:
    """Setting up leaves no trace on the server."""
    await _probe(sandbox.url, "free-id")
    assert sandbox.store.device("free-id") is None


async def test_unknown_token_is_refused(sandbox: Sandbox) -> None:
    """No device has it."""
    with pytest.raises(AuthenticationError, match=r"^Invalid API key "):
        await _probe(sandbox.url, token="99999999-1111-4111-8111-111111111111")


@pytest.mark.parametrize("token", ["", "secret", TOKEN.replace("1", "A"), TOKEN + "1"])
async def test_malformed_token_is_refused_before_it_is_sent(
    sandbox: Sandbox, token: str
) -> None:
    """It may be another secret, pasted by mistake."""
    with pytest.raises(ValidationError, match=r"^device token") as caught:
        await _probe(sandbox.url, token=token)
    assert not token or token not in str(caught.value)
    assert not sandbox.requests


async def test_malformed_device_id_is_refused_before_it_is_sent(
    sandbox: Sandbox,
) -> None:
    """The server could not be addressed with it."""
    with pytest.raises(ValidationError, match=r"^device id"):
        await _probe(sandbox.url, "a/b")
    assert not sandbox.requests


async def test_foreign_device_id_is_refused(sandbox: Sandbox) -> None:
    """The installation needs another prefix."""
    with pytest.raises(PermissionDeniedError, match="Choose another device id"):
        await _probe(sandbox.url, "dev-b")


async def test_server_without_connectivity_check_passes() -> None:
    """Servers before December 2025 answer it with an empty 401."""
    modes = frozenset({Mode.NO_CONNECTIVITY})
    async with Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox:
        found = await _probe(sandbox.url)
    assert found == Probe(has_connectivity_check=False)


@pytest.mark.parametrize("fault", ["http_429", "http_503", "http_500"])
async def test_trouble_of_the_connectivity_check_alone_does_not_matter(
    sandbox: Sandbox, fault: str
) -> None:
    """Only the probe itself decides."""
    sandbox.faults.set(fault, path=CONNECTIVITY)
    assert await _probe(sandbox.url) == Probe(has_connectivity_check=False)


async def test_used_up_limit_of_the_connectivity_check_does_not_matter(
    sandbox: Sandbox,
) -> None:
    """All anonymous callers share one limit."""
    for _ in range(60):
        sandbox.context.limits.plugins.admits("anonymousUser")
    assert await _probe(sandbox.url) == Probe(has_connectivity_check=False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_429", RateLimitError),
        ("http_500", ServerError),
        ("http_503", ServerError),
        ("reset", NetworkError),
        ("html_200", NotSensorVisionError),
        ("http_301", RedirectError),
    ],
)
@pytest.mark.parametrize("path", [None, INGEST])
async def test_trouble_has_its_own_error(
    sandbox: Sandbox, fault: str, error: type[SensorVisionError], path: str | None
) -> None:
    """Each can be told apart beside the right field."""
    sandbox.faults.set(fault, path=path)
    with pytest.raises(error):
        await _probe(sandbox.url)


@pytest.mark.parametrize("fault", ["html_200", "http_301"])
async def test_token_is_not_sent_to_a_stranger(sandbox: Sandbox, fault: str) -> None:
    """The public check comes first, and shows who answers."""
    sandbox.faults.set(fault)
    with pytest.raises(AnswerError):
        await _probe(sandbox.url)
    assert [arrived.path for arrived in sandbox.requests] == [CONNECTIVITY]
    assert "X-API-Key" not in sandbox.requests[0].headers


@pytest.mark.parametrize("path", ["/elsewhere", "/api/v1", "/api/v1/ingest"])
async def test_wrong_path_is_named(sandbox: Sandbox, path: str) -> None:
    """An empty 401 there is no verdict on the token."""
    with pytest.raises(NotSensorVisionError, match="Check host, port and path"):
        await _probe(sandbox.url + path)


@pytest.mark.parametrize(
    "answers",
    [
        [http_answer(404, PAGE)],
        [http_answer(403, PAGE)],
        [http_answer(405, PAGE)],
        [http_answer(200, PAGE)],
        [http_answer(200, b"OK")],
        [http_answer(401), http_answer(401)],
        [http_answer(401), http_answer(404, PAGE)],
        [http_answer(401), http_answer(405, PAGE)],
        [http_answer(502), http_answer(403, PAGE)],
        [http_answer(502), http_answer(501, PAGE)],
        [ONLINE, http_answer(404, b'{"title":"Resource Not Found"}')],
        [ONLINE, http_answer(200, STORED)],
        [ONLINE, http_answer(200, b'{"ok":true}')],
        [ONLINE, http_answer(204)],
    ],
    ids=lambda answers: " ".join(answer[9:12].decode() for answer in answers),
)
async def test_other_servers_are_told_apart(answers: list[bytes]) -> None:
    """Routers, proxies and Home Assistant itself answer so."""
    async with scripted(*answers) as server:
        with pytest.raises(NotSensorVisionError):
            await _probe(server.url)
    assert len(server.requests) == len(answers)


async def test_page_of_a_proxy_is_no_connectivity_check() -> None:
    """A status alone proves nothing."""
    async with scripted(http_answer(503, PAGE), GOOD) as server:
        found = await _probe(server.url)
    assert found == Probe(has_connectivity_check=False)


class IdnaResolver(ThreadedResolver):
    """Encodes a name as the system's resolver does, and asks nobody."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Refuse names that can't be encoded."""
        host.encode("idna")
        raise OSError(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".invalid", "unknown.invalid"])
async def test_unknown_host_is_named(host: str) -> None:
    """Some names are refused before any name server is asked."""
    connector = aiohttp.TCPConnector(resolver=IdnaResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = AsyncSensorVisionClient(
            f"http://{host}", api_key=TOKEN, session=session
        )
        with pytest.raises(HostNotFoundError, match=f"no host named {re.escape(host)}"):
            await client.probe("dev-a")


async def test_closed_port_is_a_network_error() -> None:
    """The machine is there, the server is not."""
    async with scripted(GOOD) as server:
        url = server.url
    with pytest.raises(NetworkError, match="Check that the server is on"):
        await _probe(url)


async def test_something_that_speaks_no_http_is_named() -> None:
    """A wrong port is not a server that is off."""
    async with scripted(b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        with pytest.raises(NotHttpError, match="does not speak HTTP"):
            await _probe(server.url)


async def test_https_to_a_port_without_tls_is_named(sandbox: Sandbox) -> None:
    """It is no matter of certificates."""
    with pytest.raises(NotHttpError, match=r"does not speak TLS.*http or https"):
        await _probe(sandbox.url.replace("http:", "https:"))


async def test_cancelled_probe_closes_its_connection() -> None:
    """Closing the form leaves nothing behind."""
    async with scripted(silence) as server:
        task = asyncio.create_task(_probe(server.url))
        await eventually(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.closed)
    assert len(server.requests) == 1
