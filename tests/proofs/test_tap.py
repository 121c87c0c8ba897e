"""The tap sees what a broker acknowledges, however the packets are cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.mosquitto import Mosquitto
from custom_components.sensorvision.client import NetworkError
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from proofs.tap import Packets, Tap


def test_packets_are_told_apart_however_they_are_cut() -> None:
    """A length takes one byte up to 127 and more beyond (MQTT 3.1.1, 2.2.3)."""
    long = bytes(200)
    stream = b"\x40\x02\x00\x01" + b"\x32\xc8\x01" + long + b"\xd0\x00"
    expected = [(0x40, b"\x00\x01"), (0x32, long), (0xD0, b"")]
    for size in (1, 2, 3, 7, len(stream)):
        packets = Packets()
        taken: list[tuple[int, bytes]] = []
        for start in range(0, len(stream), size):
            taken += packets.take(stream[start : start + size])
        assert taken == expected


async def test_tap_notes_what_the_broker_has_acknowledged(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    tap = Tap(broker.port)
    try:
        async with tap.listening():
            publisher = Publisher(Broker("127.0.0.1", "tapped", port=tap.port))
            await publisher.connect()
            payloads = [f"reading {number}".encode() for number in range(50)]
            await asyncio.gather(
                *(publisher.publish("a/b", payload) for payload in payloads)
            )
            assert tap.acknowledged == payloads
            assert tap.retained == 0
            tap.is_open = False
            await publisher.close()
            with pytest.raises(NetworkError):
                await publisher.connect()
    finally:
        await broker.kill()


async def test_tap_leads_to_another_broker_when_one_is_killed(tmp_path: Path) -> None:
    killed, other = (_mosquitto(tmp_path / name) for name in ("killed", "other"))
    await killed.start()
    await other.start()
    tap = Tap(killed.port)
    try:
        async with tap.listening():
            publisher = Publisher(Broker("127.0.0.1", "tapped", port=tap.port))
            await publisher.connect()
            await publisher.publish("a/b", b"before")
            await killed.kill()
            tap.broker_port = other.port
            with pytest.raises(NetworkError):
                await publisher.publish("a/b", b"between")
            await publisher.connect()
            await publisher.publish("a/b", b"after")
            assert tap.acknowledged == [b"before", b"after"]
            await publisher.close()
    finally:
        await killed.kill()
        await other.kill()


async def test_line_is_cut_after_as_many_bytes_as_were_asked_for() -> None:
    async with _echo() as echo, _tapped(echo) as (tap, reader, writer):
        tap.cut_in = 7
        writer.write(b"hello")
        assert await reader.readexactly(2) == b"he"
        assert await reader.read() == b""
        assert tap.cut_in is None


async def test_what_stalls_arrives_later_unless_the_connections_are_dropped() -> None:
    async with _echo() as echo, _tapped(echo) as (tap, reader, writer):
        tap.flowing.clear()
        writer.write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        tap.flowing.set()
        assert await reader.readexactly(4) == b"late"
        tap.flowing.clear()
        writer.write(b"never")
        await tap.drop()
        tap.flowing.set()
        assert await reader.read() == b""


@asynccontextmanager
async def _echo() -> AsyncIterator[int]:
    """Run a server that says what it hears, and yield its port."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _tapped(
    port: int,
) -> AsyncIterator[tuple[Tap, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a tap in front of a port, and a connection through it."""
    tap = Tap(port)
    async with tap.listening():
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
        yield tap, reader, writer
        writer.close()


def _mosquitto(folder: Path) -> Mosquitto:
    folder.mkdir()
    return Mosquitto(folder)
