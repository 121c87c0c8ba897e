"""``python -m benchmarks.exporters.sink``: take what Home Assistant's exporters send.

It stands for InfluxDB 1 and 2 and for Splunk's event collector at once. What it is sent
it keeps as it is, so that it costs next to nothing beside what is measured.

It prints its port when it listens. Told to ``count`` it says how many values it has; told
to ``write`` it writes them to the file at ``path``.
"""

import asyncio
from collections.abc import Iterator
import json
from pathlib import Path
import re
import time
from typing import Any, NamedTuple, override

from .answering import answer, tell_parent
from .arrivals import Arrival, write_arrivals

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EMPTY = b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\n\r\n"
_POINT = re.compile(rb"[ ,]value=([-+.\de]+).* (\d+)$", re.MULTILINE)
_NS_PER_S = 1e9


def _json(status: str, said: dict[str, Any]) -> bytes:
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


_STORED = _json("200 OK", {"text": "Success", "code": 0})
_NOTHING = _json("400 Bad Request", {"text": "No data", "code": 5})
_UNKNOWN = _json("404 Not Found", {})


class _Kept(NamedTuple):
    arrived_at: float
    is_splunk: bool
    body: bytes


class Sink:
    """What was sent so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: list[_Kept] = []
        self._values = 0

    def answer(self, path: bytes, body: bytes) -> bytes:
        """Keep what was posted, and return what a server would answer."""
        is_splunk = path == b"/services/collector/event"
        if not is_splunk and path not in (b"/write", b"/api/v2/write"):
            return _UNKNOWN
        self._kept.append(_Kept(time.time(), is_splunk, body))
        self._values += body.count(b'"value": ' if is_splunk else b"value=")
        if not is_splunk:
            return _EMPTY
        return _STORED if body else _NOTHING

    async def act(self, order: dict[str, Any]) -> dict[str, Any]:
        """Count, or write down what was sent."""
        if order["do"] == "write":
            write_arrivals(Path(order["path"]), self.arrivals())
        return {"values": self._values}

    def arrivals(self) -> Iterator[Arrival]:
        """Yield every number that was sent."""
        for arrived_at, is_splunk, body in self._kept:
            for number, at in (_events if is_splunk else _points)(body):
                yield Arrival(int(number), at, arrived_at)


def _points(body: bytes) -> Iterator[tuple[float, float]]:
    """Read InfluxDB's line protocol."""
    for point in _POINT.finditer(body):
        yield float(point[1]), int(point[2]) / _NS_PER_S


def _events(body: bytes) -> Iterator[tuple[float, float]]:
    """Read Splunk's events, of which the first says only that there will be others."""
    for line in body.splitlines():
        told = json.loads(line)
        if "value" in told["event"]:
            yield told["event"]["value"], told["time"]


class _Connection(asyncio.Protocol):
    """HTTP as far as these clients speak it: each request tells the length of its body."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._transport: asyncio.Transport | None = None
        self._seen = bytearray()
        self._wanted = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._seen += data
        while len(self._seen) >= self._wanted:
            head_length = self._seen.find(_HEAD_END) + len(_HEAD_END)
            if head_length < len(_HEAD_END):
                return
            head = bytes(self._seen[:head_length])
            length = _LENGTH.search(head)
            self._wanted = head_length + (int(length[1]) if length else 0)
            if len(self._seen) < self._wanted:
                return
            body = bytes(self._seen[head_length : self._wanted])
            del self._seen[: self._wanted]
            self._wanted = 0
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            if self._transport:
                self._transport.write(self._sink.answer(path, body))


async def _serve() -> None:
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(sink), "127.0.0.1", 0)
    tell_parent({"port": server.sockets[0].getsockname()[1]})
    await answer(sink.act)


if __name__ == "__main__":
    asyncio.run(_serve())
