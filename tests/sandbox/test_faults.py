"""Faults that are switched on: what a client sees, and what is stored."""

import asyncio
import json
import time

import pytest

from sandbox.faults import Faults, parse
from sandbox.routes.admin import is_loopback

from .conftest import JSON_TYPE, Client, eventually
from .wire import send

_FAULTS = "/_sandbox/faults"


@pytest.mark.parametrize(
    ("name", "status", "content_type", "text"),
    [
        ("http_429", 429, "application/json", '"retryAfter":1'),
        (
            "http_500",
            500,
            "application/problem+json",
            "CannotCreateTransactionException",
        ),
        ("http_502", 502, "text/html", "502 Bad Gateway"),
        ("http_503", 503, "text/html", "503 Service Temporarily Unavailable"),
        ("http_504", 504, "text/html", "504 Gateway Timeout"),
        ("http_301", 301, "text/html", "301 Moved Permanently"),
        ("html_200", 200, "text/html;charset=utf-8", "Sign in to use this network"),
    ],
)
async def test_fault_answers_in_place_of_the_server(
    client: Client, name: str, status: int, content_type: str, text: str
) -> None:
    """Nothing is stored, and the next request passes."""
    client.sandbox.faults.set(name, times=1)
    reply = await client.ingest("dev-a", '{"t":1}')
    assert (reply.status, reply.headers["Content-Type"]) == (status, content_type)
    assert text in reply.body.decode()
    assert client.sandbox.store.values("dev-a") == []
    assert (await client.ingest("dev-a", '{"t":1}')).status == 200


async def test_redirect_leads_to_https(client: Client) -> None:
    """The path stays, the scheme changes."""
    client.sandbox.faults.set("http_301")
    reply = await client.ingest("dev-a", '{"t":1}')
    assert reply.headers["Location"] == "https://sandbox/api/v1/ingest/dev-a"


@pytest.mark.parametrize(("name", "stored"), [("reset", 0), ("reset_after_commit", 1)])
async def test_connection_is_reset(client: Client, name: str, stored: int) -> None:
    """Whether before or after the commit, the client cannot know."""
    client.sandbox.faults.set(name, times=1)
    with pytest.raises(ConnectionResetError):
        await client.ingest("dev-a", '{"t":1}')
    assert len(client.sandbox.store.values("dev-a")) == stored


async def test_truncated_chunk_ends_within_the_body(client: Client) -> None:
    """The reading is stored, the answer is half there."""
    from http.client import IncompleteRead

    client.sandbox.faults.set("truncated_chunk", times=1)
    with pytest.raises(IncompleteRead):
        await client.ingest("dev-a", '{"t":1}')
    assert len(client.sandbox.store.values("dev-a")) == 1


async def test_latency_delays_the_answer_but_not_the_commit(client: Client) -> None:
    """The reading is there before its answer."""
    client.sandbox.faults.set("latency", seconds=0.1, times=1)
    started = time.monotonic()
    request = asyncio.create_task(client.ingest("dev-a", '{"t":1}'))
    await eventually(lambda: client.sandbox.store.values("dev-a"))
    assert not request.done()
    assert (await request).status == 200
    assert time.monotonic() - started >= 0.1


async def test_slow_commit_goes_on_when_the_client_has_gone(client: Client) -> None:
    """A timeout is ambiguous: the reading arrives after all."""
    client.sandbox.faults.set("slow_commit", seconds=0.1, times=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.ingest("dev-a", '{"t":1}')
    assert client.sandbox.store.values("dev-a") == []
    await eventually(lambda: client.sandbox.store.values("dev-a"))


async def test_fault_hits_only_its_path_and_goes_with_delays(client: Client) -> None:
    """Of two that answer, the first that was set hits; a delay goes with it."""
    faults = client.sandbox.faults
    faults.set("http_503", times=1, path="/api/v1/ingest")
    faults.set("http_502", times=1)
    faults.set("latency", seconds=0.0, times=2)
    assert (await client.ingest("dev-a", '{"t":1}')).status == 503
    other = await send(client.sandbox.url, "GET", "/api/v1/devices")
    assert other.status == 502
    assert faults.active() == []


async def test_closing_does_not_wait_for_a_delay(client: Client) -> None:
    """A waiting request ends with the server."""
    client.sandbox.faults.set("latency", seconds=60)
    request = asyncio.create_task(client.ingest("dev-a", '{"t":1}'))
    await eventually(lambda: client.sandbox.store.values("dev-a"))
    started = time.monotonic()
    await client.sandbox.close()
    assert time.monotonic() - started < 1
    assert (await asyncio.gather(request, return_exceptions=True))[0] is not None


async def test_faults_are_switched_over_http(client: Client) -> None:
    """One or several, listed, and cleared one by one or at once."""
    url = client.sandbox.url
    both = [{"name": "http_503", "times": 2}, {"name": "latency", "seconds": 0}]
    listed = (await send(url, "PUT", _FAULTS, JSON_TYPE, json.dumps(both))).json()
    assert [fault["name"] for fault in listed["faults"]] == ["http_503", "latency"]
    assert "broker_down" in listed["available"]
    assert (await client.ingest("dev-a", "{}")).status == 503
    assert (await send(url, "GET", _FAULTS)).json()["faults"][0]["times"] == 1
    assert (await send(url, "DELETE", f"{_FAULTS}?name=http_503")).status == 204
    assert (await client.ingest("dev-a", "{}")).status == 400
    assert (await send(url, "DELETE", _FAULTS)).status == 204
    assert (await send(url, "GET", _FAULTS)).json()["faults"] == []


@pytest.mark.parametrize(
    "body",
    [
        *('{"name":"flood"}', '{"times":3}', '{"name":"http_503","times":0}', "{"),
        *('{"name":"http_503","times":true}', '{"name":"http_503","color":1}', "[1]"),
        *('{"name":"http_503","seconds":1}', '{"name":"latency","seconds":-1}'),
        '{"name":"latency","seconds":1e999}',
    ],
)
async def test_bad_fault_is_refused_in_words(client: Client, body: str) -> None:
    """Nothing is switched on."""
    reply = await send(client.sandbox.url, "PUT", _FAULTS, JSON_TYPE, body)
    assert reply.status == 400
    assert reply.json()["error"]
    assert client.sandbox.faults.active() == []


@pytest.mark.parametrize("path", [_FAULTS, "/_sandbox/reset", "/_sandbox/modes"])
async def test_page_of_another_site_cannot_switch_anything(
    client: Client, path: str
) -> None:
    """A browser on this machine is no way in."""
    origin = {"Origin": "https://elsewhere.invalid"}
    reply = await send(client.sandbox.url, "POST", path, origin, "{}")
    assert reply.status == 403


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        *(
            ("127.0.0.1", True),
            ("127.8.8.8", True),
            ("::1", True),
            ("::ffff:127.0.0.1", True),
        ),
        *(("192.168.1.7", False), ("::ffff:192.168.1.7", False), ("fe80::1", False)),
        *((None, False), ("", False), ("0.0.0.0", False)),
    ],
)
def test_only_this_machine_may_switch(address: str | None, *, is_own: bool) -> None:
    """Loopback in either family, also mapped into the other."""
    assert is_loopback(address) is is_own


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_unknown_path_of_the_sandbox_is_not_found(
    client: Client, method: str
) -> None:
    """The sandbox's own paths have ordinary answers."""
    assert (await send(client.sandbox.url, method, "/_sandbox/nothing")).status == 404
    assert (await send(client.sandbox.url, method, "/_sandbox/reset")).status == 405


@pytest.mark.parametrize(
    ("text", "active"),
    [
        (
            "http_503",
            {"name": "http_503", "times": None, "path": None, "seconds": None},
        ),
        ("http_503:3", {"name": "http_503", "times": 3, "path": None, "seconds": None}),
        (
            "latency:0.5",
            {"name": "latency", "times": None, "path": None, "seconds": 0.5},
        ),
        (
            "latency:seconds=2,times=4,path=/api",
            {"name": "latency", "times": 4, "path": "/api", "seconds": 2.0},
        ),
    ],
)
def test_fault_is_read_from_the_command_line(
    text: str, active: dict[str, object]
) -> None:
    """A bare number means what it most likely means."""
    faults = Faults()
    faults.set(**parse(text))
    assert faults.active() == [active]


@pytest.mark.parametrize("text", ["http_503:x", "http_503:times=x", "latency:x"])
def test_bad_fault_on_the_command_line_is_refused(text: str) -> None:
    """The text says what it should be."""
    with pytest.raises(ValueError, match=r"x"):
        parse(text)
