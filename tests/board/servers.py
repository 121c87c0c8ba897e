"""Servers that behave as a script says, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import socket
import ssl
from typing import Any

import trustme

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


ACK = b"ack"
"""In the place of bytes: what a broker says to the packet that has come."""

CONNECT, PUBLISH = 1, 3


@dataclass
class Packet:
    """One MQTT packet.

    Attributes:
        kind: its type, such as `PUBLISH`.
        flags: the four bits beside the type.
        body: what follows its length.
    """

    kind: int
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        """Return the topic of a PUBLISH."""
        return self.body[2 : 2 + int.from_bytes(self.body[:2])].decode()

    @property
    def id(self) -> int:
        """Return the packet identifier of a PUBLISH with QoS 1."""
        start = 2 + int.from_bytes(self.body[:2])
        return int.from_bytes(self.body[start : start + 2])

    @property
    def acknowledgement(self) -> bytes:
        """Return what a broker says to it."""
        if self.kind == CONNECT:
            return b"\x20\x02\0\0"
        return b"\x40\x02" + self.id.to_bytes(2)


@dataclass
class ScriptedBroker:
    """A broker that answers each packet of a session in turn, the last answer for ever.

    Attributes:
        sessions: the answers of each session, the last one for ever.
        url: where it answers.
        packets: what came, by session.
        reads: how many pieces the packets arrived in.
    """

    sessions: Sequence[Sequence[Answer]]
    url: str = ""
    packets: list[list[Packet]] = field(default_factory=list)
    reads: int = 0

    @property
    def published(self) -> list[Packet]:
        """Return what was published, in all sessions."""
        return [each for some in self.packets for each in some if each.kind == PUBLISH]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answers = self.sessions[min(len(self.packets), len(self.sessions) - 1)]
        packets: list[Packet] = []
        self.packets.append(packets)
        received = b""
        try:
            while piece := await reader.read(65536):
                self.reads += 1
                received += piece
                while packet := _first_packet(received):
                    received = received[packet[1] :]
                    packets.append(packet[0])
                    for answer in answers[min(len(packets), len(answers)) - 1]:
                        if answer is HANG:
                            await reader.read()
                            return
                        if answer == CLOSE:
                            return
                        writer.write(
                            packet[0].acknowledgement if answer == ACK else answer
                        )
                        await writer.drain()
                        # Lets the piece arrive on its own.
                        await asyncio.sleep(0.002)
        except ConnectionError:
            return
        finally:
            writer.close()


def _first_packet(data: bytes) -> tuple[Packet, int] | None:
    size = 0
    for position, byte in enumerate(data[1:5]):
        size |= (byte & 127) << 7 * position
        if byte < 128:
            start = position + 2
            if len(data) < start + size:
                return None
            body = data[start : start + size]
            return Packet(data[0] >> 4, data[0] & 15, body), start + size
    return None


@asynccontextmanager
async def scripted_broker(
    *sessions: Sequence[Answer],
) -> AsyncIterator[ScriptedBroker]:
    """Run a broker that answers like this."""
    script = ScriptedBroker(sessions)
    server = await asyncio.start_server(script._serve, "127.0.0.1", 0)
    script.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
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


def der(authority: trustme.CA) -> bytes:
    """Return an authority's certificate as boards read it."""
    return ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())


def assert_given_up_in_time(outcome: dict[str, Any], step: str) -> None:
    """Make sure that an exchange ended at its deadline of one second."""
    assert outcome["unreachable"].endswith(f"{step}: nothing within 1 s")
    # One that began anew at any step would take another second.
    assert 990 <= outcome["ms"] < 1990
