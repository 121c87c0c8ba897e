"""The relay counts, and cuts the line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.relay import relay_to

_CONNECT = bytes([0x10, 2, 0, 0])
# QoS 1, and a length that takes two bytes.
_PUBLISH = bytes([0x32, 0x80, 1, *[0x30] * 128])
_PING = bytes([0xC0, 0])


@asynccontextmanager
async def _echo() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_messages_are_counted_however_they_are_cut() -> None:
    said = _CONNECT + _PUBLISH + _PING + _PUBLISH
    async with _echo() as port, relay_to(port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        for byte in said:
            writer.write(bytes([byte]))
            await reader.readexactly(1)
        assert (relay.requests, relay.bytes_up) == (2, len(said))
        writer.write(_PUBLISH * 3)
        await reader.readexactly(len(_PUBLISH) * 3)
        assert relay.requests == 5
        writer.close()


async def test_it_refuses_breaks_and_comes_back_at_the_same_port() -> None:
    async with _echo() as port, relay_to(port) as relay:
        before = relay.port
        reader, writer = await asyncio.open_connection("127.0.0.1", before)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
        relay.refuse()
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", before)
        await relay.accept()
        assert relay.port == before
        reader, writer = await asyncio.open_connection("127.0.0.1", before)
        writer.write(b"b")
        assert await reader.readexactly(1) == b"b"
        writer.close()


async def test_who_connects_hears_that_the_server_is_away() -> None:
    async with _echo() as port:
        pass
    async with relay_to(port) as relay:
        reader, _ = await asyncio.open_connection("127.0.0.1", relay.port)
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(1)
