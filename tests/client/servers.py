"""Small servers on real sockets, for what the sandbox has no fault for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from ssl import SSLContext

from aiohttp import ClientSession, web
import trustme

from sandbox import Sandbox

TOKEN = "11111111-1111-4111-8111-111111111111"
INGEST = "/api/v1/ingest/"
CONNECTIVITY = "/api/v1/connectivity/http"

_DEADLINE_S = 10
_POLL_S = 0.002

STORED = json.dumps({"success": True, "message": "Data received successfully"}).encode()


def poison(sandbox: Sandbox, *variables: str) -> None:
    """Let the database fail on values of some variables, as a rule of its own may."""
    for variable in variables:
        sandbox.store.connection.execute(
            f"CREATE TRIGGER IF NOT EXISTS poison_{variable} BEFORE INSERT ON"
            " variable_values WHEN NEW.variable_id IN"
            f" (SELECT id FROM variables WHERE name = '{variable}')"
            " BEGIN SELECT RAISE(ABORT, 'poison'); END"
        )


def cure(sandbox: Sandbox, *variables: str) -> None:
    """Take the poison out again."""
    for variable in variables:
        sandbox.store.connection.execute(f"DROP TRIGGER poison_{variable}")


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, and fail if it does not in time."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


def http_answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP/1.1 answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(slots=True)
class Script:
    """A server that says what it was told to, whatever it is asked.

    Attributes:
        url: where it listens.
        requests: the heads and bodies that arrived.
        closed: how many connections the other side has closed.
    """

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    closed: int = 0


type Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.decode().lower().split("\r\n"):
        if line.startswith("content-length:"):
            length = int(line.partition(":")[2])
    return head + await reader.readexactly(length)


def silence(_writer: asyncio.StreamWriter) -> Awaitable[None]:
    """Say nothing until the other side gives up."""
    return asyncio.get_running_loop().create_future()


async def _is_heard(
    speak: Speak, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Speak, and tell whether the other side has listened to the end."""
    speaking = asyncio.ensure_future(speak(writer))
    leaving = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return not leaving.done() and speaking.result() is None
    finally:
        speaking.cancel()
        leaving.cancel()
        await asyncio.gather(speaking, leaving, return_exceptions=True)


@asynccontextmanager
async def scripted(
    *answers: bytes | Speak, ssl: SSLContext | None = None
) -> AsyncIterator[Script]:
    """Serve answers, one a request, the last one for ever."""
    script = Script()
    left = list(answers)
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                script.requests.append(await read_request(reader))
                answer = left.pop(0) if len(left) > 1 else left[0]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                elif not await _is_heard(answer, reader, writer):
                    return
        except asyncio.IncompleteReadError, ConnectionError:
            pass
        finally:
            script.closed += 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    port = server.sockets[0].getsockname()[1]
    script.url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}"
    try:
        yield script
    finally:
        server.close()
        tasks = [task for task in serving if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(
    sandbox: Sandbox,
    prefix: str,
    instead: Callable[[bytes], web.Response | None] = lambda _body: None,
) -> AsyncIterator[str]:
    """Put a proxy that serves below a path in front of a sandbox, and yield its URL.

    What `instead` returns for a request's body is answered in the sandbox's place.
    """

    async def forward(request: web.Request) -> web.Response:
        if answer := instead(await request.read()):
            return answer
        async with session.request(
            request.method,
            sandbox.url + request.match_info["rest"],
            headers={
                name: value
                for name, value in request.headers.items()
                if name not in ("Host", "Content-Length")
            },
            data=await request.read() or None,
        ) as response:
            return web.Response(
                status=response.status,
                body=await response.read(),
                content_type=response.content_type,
            )

    app = web.Application()
    app.router.add_route("*", prefix + "{rest:/.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        async with ClientSession() as session:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """Answer everything below `/api/v1/ingest/{device}` and elsewhere; yield the URL."""
    app = web.Application()
    app.router.add_route("*", INGEST + "{device}", answer)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def server_context(authority: trustme.CA, host: str = "127.0.0.1") -> SSLContext:
    """Return a server's TLS context with a certificate for a host."""
    from ssl import PROTOCOL_TLS_SERVER

    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context
