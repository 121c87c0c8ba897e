"""Stand between a client and its server, and count what goes by."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_CHUNK_BYTES = 65536
_REQUEST_MARK = b" HTTP/1.1\r\n"


@dataclass
class Relay:
    """What has gone by.

    Attributes:
        port: where to connect to in place of the server.
        requests: of HTTP.
        connections: how many were opened.
        bytes_up: that the client has sent, without what TCP adds.
        bytes_down: that it was sent.
    """

    port: int = 0
    requests: int = 0
    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def clear(self) -> None:
        """Count from nothing."""
        self.requests = self.connections = self.bytes_up = self.bytes_down = 0

    async def carry_up(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        """Carry what the client says."""
        before = b""
        while data := await source.read(_CHUNK_BYTES):
            self.bytes_up += len(data)
            seen = before + data
            self.requests += seen.count(_REQUEST_MARK)
            # A mark may be cut in two, but none is counted twice.
            before = seen[-len(_REQUEST_MARK) + 1 :]
            target.write(data)
            await target.drain()

    async def carry_down(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        """Carry what the server says."""
        while data := await source.read(_CHUNK_BYTES):
            self.bytes_down += len(data)
            target.write(data)
            await target.drain()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """Relay to a port of the loopback address until the block ends."""
    relay = Relay()
    sessions: set[asyncio.Task[None]] = set()

    async def session(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if task := asyncio.current_task():
            sessions.add(task)
        relay.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        ways = [
            asyncio.ensure_future(relay.carry_up(reader, far_writer)),
            asyncio.ensure_future(relay.carry_down(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in sessions:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*sessions, return_exceptions=True)
