"""Servers that behave as a script says, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import socket
import ssl

OK_BODY = b'{"success":true,"message":"Data received successfully"}'
OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(OK_BODY), OK_BODY)
)

HANG = None
"""In the place of bytes: say no more, and leave the connection open."""

CLOSE = b""
"""In the place of bytes: close the connection."""

type Answer = Sequence[bytes | None]
"""The pieces of one answer, each sent on its own."""


@dataclass
class ScriptedServer:
    """A server that gives its answers in turn, the last one for ever.

    Attributes:
        url: where it answers.
        requests: the requests that came, heads and bodies.
        connections: how many connections were opened.
        reads: how many pieces the requests arrived in.
    """

    answers: Sequence[Answer]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    reads: int = 0
    given_up: int = 0

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            while request := await self._read_request(reader):
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                for piece in answer:
                    if piece is HANG:
                        await reader.read()
                        return
                    if piece == CLOSE:
                        return
                    writer.write(piece)
                    await writer.drain()
                    # Lets the piece arrive on its own.
                    await asyncio.sleep(0.002)
        except ConnectionError, ssl.SSLError:
            self.given_up += 1
        finally:
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> bytes:
        request = b""
        while True:
            piece = await reader.read(65536)
            if not piece:
                return b""
            self.reads += 1
            request += piece
            head, end, body = request.partition(b"\r\n\r\n")
            if not end:
                continue
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            if len(body) >= length:
                return request


@asynccontextmanager
async def scripted(
    *answers: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedServer]:
    """Run a server that answers like this."""
    script = ScriptedServer(answers)
    server = await asyncio.start_server(script._serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    script.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield script
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


@asynccontextmanager
async def silent(*, is_full: bool) -> AsyncIterator[str]:
    """Run a listener that never speaks, or does not even take connections when it is full.

    Yields:
        Host and port.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        # One more than the kernel queues: the next connection is left without an answer.
        for _ in range(2 if is_full else 0):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for client in waiting:
            client.close()
        listener.close()
