"""The tap sees what a broker acknowledges, however the packets are cut."""

import asyncio
from pathlib import Path

import pytest

from custom_components.sensorvision.client import NetworkError
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from proofs.mosquitto import Mosquitto
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


def _mosquitto(folder: Path) -> Mosquitto:
    folder.mkdir()
    return Mosquitto(folder)
