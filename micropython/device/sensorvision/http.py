"""Exchange one request and its answer at a time with a server, over one kept connection."""

from micropython import const

from .connection import Connection
from .protocol import read_answer

_MAX_HEAD_BYTES = const(4096)
_MAX_BODY_BYTES = const(4096)


class HttpClient(Connection):
    """A client of one server; see `Connection` for its arguments.

    Attributes:
        date: the server's clock at its last answer, as it writes it, or "".
    """

    date = ""

    async def send(self, request):
        """Send a `protocol.Request` and return the `protocol.Answer` that came back.

        Raises:
            Unreachable: no whole answer came in time.
        """
        return await self._in_time(self._send(request))

    async def _send(self, request):
        message = (
            f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n"
            f"Host: {self._authority}\r\nContent-Length: {len(request.body)}\r\n"
        )
        for name, value in request.headers.items():
            message += f"{name}: {value}\r\n"
        if self._socket and self._socket.read(1) is not None:
            # Nobody speaks unasked: the server has closed the connection.
            self.close()
        await self._ask((message + "\r\n").encode() + request.body)
        status = 0
        while status < 200:
            version, _, status = (await self._line()).partition(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError("this is no HTTP")
            status = int(status[:3])
            headers = await self._headers()
        self.date = headers.get("date", "")
        body, is_whole = await self._body(status, headers)
        # What nobody asked for would be taken for the next answer.
        self._is_keeping = (
            is_whole
            and not self._received
            and version != "HTTP/1.0"
            and headers.get("connection", "").lower() != "close"
        )
        return read_answer(status, headers, body)

    async def _line(self):
        while b"\n" not in self._received:
            if len(self._received) > _MAX_HEAD_BYTES:
                raise ValueError("an endless line")
            await self._receive()
        line, _, self._received = self._received.partition(b"\n")
        return line.decode().strip()

    async def _headers(self):
        headers = {}
        left = _MAX_HEAD_BYTES
        while left > 0:
            line = await self._line()
            if not line:
                return headers
            left -= len(line)
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise ValueError("endless headers")

    async def _body(self, status, headers):
        body = b""
        if status == 204:
            return body, True
        if "transfer-encoding" in headers:
            # It is chunked: no other was asked for.
            size = 1
            while size:
                size = int((await self._line()).partition(";")[0], 16)
                if len(body) + size > _MAX_BODY_BYTES:
                    return body, False
                body += await self._take(size)
                # Behind a chunk follows an empty line, behind the last one even headers.
                await self._headers()
            return body, True
        if "content-length" in headers:
            size = int(headers["content-length"])
            return await self._take(min(size, _MAX_BODY_BYTES)), size <= _MAX_BODY_BYTES
        try:
            return await self._take(_MAX_BODY_BYTES), False
        except EOFError:
            return self._received, False
