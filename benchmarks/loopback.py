"""A server that costs next to no time: it says yes to every reading, and counts them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import re
import ssl
from typing import cast

# What a SensorVision server says besides, and what a client has to read over.
_HEAD = b"""HTTP/1.1 200 OK
Date: Sat, 28 Nov 2026 12:00:00 GMT
X-Content-Type-Options: nosniff
X-XSS-Protection: 0
Cache-Control: no-cache, no-store, max-age=0, must-revalidate
Pragma: no-cache
Expires: 0
X-Frame-Options: DENY
X-Correlation-ID: 07f959db-4b78-4e06-aec4-b10b3f449867
Content-Type: application/json
""".replace(b"\n", b"\r\n")

_BODY = b'{"success":true,"message":"Data received successfully"}'
_CHUNKED = b"%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
    _HEAD,
    len(_BODY),
    _BODY,
)
# HTTP 1.0 knows no chunks: the body ends with the connection.
_CLOSED = _HEAD + b"\r\n" + _BODY

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass
class Loopback:
    """What the server has seen.

    Attributes:
        port: where it listens on the loopback address.
        readings: how many requests it said yes to.
        connections: how many connections were opened.
        bodies: how often each body came; of benches they are few.
    """

    port: int = 0
    readings: int = 0
    connections: int = 0
    bodies: Counter[bytes] = field(default_factory=Counter)


class _Yes(asyncio.Protocol):
    def __init__(self, seen: Loopback) -> None:
        self._seen = seen
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._seen.connections += 1
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n")
            size = int(length[1]) if length else 0
            if not end or len(rest) < size:
                return
            self._received = rest[size:]
            self._seen.readings += 1
            self._seen.bodies[rest[:size]] += 1
            if head.partition(b"\r\n")[0].endswith(b"HTTP/1.0"):
                self._transport.write(_CLOSED)
                self._transport.close()
            else:
                self._transport.write(_CHUNKED)


@asynccontextmanager
async def loopback(tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """Run the server until the block ends."""
    seen = Loopback()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Yes(seen), "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()
