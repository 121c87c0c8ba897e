"""TLS, sessions, redirects and paths: how the client reaches its server."""

import asyncio
import ssl

import aiohttp
import pytest
import trustme

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    CertificateError,
    RedirectError,
    ValidationError,
)
from custom_components.sensorvision.client.http import normalize_url
from sandbox import Sandbox, Settings

from .both_clients import ClientClass, both_clients
from .servers import (
    STORED,
    TOKEN,
    eventually,
    http_answer,
    proxied,
    scripted,
    server_context,
    silence,
)

NUMBERS = {"a": 1}


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@both_clients
async def test_certificate_of_an_unknown_authority_is_refused(
    client_class: ClientClass,
) -> None:
    """Certificates are verified unless the caller says otherwise."""
    settings = Settings(fixtures="contract", ssl_context=server_context(trustme.CA()))
    async with Sandbox(settings) as sandbox:
        async with client_class(sandbox.url, api_key=TOKEN) as client:
            for ask in (client.probe("dev-a"), client.send_data("dev-a", NUMBERS)):
                with pytest.raises(
                    CertificateError, match=r"127\.0\.0\.1 is not trusted"
                ):
                    await ask
        assert not sandbox.requests


@both_clients
async def test_certificate_of_an_own_authority_is_trusted(
    client_class: ClientClass,
) -> None:
    """A home server's certificate need not be a public one."""
    authority = trustme.CA()
    settings = Settings(fixtures="contract", ssl_context=server_context(authority))
    async with (
        Sandbox(settings) as sandbox,
        client_class(sandbox.url, api_key=TOKEN, ssl=_trusting(authority)) as client,
    ):
        await client.probe("dev-a")
        await client.send_data("dev-a", NUMBERS)
        assert len(sandbox.store.values("dev-a")) == 1


@both_clients
async def test_certificate_for_another_host_is_refused(
    client_class: ClientClass,
) -> None:
    """A trusted authority is not enough."""
    authority = trustme.CA()
    context = server_context(authority, "sensors.example.org")
    async with (
        Sandbox(Settings(fixtures="contract", ssl_context=context)) as sandbox,
        client_class(sandbox.url, api_key=TOKEN, ssl=_trusting(authority)) as client,
    ):
        with pytest.raises(CertificateError, match="Install the certificate"):
            await client.probe("dev-a")
        assert not sandbox.requests


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@both_clients
async def test_any_certificate_is_trusted_if_the_caller_says_so(
    client_class: ClientClass,
) -> None:
    """Verification is switched off only by hand."""
    settings = Settings(fixtures="contract", ssl_context=server_context(trustme.CA()))
    async with (
        Sandbox(settings) as sandbox,
        client_class(sandbox.url, api_key=TOKEN, ssl=False) as client,
    ):
        await client.send_data("dev-a", NUMBERS)
        assert len(sandbox.store.values("dev-a")) == 1


@both_clients
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(
    client_class: ClientClass, sandbox: Sandbox, status: int
) -> None:
    """The credential does not go where the answer points."""
    location = sandbox.url + "/api/v1/ingest/dev-a"
    async with (
        scripted(http_answer(status, Location=location)) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        for ask in (client.send_data("dev-a", NUMBERS), client.probe("dev-a")):
            with pytest.raises(RedirectError, match="often https"):
                await ask
    assert len(server.requests) == 2
    assert not sandbox.requests


@both_clients
async def test_path_in_the_url_is_kept(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """A proxy may serve the whole application below a path."""
    async with (
        proxied(sandbox, "/house/sensors") as url,
        client_class(url + "/", api_key=TOKEN) as client,
    ):
        assert (await client.probe("dev-a")).has_connectivity_check
        await client.send_data("dev-a", NUMBERS)
    assert len(sandbox.store.values("dev-a")) == 1


@both_clients
async def test_quoted_path_in_the_url_is_kept_as_it_is(
    client_class: ClientClass,
) -> None:
    """An encoded slash is not a slash."""
    async with scripted(http_answer(200, STORED)) as server:
        url = server.url + "/a%20b/c%2Fd"
        async with client_class(url, api_key=TOKEN) as client:
            await client.send_data("dev-a", NUMBERS)
    assert server.requests[0].startswith(
        b"POST /a%20b/c%2Fd/api/v1/ingest/dev-a HTTP/1.1\r\n"
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://sensors.example.org", "http://sensors.example.org"),
        (" https://sensors.example.org/\n", "https://sensors.example.org"),
        ("HTTPS://Sensors.Example.org//", "https://sensors.example.org"),
        ("http://10.0.0.2:8080/api/", "http://10.0.0.2:8080/api"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_url_is_normalized(text: str, url: str) -> None:
    """Joining a path to it gives no double slash."""
    assert str(normalize_url(text)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sensors.example.org",
        "sensors.example.org:8080",
        "http://",
        "ftp://sensors.example.org",
        "http://user@sensors.example.org",
        "http://user:hunter2@sensors.example.org",
        "http://:hunter2@sensors.example.org",
        "http://sensors.example.org?key=hunter2",
        "http://sensors.example.org#hunter2",
        "http://sensors.example.org:hunter2",
        "http://sensors.example.org:99999",
        "http://[::1",
    ],
)
def test_what_is_no_url_of_a_server_is_refused_and_not_repeated(text: str) -> None:
    """A URL that was typed may hold a password."""
    with pytest.raises(ValidationError) as caught:
        normalize_url(text)
    assert caught.value.field == "URL"
    assert "Write it like https://" in str(caught.value)
    assert "hunter2" not in repr((caught.value, caught.value.__context__))


async def test_given_session_is_left_open(sandbox: Sandbox) -> None:
    """Who made it closes it."""
    async with aiohttp.ClientSession() as session:
        async with AsyncSensorVisionClient(
            sandbox.url, api_key=TOKEN, session=session
        ) as client:
            await client.send_data("dev-a", NUMBERS)
        assert not session.closed
        await client.send_data("dev-a", NUMBERS)
    assert len(sandbox.store.values("dev-a")) == 2


@both_clients
async def test_own_connections_are_closed(client_class: ClientClass) -> None:
    """Leaving the client leaves no socket behind."""
    async with scripted(http_answer(200, STORED)) as server:
        async with client_class(server.url, api_key=TOKEN) as client:
            await client.send_data("dev-a", NUMBERS)
            await client.send_data("dev-a", NUMBERS)
            assert server.closed == 0
        await eventually(lambda: server.closed == 1)


@both_clients
async def test_client_that_was_never_used_closes(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Closing twice does no harm either."""
    client = client_class(sandbox.url, api_key=TOKEN)
    await client.close()
    await client.close()
    assert not sandbox.requests


@both_clients
async def test_connection_is_reused(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Three requests are one connection."""
    async with scripted(http_answer(200, STORED)) as server:
        async with client_class(server.url, api_key=TOKEN) as client:
            for _ in range(3):
                await client.send_data("dev-a", NUMBERS)
        await eventually(lambda: server.closed)
    assert (len(server.requests), server.closed) == (3, 1)


@both_clients
async def test_endless_answer_is_cut_off(client_class: ClientClass) -> None:
    """No true answer is as long, and memory is not endless."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 \r\n\r\n")
        while True:
            writer.write(b"x" * 16_384)
            await writer.drain()

    async with (
        scripted(speak) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        answer = await client.post("dev-a", NUMBERS)
        await eventually(lambda: server.closed)
    assert not answer.is_json


async def test_cancelled_request_closes_its_connection_and_the_next_one_works(
    sandbox: Sandbox,
) -> None:
    """An answer that comes late must not be taken for the next one's."""
    async with (
        scripted(silence, http_answer(200, STORED)) as server,
        aiohttp.ClientSession() as session,
    ):
        client = AsyncSensorVisionClient(server.url, api_key=TOKEN, session=session)
        task = asyncio.create_task(client.send_data("dev-a", NUMBERS))
        await eventually(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.closed)
        await client.send_data("dev-a", NUMBERS)
    assert len(server.requests) == 2
