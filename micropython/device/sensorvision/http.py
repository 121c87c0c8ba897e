"""Exchange one request and its answer at a time with a server, over one kept connection."""

import asyncio
import errno
import gc
import select
import socket

from micropython import const

from .protocol import read_answer
from .url import split_url

_CHUNK_BYTES = const(512)
_MAX_HEAD_BYTES = const(4096)
_MAX_BODY_BYTES = const(4096)


class Unreachable(Exception):
    """The server can't be asked; the message says who did not answer, when and why."""


class HttpClient:
    """A client of one server.

    Args:
        url: the server's, with or without a path prefix.
        ca: the DER certificate of the authority that vouches for the server, for https.
        timeout_s: seconds for a whole exchange, from the look-up of the name to the last
            byte of the answer.
    """

    def __init__(self, url: str, ca: bytes | None = None, timeout_s: int = 20):
        tls, self._host, self._port, self._prefix = split_url(url)
        self._timeout_s = timeout_s
        self._tls = _tls_context(ca) if tls else None
        self._host_header = self._host
        if self._port != (443 if tls else 80):
            self._host_header += f":{self._port}"
        self._address = None
        self._connection = None
        self._socket = None
        self._stream = None
        self._poll = None
        self._received = b""
        self._step = ""

    async def send(self, request):
        """Send a `protocol.Request` and return the `protocol.Answer` that came back.

        Raises:
            Unreachable: no whole answer came in time.
        """
        try:
            return await asyncio.wait_for(self._send(request), self._timeout_s)
        except asyncio.TimeoutError:
            problem = f"nothing within {self._timeout_s} s"
        except EOFError:
            problem = "the connection was closed"
        except (OSError, ValueError) as err:
            problem = _words(err)
        # The name may stand for another address by now.
        self._address = None
        raise Unreachable(f"{self._host}:{self._port}, {self._step}: {problem}")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        # A TLS socket whose handshake failed does not close the one below it.
        for each in (self._socket, self._connection):
            if each:
                each.close()
        self._socket = self._connection = self._stream = self._poll = None

    async def _send(self, request):
        message = self._encode(request)
        if self._stream and self._poll.poll(0):
            # Nobody speaks unasked: the server has closed the connection.
            self.close()
        is_kept = self._stream is not None
        while True:
            is_keeping = False
            self._received = b""
            has_answered = False
            try:
                if not self._stream:
                    self._connect()
                # Goes out in one write, once connected: two would wait for one another.
                self._stream.out_buf = message
                await self._stream.drain()
                self._step = "waiting for an answer"
                await self._receive()
                has_answered = True
                status, headers, body, is_keeping = await self._read_answer()
                return read_answer(status, headers, body)
            except (OSError, EOFError):
                # A kept connection that ends before any answer was closed meanwhile.
                if not is_kept or has_answered:
                    raise
                is_kept = False
            finally:
                if not is_keeping:
                    self.close()

    def _encode(self, request):
        lines = [
            f"{request.method} {self._prefix}{request.path} HTTP/1.1",
            "Host: " + self._host_header,
            f"Content-Length: {len(request.body)}",
        ]
        for name, value in request.headers.items():
            lines.append(f"{name}: {value}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode() + request.body

    def _connect(self):
        self._step = "looking up its name"
        if self._address is None:
            self._address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0]
        family, kind, protocol, _, address = self._address
        self._step = "connecting"
        connection = self._connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            connection.connect(address)
        except OSError as err:
            if err.errno != errno.EINPROGRESS:
                raise
        self._socket = connection
        if self._tls:
            # The handshake wants 16 KB in one piece.
            gc.collect()
            self._socket = self._tls.wrap_socket(
                connection, server_hostname=self._host, do_handshake_on_connect=False
            )
            self._socket.setblocking(False)
        self._stream = asyncio.StreamReader(self._socket)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    async def _receive(self):
        data = await self._stream.read(_CHUNK_BYTES)
        if not data:
            raise EOFError
        self._received += data

    async def _line(self):
        while True:
            line, end, rest = self._received.partition(b"\n")
            if end:
                self._received = rest
                return line.rstrip(b"\r").decode()
            if len(line) > _MAX_HEAD_BYTES:
                raise ValueError("an endless line")
            await self._receive()

    async def _exactly(self, count):
        while len(self._received) < count:
            await self._receive()
        data = self._received[:count]
        self._received = self._received[count:]
        return data

    async def _read_answer(self):
        status = 100
        while 100 <= status < 200:
            version, _, rest = (await self._line()).partition(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError("this is no HTTP")
            status = int(rest[:3])
            headers = await self._read_headers()
        connection = headers.get("connection", "").lower()
        is_keeping = version != "HTTP/1.0" and connection != "close"
        if status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body, is_whole = await self._read_chunks()
            is_keeping = is_keeping and is_whole
        elif "content-length" in headers:
            size = int(headers["content-length"])
            body = await self._exactly(min(size, _MAX_BODY_BYTES))
            is_keeping = is_keeping and size <= _MAX_BODY_BYTES
        else:
            body = await self._read_rest()
            is_keeping = False
        # What nobody asked for would be taken for the next answer.
        return status, headers, body, is_keeping and not self._received

    async def _read_headers(self):
        headers = {}
        size = 0
        while True:
            line = await self._line()
            if not line:
                return headers
            size += len(line)
            if size > _MAX_HEAD_BYTES:
                raise ValueError("endless headers")
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()

    async def _read_chunks(self):
        body = b""
        while True:
            size = int((await self._line()).partition(";")[0].strip(), 16)
            if not size:
                await self._read_headers()
                return body, True
            if len(body) + size > _MAX_BODY_BYTES:
                return body, False
            body += await self._exactly(size)
            await self._line()

    async def _read_rest(self):
        try:
            while len(self._received) < _MAX_BODY_BYTES:
                await self._receive()
        except EOFError:
            pass
        body = self._received
        self._received = b""
        return body


def _tls_context(ca):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    return context


def _words(err):
    if err.args and isinstance(err.args[0], int):
        code = err.args[0]
        return errno.errorcode.get(code) or " ".join(str(arg) for arg in err.args)
    return str(err).strip()
