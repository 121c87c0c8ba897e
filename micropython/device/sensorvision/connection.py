"""Talk to one server over one kept connection, each exchange under one deadline."""

from asyncio import core, wait_for
import errno
import gc
import socket

from micropython import const

from .url import split_url

_CHUNK_BYTES = const(256)


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
        self._timeout_s = timeout_s
        self._tls = None
        if tls:
            import ssl

            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.verify_mode = ssl.CERT_REQUIRED
            self._tls.load_verify_locations(cadata=ca)
        self._address = self._connection = self._socket = None
        self._received = b""

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        # A TLS socket whose handshake failed does not close the one below it.
        for each in (self._socket, self._connection):
            if each:
                each.close()
        self._connection = self._socket = None
        self._received = b""

    async def _in_time(self, exchange):
        # An exchange that wants its connection kept says so when it is through.
        self._is_keeping = False
        try:
            return await wait_for(exchange, self._timeout_s)
        except core.TimeoutError:
            problem = f"nothing within {self._timeout_s} s"
        except (OSError, EOFError, ValueError) as err:
            problem = errno.errorcode.get(err.args and err.args[0]) or str(err).strip()
        finally:
            if not self._is_keeping:
                self.close()
        # The name may stand for another address by now.
        self._address = None
        raise Unreachable(f"{self._authority}, {self._step}: {problem}")

    async def _ask(self, message):
        kept = self._socket
        while True:
            try:
                if not self._socket:
                    await self._open()
                await self._write(message)
                self._step = "waiting for an answer"
                return await self._receive()
            except (OSError, EOFError):
                # A kept connection that ends before any answer was closed meanwhile.
                if not kept:
                    raise
                kept = None
                self.close()

    async def _open(self):
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

    # Awaited, as in `asyncio.stream` itself, which would take 1.2 KB of the heap for this.
    def _write(self, message):
        # Goes out in one write, once connected: two would wait for one another.
        while message:
            yield core._io_queue.queue_write(self._socket)
            message = message[self._socket.write(message) or 0 :]

    def _receive(self):
        data = None
        while data is None:
            yield core._io_queue.queue_read(self._socket)
            data = self._socket.read(_CHUNK_BYTES)
        if not data:
            raise EOFError("the connection was closed")
        self._received += data

    async def _take(self, count):
        while len(self._received) < count:
            await self._receive()
        data = self._received[:count]
        self._received = self._received[count:]
        return data
