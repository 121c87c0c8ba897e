"""The live page: devices, latest values, charts, and a stream of what arrives."""

import asyncio
from contextlib import suppress
from functools import cache
import gzip
from importlib.util import find_spec
import json
from pathlib import Path

from aiohttp import web

from sandbox.answers import Answer, ok
from sandbox.context import Call
from sandbox.feed import Feed, Subscription
from sandbox.routing import Route

from .admin import is_loopback

EVENTS_PATH = "/_sandbox/events"

_STATIC = Path(__file__).parent.parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PLOTLY = "plotly.min.js"
_GZIP_LEVEL = 6
_MAX_HISTORY = 500
_STREAM_PERIOD_S = 0.25
_HEARTBEAT_S = 15
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def is_own_path(target: str) -> bool:
    """Tell whether a request is for the sandbox rather than for the server it plays."""
    path = target.partition("?")[0]
    return path in ("/", "/favicon.ico") or path.startswith("/_sandbox/")


async def index(call: Call) -> Answer:
    """Serve the page."""
    return await _file("index.html")


async def icon(call: Call) -> Answer:
    """Serve the page's icon."""
    return await _file("icon.svg")


async def static(call: Call) -> Answer:
    """Serve one of the page's files, or Plotly's own script from its package."""
    name = call.parameters["file"]
    if name == _PLOTLY:
        # Compressing takes a while; nobody else shall wait for it.
        body = await asyncio.to_thread(_plotly)
        headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=86400"}
        return _page_answer(body, _TYPES[".js"], headers)
    if name not in {file.name for file in _STATIC.iterdir()}:
        return Answer(404, from_application=False)
    return await _file(name)


async def _file(name: str) -> Answer:
    """Serve a file of the page."""
    path = _STATIC / name
    body = await asyncio.to_thread(path.read_bytes)
    return _page_answer(body, _TYPES[path.suffix], {"Cache-Control": "no-cache"})


def _page_answer(body: bytes, content_type: str, headers: dict[str, str]) -> Answer:
    """Answer with a file that may do nothing but what the page needs."""
    guards = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Answer(
        200, body, content_type, {**guards, **headers}, from_application=False
    )


@cache
def _plotly() -> bytes:
    """Return Plotly's script as its Python package ships it, compressed."""
    package = find_spec("plotly")
    if package is None or package.origin is None:
        raise FileNotFoundError("The package plotly is not installed.")
    script = Path(package.origin).parent / "package_data" / _PLOTLY
    return gzip.compress(script.read_bytes(), _GZIP_LEVEL, mtime=0)


async def state(call: Call) -> Answer:
    """Return all devices with their variables' latest values."""
    call.context.ingestion.mark_silent_devices_offline()
    store = call.context.store
    organizations = {
        row["id"]: row["name"] for row in store.rows("SELECT * FROM organizations")
    }
    variables: dict[int, list[dict[str, object]]] = {}
    for row in store.rows("SELECT * FROM variables ORDER BY name"):
        variables.setdefault(row["device_id"], []).append(
            {
                "name": row["name"],
                "displayName": row["display_name"],
                "unit": row["unit"],
                "places": row["decimal_places"],
                "value": None
                if row["last_value"] is None
                else float(row["last_value"]),
                "time": _seconds(row["last_value_at"]),
            }
        )
    return ok(
        {
            "now": call.context.clock.now_s(),
            "example": _example(call),
            "devices": [
                {
                    "id": device.external_id,
                    "name": device.name,
                    "organization": organizations[device.organization_id],
                    "status": device.status,
                    "lastSeen": _seconds(device.last_seen_at),
                    "variables": variables.get(device.id, []),
                }
                for device in store.devices()
            ],
        }
    )


def _example(call: Call) -> dict[str, str | None] | None:
    """Return the device for the page's example; its token only to this machine."""
    row = call.context.store.row(
        "SELECT external_id, api_token FROM devices"
        " WHERE api_token IS NOT NULL ORDER BY id"
    )
    if row is None:
        return None
    is_here = is_loopback(call.request.remote)
    return {
        "device": row["external_id"],
        "token": row["api_token"] if is_here else None,
    }


def _seconds(microseconds: int | None) -> float | None:
    """Return seconds since 1970, as the page counts."""
    return None if microseconds is None else microseconds / 1e6


async def history(call: Call) -> Answer:
    """Return the newest values of a variable as times and values, oldest first."""
    rows = call.context.store.rows(
        "SELECT timestamp, value FROM variable_values"
        " JOIN variables ON variables.id = variable_id"
        " JOIN devices ON devices.id = device_id"
        " WHERE external_id = ? AND variables.name = ?"
        " ORDER BY timestamp DESC, variable_values.id DESC LIMIT ?",
        call.query.get("device", ""),
        call.query.get("variable", ""),
        _MAX_HISTORY,
    )
    rows.reverse()
    return ok(
        {
            "times": [timestamp / 1e6 for timestamp, _ in rows],
            "values": [float(value) for _, value in rows],
        }
    )


async def stream_events(
    request: web.BaseRequest, feed: Feed, closing: asyncio.Event
) -> web.StreamResponse:
    """Send what arrives as server-sent events until either side closes."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    with feed.subscribe() as subscription, suppress(ConnectionError):
        await response.write(b"retry: 1000\n\n")
        while not closing.is_set():
            await _arrival(subscription, closing)
            await response.write(_event(subscription))
            with suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), _STREAM_PERIOD_S)
    return response


def _event(subscription: Subscription) -> bytes:
    """Write what is pending as one event; nothing is a heartbeat."""
    if subscription.is_behind:
        subscription.drain()
        return b"event: reload\ndata:\n\n"
    if readings := subscription.drain():
        return f"event: readings\ndata: {json.dumps(readings)}\n\n".encode()
    return b": still here\n\n"


async def _arrival(subscription: Subscription, closing: asyncio.Event) -> None:
    """Wait for a reading, for the end, or for the time of a heartbeat."""
    waits = [
        asyncio.create_task(event.wait()) for event in (subscription.arrived, closing)
    ]
    try:
        await asyncio.wait(
            waits, timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for wait in waits:
            wait.cancel()


PAGE_ROUTES = (
    Route("GET", "/", index),
    Route("GET", "/favicon.ico", icon),
    Route("GET", "/_sandbox/static/{file}", static),
    Route("GET", "/_sandbox/state", state),
    Route("GET", "/_sandbox/history", history),
)
