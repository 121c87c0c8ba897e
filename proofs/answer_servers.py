"""Servers to try clients on, which know what they have stored, and how often."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
import json
import socket

from sandbox import Sandbox, Settings

TOKEN = "11111111-1111-4111-8111-111111111111"  # noqa: S105
YES = json.dumps({"success": True, "message": "Data received successfully"}).encode()

_CHUNK_BYTES = 65536
_MAX_SENT_BYTES = 64 * 1024 * 1024
_DRIP_EVERY_S = 0.1
_LINGER_S = 1.0

type Speak = Callable[[asyncio.StreamWriter, Facts], Awaitable[None]]


@dataclass(frozen=True)
class Reply:
    """What a scripted server does with one request.

    Attributes:
        answer: bytes, or what writes them.
        stores: whether the data is stored.
    """

    answer: bytes | Speak
    stores: bool = False


@dataclass
class Facts:
    """What a server has seen of one client.

    Attributes:
        url: where it is.
        posts: how often it was asked to store something.
        requests: how often it was asked anything.
        stored: how often it has stored what was meant.
        astray: how much it has stored besides.
        sent_bytes: how much of an endless answer was taken.
        still_open: connections that the client has left open.
        leaked: whether the credential reached a host that it was not given for.
    """

    url: str
    posts: int = 0
    requests: int = 0
    stored: int = 0
    astray: int = 0
    sent_bytes: int = 0
    still_open: int = 0
    leaked: bool = False


@dataclass(frozen=True)
class Order:
    """What a client is told to do.

    Attributes:
        device_id: of the device.
        variables: numbers by name; the texts `NaN` and `Infinity` stand for themselves.
        token: of the device.
        base_path: appended to the server's URL.
        timeout_s: of each attempt, in seconds.
        cancel_after_s: when to cancel, in seconds, or None.
    """

    device_id: str = "dev-a"
    variables: tuple[tuple[str, object], ...] = (("temperature", 21.5),)
    token: str = TOKEN
    base_path: str = ""
    timeout_s: float = 2
    cancel_after_s: float | None = None


type Serve = Callable[[Order], AbstractAsyncContextManager[Facts]]


def sandboxed(**faults: dict[str, object]) -> Serve:
    """Return what runs the sandbox with some faults, each given by its arguments."""

    @asynccontextmanager
    async def serve(order: Order) -> AsyncIterator[Facts]:
        async with Sandbox(Settings(fixtures="contract")) as sandbox:
            for name, arguments in faults.items():
                sandbox.faults.set(name, **arguments)  # type: ignore[arg-type]
            facts = Facts(sandbox.url)
            yield facts
            facts.requests = len(sandbox.requests)
            facts.posts = sum(request.method == "POST" for request in sandbox.requests)
            ((everything,),) = sandbox.store.rows(
                "SELECT COUNT(*) FROM variable_values"
            )
            meant = [
                len(sandbox.store.values(order.device_id, name))
                for name, _ in order.variables
            ]
            facts.stored = max(meant, default=0)
            facts.astray = everything - sum(meant)

    return serve


def scripted(*replies: Reply, prefix: str = "") -> Serve:
    """Return what answers with these in turn, the last one for ever.

    Args:
        replies: to requests below the prefix.
        prefix: requests for anything else are answered 404.
    """

    @asynccontextmanager
    async def serve(_order: Order) -> AsyncIterator[Facts]:
        script = _Script(replies, prefix)
        async with script.listening() as facts:
            yield facts

    return serve


def redirecting(status: int) -> Serve:
    """Return what redirects to another host, which says yes to everything."""

    @asynccontextmanager
    async def serve(_order: Order) -> AsyncIterator[Facts]:
        other = _Script((Reply(answer_of(200, YES)),), "")
        async with other.listening() as seen:
            # Another name is another host, wherever it leads.
            port = seen.url.rpartition(":")[2]
            place = f"http://localhost:{port}/api/v1/ingest/dev-a"
            page = answer_of(status, b"<html>Moved</html>", Location=place)
            async with _Script((Reply(page),), "").listening() as facts:
                yield facts
                facts.leaked = TOKEN.encode() in other.received

    return serve


@asynccontextmanager
async def deaf(_order: Order) -> AsyncIterator[Facts]:
    """Let nobody connect, and say nothing of it: packets are dropped."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # These fill the queue, so that the system ignores who comes next.
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            yield Facts(f"http://127.0.0.1:{address[1]}")


@asynccontextmanager
async def absent(_order: Order) -> AsyncIterator[Facts]:
    """Let nobody listen."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield Facts(f"http://127.0.0.1:{holder.getsockname()[1]}")


def answer_of(
    status: int, body: bytes = b"", kind: str = "application/json", **headers: str
) -> bytes:
    """Return an HTTP answer as it goes over the wire."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def silence(_writer: asyncio.StreamWriter, _facts: Facts) -> None:
    """Say nothing."""
    await asyncio.get_running_loop().create_future()


async def drip(writer: asyncio.StreamWriter, _facts: Facts) -> None:
    """Answer a byte at a time, for longer than anybody waits."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(_DRIP_EVERY_S)


async def gush(writer: asyncio.StreamWriter, facts: Facts) -> None:
    """Answer without an end, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while facts.sent_bytes < _MAX_SENT_BYTES:
        writer.write(b" " * _CHUNK_BYTES)
        await writer.drain()
        facts.sent_bytes += _CHUNK_BYTES
    writer.close()


async def late(writer: asyncio.StreamWriter, _facts: Facts) -> None:
    """Say yes after a second."""
    await asyncio.sleep(_LINGER_S)
    writer.write(answer_of(200, YES))
    await writer.drain()


class _Script:
    """A server that says what it was told to."""

    def __init__(self, replies: Sequence[Reply], prefix: str) -> None:
        self.received = b""
        self._left = list(replies)
        self._prefix = prefix.encode()
        self._facts = Facts("")
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Facts]:
        """Serve until the block ends."""
        facts = self._facts
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        facts.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield facts
            if self._serving:
                await asyncio.wait(self._serving, timeout=_LINGER_S)
            facts.still_open = len(self._serving)
        finally:
            server.close()
            for task in [*self._serving]:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if task := asyncio.current_task():
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length_of(head))
                self.received += head + body
                if not await self._is_answered(head, reader, writer):
                    break
        writer.close()

    async def _is_answered(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer, and tell whether the other side has listened to the end."""
        facts = self._facts
        method, path, _ = head.split(b" ", 2)
        facts.requests += 1
        facts.posts += method == b"POST"
        if method != b"POST":
            writer.write(answer_of(401))
            return True
        if not path.startswith(self._prefix + b"/api/v1/ingest/"):
            writer.write(answer_of(404, b"<html>Not here</html>", "text/html"))
            return True
        reply = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        facts.stored += reply.stores
        if isinstance(reply.answer, bytes):
            writer.write(reply.answer)
            await writer.drain()
            return True
        speaking = asyncio.ensure_future(reply.answer(writer, facts))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return not leaving.done() and speaking.exception() is None
        finally:
            speaking.cancel()
            leaving.cancel()
            await asyncio.gather(speaking, leaving, return_exceptions=True)


def _length_of(head: bytes) -> int:
    for line in head.decode("latin-1").lower().split("\r\n"):
        if line.startswith("content-length:"):
            return int(line.partition(":")[2])
    return 0
