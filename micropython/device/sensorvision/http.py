"""Exchange one request and its answer at a time with a server, over one kept connection."""

from micropython import const

from .connection import Connection
from .protocol import read_answer

_MAX_BODY_BYTES = const(4096)

_COLON = const(0x3A)
_ZERO = const(0x30)


class HttpClient(Connection):
    """A client of one server; see `Connection` for its arguments."""

    _headers = _path = None

    def send(self, request):
        """Send a `protocol.Request` and return the `protocol.Answer` that came back.

        Raises:
            Unreachable: no whole answer came in time.
        """
        if self._socket and self._socket.read(1) is not None:
            # Nobody speaks unasked: the server has closed the connection.
            self.close()
        # All but the body is the same each time, and made once.
        if request.headers != self._headers or request.path != self._path:
            self._headers = request.headers
            self._path = request.path
            self._start = (
                f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n"
                f"Host: {self._authority}\r\n"
            )
            for name, value in request.headers.items():
                self._start += f"{name}: {value}\r\n"
        self._status = 0
        return self._exchange(
            b"%sContent-Length: %d\r\n\r\n%s" % (self._start, len(request.body), request.body)
        )

    def get(self, name: str) -> str | None:
        """Return what a header of the last answer says, or None.

        Args:
            name: the header's, in lower case.
        """
        data = self._received
        at = 0
        while at := data.find(b"\n", at, self._body_at) + 1:
            end = at + len(name)
            if (
                end < self._body_at
                and data[end] == _COLON
                and data[at:end].decode().lower() == name
            ):
                return data[end + 1 : data.find(b"\n", end)].decode().strip()
        return None

    def _parse(self):
        data = self._received
        while self._status < 200:
            end = data.find(b"\n\r\n") + 1 or data.find(b"\n\n") + 1
            if b"\n" in data and not data.startswith(b"HTTP/1."):
                raise ValueError("this is no HTTP")
            if not end:
                return None
            self._body_at = data.find(b"\n", end) + 1
            self._status = int(data[9:12])
            if self._status < 200:
                # After an interim answer comes another one.
                data = self._received = data[self._body_at :]
        body = self._body(self._status, self._body_at)
        if body is None:
            return None
        # HTTP 1.0 keeps none.
        self._is_keeping = not self._is_over and data[7] != _ZERO
        if (self.get("connection") or "").lower() == "close":
            self._is_keeping = False
        return read_answer(self._status, self, body)

    def _body(self, status, at):
        data = self._received
        if (self.get("transfer-encoding") or "").lower() == "chunked":
            return self._chunks(at)
        size = 0
        if status not in (204, 304):
            size = int(self.get("content-length") or -1)
        if not 0 <= size <= _MAX_BODY_BYTES:
            # Ends with the connection, or here.
            size = _MAX_BODY_BYTES
            if self._is_over or len(data) > at + size:
                self._is_over = True
                return data[at : at + size]
        end = at + size
        if len(data) < end:
            return None
        self._end(end)
        return data[at:end]

    def _chunks(self, at):
        data = self._received
        body = b""
        while end := data.find(b"\n", at) + 1:
            cut = data.find(b";", at, end)
            size = int(data[at : end if cut < 0 else cut], 16)
            at = end + size
            if len(body) + size > _MAX_BODY_BYTES:
                self._is_over = True
                return body
            if size:
                body += data[end:at]
            # Behind a chunk follows an empty line, behind the last one even headers.
            is_empty = False
            while not is_empty and (end := data.find(b"\n", at) + 1):
                is_empty = end - at < 3
                at = end
            if is_empty and not size:
                self._end(at)
                return body
        return None

    def _end(self, at):
        # What nobody asked for would be taken for the next answer.
        self._is_over = self._is_over or at < len(self._received)
