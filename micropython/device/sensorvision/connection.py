"""Talk to one server over one kept connection, each exchange under one deadline."""

from asyncio import core
import errno
import gc
import socket
import time

from micropython import const

from .url import split_url

# A whole answer: in pieces it would be copied together.
_CHUNK_BYTES = const(512)
_MOST_BYTES = const(8192)


class Unreachable(Exception):
    """The server can't be asked; the message says who did not answer, when and why."""


class Connection:
    """What the clients of each protocol share.

    Args:
        url: the server's.
        ca: the DER certificate of the authority that vouches for the server, for TLS.
        timeout_s: seconds for a whole exchange, from the look-up of the name to the last
            byte of the answer.
    """

    def __init__(self, url: str, ca: bytes | None = None, timeout_s: int = 20):
        tls, self._host, self._port, self._prefix = split_url(url)
        self._authority = url.split("/")[2]
        self._timeout_ms = timeout_s * 1000
        self._tls = None
        if tls:
            import ssl

            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.verify_mode = ssl.CERT_REQUIRED
            self._tls.load_verify_locations(cadata=ca)
        self._address = self._connection = self._socket = self._guard = None
        # The task whose exchange is under way and in time.
        self._task = None

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        # A TLS socket whose handshake failed does not close the one below it.
        for each in (self._socket, self._connection):
            if each:
                each.close()
        self._connection = self._socket = None
        if self._guard:
            self._guard.cancel()
            self._guard = None

    async def _exchange(self, message):
        """Send a message, and return what `_parse` makes of what comes back."""
        self._received = b""
        self._due = time.ticks_add(time.ticks_ms(), self._timeout_ms)
        self._task = core.cur_task
        # An exchange that wants its connection kept says so when it is through.
        self._is_keeping = False
        is_kept = self._socket is not None
        answer = None
        try:
            while answer is None:
                try:
                    if not self._socket:
                        await self._open()
                    to_write = message
                    while (answer := self._parse()) is None:
                        await self._swap(to_write)
                        to_write = b""
                except (OSError, EOFError):
                    # A kept connection that ends before any answer was closed meanwhile.
                    if not is_kept or self._received:
                        raise
                    is_kept = False
                    self.close()
        except core.CancelledError:
            if self._task:
                raise
            raise self._unreachable(f"nothing within {self._timeout_ms // 1000} s") from None
        except (OSError, EOFError, ValueError) as err:
            problem = errno.errorcode.get(err.args[0]) or str(err).strip()
            raise self._unreachable(problem) from None
        finally:
            self._task = None
            if not self._is_keeping:
                self.close()
        return answer

    def _unreachable(self, problem):
        # The name may stand for another address by now.
        self._address = None
        return Unreachable(f"{self._authority}, {self._step}: {problem}")

    async def _keep_time(self):
        # One task for all exchanges: `wait_for` would make one each time.
        while True:
            left_ms = time.ticks_diff(self._due, time.ticks_ms())
            if left_ms <= 0:
                if self._task:
                    self._task.cancel()
                    self._task = None
                # Whatever begins meanwhile may last longer.
                left_ms = self._timeout_ms
            await core.sleep_ms(left_ms)

    async def _open(self):
        self._received = b""
        # Not known before it is connected.
        self._is_over = None
        self._guard = core.create_task(self._keep_time())
        if self._address is None:
            self._step = "looking up its name"
            self._address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0]
            # It blocks: only now can the deadline be seen to have passed meanwhile.
            await core.sleep_ms(0)
        self._step = "connecting"
        connection = self._connection = socket.socket(*self._address[:3])
        connection.setblocking(False)
        try:
            connection.connect(self._address[4])
        except OSError as err:
            if err.errno != errno.EINPROGRESS:
                raise
        if self._tls:
            # The handshake wants 16 KB in one piece.
            gc.collect()
            connection = self._tls.wrap_socket(
                connection, server_hostname=self._host, do_handshake_on_connect=False
            )
            connection.setblocking(False)
        self._socket = connection

    def _swap(self, message, step="waiting for an answer"):
        """Write a message, and wait for some of what comes back."""
        # Goes out in one write, once connected: two would wait for one another.
        if self._is_over is None:
            yield core._io_queue.queue_write(self._socket)
        while message and (written := self._socket.write(message)) != len(message):
            message = message[written or 0 :]
            yield core._io_queue.queue_write(self._socket)
        self._step = step
        if self._is_over:
            raise EOFError("the connection was closed")
        while (data := self._socket.read(_CHUNK_BYTES)) is None:
            yield core._io_queue.queue_read(self._socket)
        self._is_over = not data
        self._received = self._received + data if self._received else data
        if len(self._received) > _MOST_BYTES:
            raise ValueError("an endless answer")
