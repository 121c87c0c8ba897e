"""Listen in on the way to a broker: what it has acknowledged, seen from outside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# The first byte of a packet: its type and, of a message, its flags (MQTT 3.1.1, 2.2.1
# and 3.3.1).
_TYPE = 0xF0
_PUBLISH = 0x30
_PUBACK = 0x40
_QOS = 0x06
_QOS_1 = 0x02
_RETAIN = 0x01

_CHUNK_BYTES = 65536


class Tap:
    """A way to a broker that notes what goes along it.

    Args:
        broker_port: where the broker listens on this machine.

    Attributes:
        broker_port: where new connections lead; those that there are stay.
        port: where to connect to instead.
        is_open: whether anybody is let through.
        flowing: set while what is said arrives; otherwise it waits on the way.
        cut_in: bytes that still arrive before the line is cut, if it is to be.
        acknowledged: the payloads that the broker has acknowledged, in that order.
        retained: how many messages the broker was told to keep for others.
    """

    def __init__(self, broker_port: int) -> None:
        self.broker_port = broker_port
        self.port = 0
        self.is_open = True
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.cut_in: int | None = None
        self.acknowledged: list[bytes] = []
        self.retained = 0
        self._sessions: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Let through who connects, until the block ends."""
        server = await asyncio.start_server(self._let_through, "127.0.0.1", self.port)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield
            await self.drop()

    async def drop(self) -> None:
        """Break the connections that there are."""
        sessions = [*self._sessions]
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _let_through(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not self.is_open:
            writer.close()
            return
        try:
            broker = await asyncio.open_connection("127.0.0.1", self.broker_port)
        except OSError:
            writer.close()
            return
        if task := asyncio.current_task():
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)
        session = _Session(self)
        ways = [
            asyncio.ensure_future(self._carry(reader, broker[1], session.asked)),
            asyncio.ensure_future(self._carry(broker[0], writer, session.answered)),
        ]
        try:
            # Where one end is gone, the other has nobody to talk to.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            broker[1].close()

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        note: Callable[[bytes], None],
    ) -> None:
        """Carry what comes, and note it first."""
        while data := await source.read(_CHUNK_BYTES):
            await self.flowing.wait()
            is_last = self.cut_in is not None and self.cut_in <= len(data)
            if self.cut_in is not None:
                data = data[: self.cut_in]
                self.cut_in = None if is_last else self.cut_in - len(data)
            note(data)
            target.write(data)
            await target.drain()
            if is_last:
                return


@dataclass
class Packets:
    """What has come one way, and is no whole packet yet."""

    rest: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the first byte of each packet and what follows its length.

        Source: MQTT 3.1.1, 2.2.3.
        """
        self.rest += data
        while len(self.rest) > 1:
            length, start = 0, 1
            while start < len(self.rest):
                byte = self.rest[start]
                length |= (byte & 0x7F) << 7 * (start - 1)
                start += 1
                if not byte & 0x80:
                    break
            else:
                return
            if len(self.rest) < start + length:
                return
            yield self.rest[0], bytes(self.rest[start : start + length])
            del self.rest[: start + length]


class _Session:
    """What one connection has asked, and what was answered."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._asked = Packets()
        self._answered = Packets()
        self._payloads: dict[bytes, bytes] = {}

    def asked(self, data: bytes) -> None:
        """Note the messages that want an answer, by their ids."""
        for first, packet in self._asked.take(data):
            if first & _TYPE == _PUBLISH and first & _QOS == _QOS_1:
                end = 2 + int.from_bytes(packet[:2], "big")
                self._payloads[packet[end : end + 2]] = packet[end + 2 :]
                self._tap.retained += first & _RETAIN

    def answered(self, data: bytes) -> None:
        """Note which of them are answered."""
        for first, packet in self._answered.take(data):
            if first == _PUBACK and packet[:2] in self._payloads:
                self._tap.acknowledged.append(self._payloads.pop(packet[:2]))
