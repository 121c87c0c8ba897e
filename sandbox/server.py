"""The HTTP server: connections, faults, and how an answer is written."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
import logging
import socket
import struct
import uuid

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDictProxy

from .answers import Answer, container_refusal, failure, proxy_page
from .context import Call, Context
from .faults import Fault
from .pipeline import Pipeline, header_map, too_many_requests
from .routes.admin import ADMIN_ROUTES, refusal
from .routes.page import EVENTS_PATH, PAGE_ROUTES, is_own_path, stream_events
from .routing import NoSuchPath, Router, WrongMethod

KEEP_ALIVE_S = 60
MAX_REQUESTS_PER_CONNECTION = 100
MAX_RECORDED_REQUESTS = 10_000

_APPLICATION_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "0",
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Frame-Options": "DENY",
}
_PORTAL = Answer(
    200,
    b"<!doctype html><html><head><title>Welcome</title></head>"
    b"<body><h1>Sign in to use this network</h1></body></html>",
    "text/html;charset=utf-8",
    from_application=False,
)
_SILENT = logging.getLogger(f"{__name__}.access")
_SILENT.disabled = True
_LINGER_AND_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class ArrivedRequest:
    """A request as it came over the wire.

    Attributes:
        method: HTTP method.
        path: Raw target, with its query.
        headers: All headers.
        body: The whole body.
    """

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes


class _Connection(web.RequestHandler):
    """A connection that answers what it cannot parse as the servlet container does."""

    __slots__ = ("served",)

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=KEEP_ALIVE_S,
            auto_decompress=False,
            access_log=_SILENT,
        )
        self.served = 0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is not HTTP, or whose handler failed."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        answer = container_refusal()
        response = web.Response(
            status=answer.status, body=answer.body, headers=header_map(answer, {})
        )
        response.force_close()
        return response


class _Server(web.Server):
    """Makes the connections, and requests without a limit on their bodies."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._loop)

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=0
        )


class HttpServer:
    """Takes requests, remembers them, and writes the answers."""

    def __init__(self, context: Context) -> None:
        self.requests: deque[ArrivedRequest] = deque(maxlen=MAX_RECORDED_REQUESTS)
        self._context = context
        self._pipeline = Pipeline(context)
        self._own = Router((*ADMIN_ROUTES, *PAGE_ROUTES))
        self._closing = asyncio.Event()

    def make(self) -> web.Server:
        """Return what a runner serves."""
        return _Server(self._handle)

    def close(self) -> None:
        """End everything that waits."""
        self._closing.set()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = await request.read()
        if is_own_path(request.raw_path):
            return await self._handle_own(request, body)
        self.requests.append(
            ArrivedRequest(request.method, request.raw_path, request.headers, body)
        )
        return await self._handle_with_faults(request, body)

    async def _handle_own(
        self, request: web.BaseRequest, body: bytes
    ) -> web.StreamResponse:
        """Answer what belongs to the sandbox, not to the server that it plays."""
        path = request.raw_path.partition("?")[0]
        if path == EVENTS_PATH:
            return await stream_events(request, self._context.feed, self._closing)
        if (answer := refusal(request)) is None:
            try:
                match = self._own.resolve(request.method, tuple(path[1:].split("/")))
            except NoSuchPath:
                answer = Answer(404)
            except WrongMethod:
                answer = Answer(405)
            else:
                call = Call(self._context, request, path, body, match.parameters)
                answer = await match.route.handler(call)
        return await self._write(request, answer)

    async def _handle_with_faults(
        self, request: web.BaseRequest, body: bytes
    ) -> web.StreamResponse:
        """Answer as the faults that are on let it."""
        faults = self._context.faults.take(request.raw_path)
        if not faults:
            return await self._write(
                request, await self._pipeline.answer(request, body)
            )
        if (slow := faults.get("slow_commit")) is not None:
            await self._wait(slow)
        if "reset" in faults:
            return _reset(request)
        answer = _instead(request, faults)
        if answer is None:
            answer = await self._pipeline.answer(request, body)
        if (late := faults.get("latency")) is not None:
            await self._wait(late)
        if "reset_after_commit" in faults:
            return _reset(request)
        if "truncated_chunk" in faults:
            return _truncate(request, answer)
        return await self._write(request, answer)

    async def _wait(self, fault: Fault) -> None:
        """Wait as long as a fault says, or until the server closes."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), fault.seconds)

    async def _write(
        self, request: web.BaseRequest, answer: Answer
    ) -> web.StreamResponse:
        """Write an answer: chunked to HTTP/1.1, ended by closing to HTTP/1.0."""
        # Else the library would write this machine's.
        now = formatdate(self._context.clock.now_s(), usegmt=True)
        headers = {"Date": now, **header_map(answer, _extra_headers(request, answer))}
        is_last = _count(request)
        if request.version >= HttpVersion11 or not answer.body:
            response = web.Response(
                status=answer.status, body=answer.body, headers=headers
            )
            if answer.body and answer.from_application:
                response.enable_chunked_encoding()
            if is_last:
                response.force_close()
            return response
        stream = web.StreamResponse(status=answer.status, headers=headers)
        await stream.prepare(request)
        await stream.write(answer.body)
        await stream.write_eof()
        return stream


def _extra_headers(request: web.BaseRequest, answer: Answer) -> Mapping[str, str]:
    """Return the headers that the application puts on every answer."""
    if not answer.from_application:
        return {}
    correlation_id = request.headers.get("X-Correlation-ID") or str(uuid.uuid4())
    return {**_APPLICATION_HEADERS, "X-Correlation-ID": correlation_id}


def _count(request: web.BaseRequest) -> bool:
    """Count a request and tell whether it is the last of its connection."""
    connection = request.protocol
    if not isinstance(connection, _Connection):
        return False
    connection.served += 1
    return connection.served >= MAX_REQUESTS_PER_CONNECTION


def _instead(request: web.BaseRequest, faults: Mapping[str, Fault]) -> Answer | None:
    """Return what is answered without asking the server at all."""
    for name, fault in faults.items():
        match name:
            case "http_301":
                location = f"https://{request.host}{request.raw_path}"
                return proxy_page(301, {"Location": location})
            case "html_200":
                return _PORTAL
            case "http_429":
                return too_many_requests(int(fault.seconds or 0))
            case "http_500":
                path = request.raw_path.partition("?")[0]
                return failure(path, "CannotCreateTransactionException")
            case "http_502" | "http_503" | "http_504":
                return proxy_page(int(name.removeprefix("http_")))
    return None


def _reset(request: web.BaseRequest) -> web.Response:
    """Reset the connection; what is returned goes nowhere."""
    if request.transport is not None:
        raw: socket.socket = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_AND_RESET)
        request.transport.abort()
    return web.Response()


def _truncate(request: web.BaseRequest, answer: Answer) -> web.Response:
    """Send half of what the chunk's length promises; what is returned goes nowhere."""
    if request.transport is not None:
        head = (
            f"HTTP/1.1 {answer.status} \r\nContent-Type: {answer.content_type}\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{len(answer.body):x}\r\n"
        )
        half = answer.body[: len(answer.body) // 2]
        request.transport.write(head.encode() + half)
        request.transport.close()
    return web.Response()
