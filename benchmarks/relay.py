"""Stand between a client and its server, count what goes by, and cut the line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override

_REQUEST_MARK = b" HTTP/1.1\r\n"
_MQTT_CONNECT = 0x10
_MQTT_PUBLISH = 3


@dataclass
class Relay:
    """What has gone by.

    Attributes:
        port: where to connect to in place of the server.
        requests: of HTTP, or messages that were published over MQTT.
        connections: how many were opened.
        bytes_up: that the client has sent, without what TCP adds.
        bytes_down: that it was sent.
        server_port: what is relayed to.
        ends: of the connections that are open.
    """

    port: int = 0
    requests: int = 0
    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    server_port: int = 0
    ends: set[asyncio.Transport] = field(default_factory=set, repr=False)
    _server: asyncio.Server | None = None

    def clear(self) -> None:
        """Count from nothing."""
        self.requests = self.connections = self.bytes_up = self.bytes_down = 0

    async def accept(self) -> None:
        """Take connections, at the port of the first time."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Near(self), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Take no connection any more, and break those that there are."""
        if self._server:
            self._server.close()
            self._server = None
        for transport in tuple(self.ends):
            transport.abort()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """Relay to a port of the loopback address until the block ends."""
    relay = Relay(server_port=port)
    await relay.accept()
    try:
        yield relay
    finally:
        relay.refuse()


class _End(asyncio.Protocol):
    """One end of a connection, which hands what it is sent to the other end."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport
            self._relay.ends.add(transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)

    @override
    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport:
            self._relay.ends.discard(self.transport)
        if self.other and self.other.transport:
            self.other.transport.close()


class _Near(_End):
    """The end at the client, which counts."""

    def __init__(self, relay: Relay) -> None:
        super().__init__(relay)
        self._counter: _HttpRequests | _MqttMessages | None = None
        self._connecting: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relay.connections += 1
        if self.transport:
            self.transport.pause_reading()
            self._connecting = asyncio.create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: _Far(self._relay, self), "127.0.0.1", self._relay.server_port
            )
        except OSError:
            transport.abort()
        else:
            transport.resume_reading()

    @override
    def data_received(self, data: bytes) -> None:
        self._relay.bytes_up += len(data)
        if self._counter is None:
            is_mqtt = data[0] == _MQTT_CONNECT
            self._counter = _MqttMessages() if is_mqtt else _HttpRequests()
        self._relay.requests += self._counter.count(data)
        super().data_received(data)


class _Far(_End):
    """The end at the server."""

    def __init__(self, relay: Relay, near: _Near) -> None:
        super().__init__(relay)
        self.other, near.other = near, self

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.other and self.other.transport and self.other.transport.is_closing():
            transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        self._relay.bytes_down += len(data)
        super().data_received(data)


class _HttpRequests:
    """Count requests in what comes in pieces."""

    def __init__(self) -> None:
        self._before = b""

    def count(self, data: bytes) -> int:
        seen = self._before + data
        # A mark may be cut in two, but none is counted twice.
        self._before = seen[-len(_REQUEST_MARK) + 1 :]
        return seen.count(_REQUEST_MARK)


class _MqttMessages:
    """Count published messages in what comes in pieces."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0

    def count(self, data: bytes) -> int:
        found = at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
                continue
            self._head.append(data[at])
            at += 1
            if len(self._head) > 1 and self._head[-1] < 0x80:
                found += self._head[0] >> 4 == _MQTT_PUBLISH
                self._left = sum(
                    (byte & 0x7F) << (7 * place)
                    for place, byte in enumerate(self._head[1:])
                )
                self._head.clear()
        return found
