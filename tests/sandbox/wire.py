"""A client that sends exactly what it is told, byte for byte, and reads what comes back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
import json
from typing import Any
from urllib.parse import urlsplit

DEADLINE_S = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: Its headers.
        body: The whole body, taken out of its chunks.
        raw: Every byte that came.
    """

    status: int
    headers: HTTPMessage
    body: bytes
    raw: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever the server says
        """Read the body as JSON."""
        return json.loads(self.body)


class _Bytes:
    """What ``HTTPResponse`` takes for a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> BytesIO:
        """Return the bytes as a file."""
        return BytesIO(self._raw)


def parse(raw: bytes, method: str) -> Reply:
    """Parse an answer that was read to its end."""
    response = HTTPResponse(_Bytes(raw), method=method)  # type: ignore[arg-type]
    response.begin()
    return Reply(response.status, response.headers, response.read(), raw)


async def exchange(url: str, raw: bytes) -> bytes:
    """Send bytes to a server and return all that it sends until it closes."""
    address = urlsplit(url)
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(raw)
            return await reader.read()
        finally:
            writer.close()


async def send(
    url: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    *,
    version: str = "1.1",
) -> Reply:
    """Send a request with exactly this path and these headers."""
    payload = body.encode() if isinstance(body, str) else body or b""
    lines = [f"{method} {path} HTTP/{version}", "Host: sandbox"]
    if version == "1.1":
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(payload)}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return parse(await exchange(url, head + payload), method)
