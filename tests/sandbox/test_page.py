"""The live page: what it is made of, what it is told, and how it looks to a browser."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import gzip
from importlib.util import find_spec
import json
from pathlib import Path
import re
from typing import Any

import aiohttp
import pytest

from sandbox import Sandbox
from sandbox.feed import MAX_PENDING_READINGS, Feed
from sandbox.readings import Reading
from sandbox.values import parse_decimal

from .conftest import DEV_A_TOKEN, Client, eventually
from .wire import send

_EVIL = '<b>"温"&'
_EVIL_PATH = "%3Cb%3E%22%E6%B8%A9%22%26"


async def _get(sandbox: Sandbox, path: str) -> Any:  # noqa: ANN401 - the page's JSON
    """Return JSON of the page's own paths."""
    return (await send(sandbox.url, "GET", path)).json()


class _Events:
    """What a watcher has been sent."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def data(self) -> list[Any]:
        """Return the readings sent so far."""
        texts = [line[6:] for line in self.lines if line.startswith("data: ")]
        return [reading for text in texts for reading in json.loads(text)]


@asynccontextmanager
async def _watch(sandbox: Sandbox) -> AsyncGenerator[_Events]:
    """Follow the server-sent events while the block runs."""
    events = _Events()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.url}/_sandbox/events") as response,
    ):
        assert response.headers["Content-Type"] == "text/event-stream"

        async def follow() -> None:
            async for line in response.content:
                events.lines.append(line.decode().rstrip("\n"))

        following = asyncio.create_task(follow())
        await eventually(lambda: events.lines)
        try:
            yield events
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def test_stored_reading_is_sent_to_who_is_watching(client: Client) -> None:
    """With the time and the values that were stored; nulls are not."""
    async with _watch(client.sandbox) as events:
        await client.ingest(_EVIL_PATH, '{"t":"1.50","n":null}')
        await eventually(events.data)
        (event,) = events.data()
    assert (event["device"], event["values"]) == (_EVIL, {"t": 1.5})
    (row,) = client.sandbox.store.values(_EVIL)
    assert event["time"] == row.timestamp.timestamp()


async def test_refused_reading_is_not_sent(client: Client) -> None:
    """Only what was committed shows."""
    async with _watch(client.sandbox) as events:
        await client.ingest("dev-a", '{"t":1e14}')
        await client.ingest("dev-a", '{"t":2}')
        await eventually(events.data)
        assert [event["values"] for event in events.data()] == [{"t": 2.0}]


async def test_reset_lets_the_page_load_anew(client: Client) -> None:
    """What it shows is gone."""
    async with _watch(client.sandbox) as events:
        await send(client.sandbox.url, "POST", "/_sandbox/reset", body="{}")
        await eventually(lambda: "event: reload" in events.lines)


async def test_watcher_does_not_keep_the_server_from_closing(client: Client) -> None:
    """The stream ends at once."""
    async with _watch(client.sandbox), asyncio.timeout(1):
        await client.sandbox.close()


def test_watcher_that_falls_behind_loads_anew() -> None:
    """Pending readings are bounded."""
    feed = Feed()
    reading = Reading("d", {"t": parse_decimal("1")}, 0)
    with feed.subscribe() as subscription:
        for _ in range(MAX_PENDING_READINGS):
            feed.publish(reading)
        assert not subscription.is_behind
        feed.publish(reading)
        assert subscription.is_behind
        assert subscription.drain() == []
        feed.publish(reading)
        assert len(subscription.drain()) == 1


async def test_state_holds_devices_with_their_latest_values(client: Client) -> None:
    """Units and names for people come with them."""
    await client.ingest("dev-a", '{"outdoorTemp":1.5}')
    state = await _get(client.sandbox, "/_sandbox/state")
    assert [device["id"] for device in state["devices"]] == ["dev-a", "dev-a2", "dev-b"]
    (variable,) = state["devices"][0]["variables"]
    assert (variable["displayName"], variable["value"]) == ("Outdoor Temp", 1.5)
    assert abs(variable["time"] - state["now"]) < 10
    assert state["devices"][2]["organization"] == "Organization B"
    assert state["example"]["device"] == "dev-a"


async def test_history_holds_the_newest_values_oldest_first(client: Client) -> None:
    """At most five hundred of them."""
    items = [
        {
            "deviceId": _EVIL,
            "timestamp": f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z",
            "variables": {"a&b": number},
        }
        for number in range(510)
    ]
    await client.user("POST", "/api/v1/data/bulk", items)
    query = f"device={_EVIL_PATH}&variable=a%26b"
    history = await _get(client.sandbox, f"/_sandbox/history?{query}")
    assert history["values"] == [float(number) for number in range(10, 510)]
    assert history["times"] == sorted(history["times"])
    nothing = await _get(client.sandbox, "/_sandbox/history?device=x&variable=y")
    assert nothing == {"times": [], "values": []}


async def test_page_loads_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    """Everything it names is served here, and a policy forbids the rest."""
    page = await send(sandbox.url, "GET", "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert len(named) >= 5
    for path in named:
        assert path.startswith("/")
        assert (await send(sandbox.url, "GET", path)).status == 200


async def test_charts_are_drawn_by_the_script_of_the_package(sandbox: Sandbox) -> None:
    """It is Plotly's own, as its Python package ships it, compressed once."""
    reply = await send(sandbox.url, "GET", "/_sandbox/static/plotly.min.js")
    assert reply.headers["Content-Encoding"] == "gzip"
    package = find_spec("plotly")
    assert package is not None
    assert package.origin is not None
    shipped = Path(package.origin).parent / "package_data" / "plotly.min.js"
    assert await asyncio.to_thread(gzip.decompress, reply.body) == shipped.read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fschema.sql", "%2e%2e"])
async def test_only_the_pages_own_files_are_served(sandbox: Sandbox, name: str) -> None:
    """No way leads out of the folder."""
    assert (await send(sandbox.url, "GET", f"/_sandbox/static/{name}")).status == 404


async def test_page_never_turns_a_name_into_markup(client: Client) -> None:
    """Device ids hold any character: they are JSON on the wire and text in the page."""
    await client.ingest(_EVIL_PATH, json.dumps({"<img src=x onerror=alert(1)>": 1}))
    url = client.sandbox.url
    state = await send(url, "GET", "/_sandbox/state")
    assert state.headers["Content-Type"] == "application/json"
    assert state.headers["X-Content-Type-Options"] == "nosniff"
    assert _EVIL in [device["id"] for device in state.json()["devices"]]
    assert (await send(url, "GET", "/")).body.count(b"<script") == 2
    script = (await send(url, "GET", "/_sandbox/static/app.js")).body.decode()
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ):
        assert way not in script
    assert "textContent" in script


async def test_example_shows_the_token_only_on_this_machine(client: Client) -> None:
    """Here it is this machine; who is one is tested with the faults."""
    state = await _get(client.sandbox, "/_sandbox/state")
    assert state["example"]["token"] == DEV_A_TOKEN
