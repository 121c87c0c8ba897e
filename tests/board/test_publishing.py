"""Readings on their way from a board's outbox, to a real broker and to the server behind."""

import asyncio
from datetime import UTC, datetime
import json
from pathlib import Path
import time
from typing import Any

import aiomqtt
import pytest
import trustme

from micropython.simulator import bme280, temperature_ramp, wlan
from sandbox import Sandbox, Settings
from tests.brokers import Mosquitto

from .conftest import BROKER_PASSWORD, TOKEN, NewBoard, Run, node_settings
from .servers import ACK, CLOSE, OK, der, scripted, scripted_broker, silent
from .test_bme280 import by_floating_point
from .test_mqtt import listening

_PRELUDE = """
import asyncio, gc, random, sys, time
from sensorvision import clock
from sensorvision.connection import Unreachable
from sensorvision.outbox import Outbox
from sensorvision.sending import make

class Cable:
    def __init__(self):
        self.told = []
    async def up(self, needs_clock):
        self.told.append("up, needs clock" if needs_clock else "up")
    def trust(self):
        self.told.append("trust")
    def distrust(self):
        self.told.append("distrust")

outbox = Outbox(60, 100)
link = Cable()
client, sender_class = make(settings, bytes.fromhex(ca) if ca else None)
sender = sender_class(settings, outbox, client, link)

async def send_all():
    while outbox.has_any():
        wait_ms = await sender.send()
        if wait_ms:
            return wait_ms
    return 0
"""


def sender_settings(url: str, **changes: object) -> dict[str, Any]:
    """Return what the way over MQTT reads of a board's settings."""
    return {
        "url": url,
        "token": TOKEN,
        "device_id": "dev-a",
        "interval_s": 60,
        "timeout_s": 5,
        "ca_file": None,
        "mqtt": {"user": "", "password": "", "prefix": "indcloud"},
        **changes,
    }


async def play(
    run: Run,
    url: str,
    program: str,
    *,
    ca: bytes | None = None,
    world: dict[str, Any] | None = None,
    **changes: object,
) -> Any:  # noqa: ANN401
    """Run the lines of a program where an outbox, a sender and their link are at hand."""
    lines = "".join(f"    {line}\n" for line in program.strip().splitlines())
    return await run(
        f"{_PRELUDE}\nasync def main():\n{lines}asyncio.run(main())\n",
        world=world,
        settings=sender_settings(url, **changes),
        ca=ca.hex() if ca else "",
    )


def bodies(messages: list[aiomqtt.Message]) -> list[dict[str, Any]]:
    """Return what messages of telemetry hold."""
    return [json.loads(bytes(message.payload)) for message in messages]


def instant(text: str) -> int:
    """Return the seconds since 1970 of a time as telemetry writes it."""
    return int(
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    )


async def test_reading_becomes_the_telemetry_that_the_server_reads(
    run: Run, broker: Mosquitto
) -> None:
    program = """
outbox.put({"temperature": 21.5, "humidity": 40})
taken = clock.now()
say([taken, await send_all(), outbox.waiting, link.told])
"""
    topic = "acme/devices/green-house-1/telemetry"
    async with listening(broker.port, "#") as heard:
        taken, wait_ms, waiting, told = await play(
            run,
            broker.url,
            program,
            device_id="green.house-1",
            mqtt={"user": "", "password": "", "prefix": "acme"},
        )
        online, telemetry, offline = await heard(3)
    assert (wait_ms, waiting, told) == (0, 0, ["up, needs clock", "trust"])
    assert (str(telemetry.topic), telemetry.qos, telemetry.retain) == (topic, 1, False)
    [body] = bodies([telemetry])
    assert taken - instant(body.pop("timestamp")) in (0, 1)
    assert body == {
        "deviceId": "green.house-1",
        "apiToken": TOKEN,
        "variables": {"temperature": 21.5, "humidity": 40},
    }
    for message, state in ((online, b"online"), (offline, b"offline")):
        assert str(message.topic) == "acme/devices/green-house-1/status"
        assert message.payload == state


@pytest.mark.parametrize(("interval_s", "keep_alive_s"), [(60, 125), (86400, 65535)])
async def test_broker_is_told_who_comes_and_how_often(
    run: Run, interval_s: int, keep_alive_s: int
) -> None:
    async with scripted_broker([[ACK]]) as broker:
        await play(
            run,
            broker.url,
            "outbox.put({'temperature': 1})\nsay(await sender.send())",
            interval_s=interval_s,
            world={"unique_id": "0123456789ab"},
        )
    connect = broker.packets[0][0]
    assert connect.body[8:10] == keep_alive_s.to_bytes(2)
    # A second board that reports for the same device does not throw this one out.
    assert connect.body[12:].startswith(b"dev-a-0123456789ab\0")


async def test_readings_of_an_outage_arrive_in_order_with_their_own_times(
    run: Run, broker: Mosquitto
) -> None:
    program = """
taken = []
for number in range(4):
    outbox.put({"temperature": number})
    taken.append(clock.now())
    print("taken", number)
    wait_ms = await sender.send()
    await asyncio.sleep_ms(1100)
while await send_all():
    await asyncio.sleep_ms(200)
say([taken, outbox.dropped, outbox.superseded, link.told[:2], link.told[-1]])
"""
    await broker.kill()

    async def return_late() -> list[aiomqtt.Message]:
        await asyncio.sleep(3)
        await broker.start()
        async with listening(broker.port, "+/devices/+/telemetry") as heard:
            messages: list[aiomqtt.Message] = await heard(4)
            return messages

    late = asyncio.create_task(return_late())
    taken, dropped, superseded, first, last = await play(run, broker.url, program)
    sent = bodies(await late)
    assert [body["variables"]["temperature"] for body in sent] == [0, 1, 2, 3]
    for body, at in zip(sent, taken, strict=True):
        assert at - instant(body["timestamp"]) in (0, 1)
    assert (dropped, superseded) == (0, 0)
    assert first == ["up, needs clock", "distrust"]
    assert last == "trust"


async def test_sensors_of_one_moment_share_a_message(
    run: Run, broker: Mosquitto
) -> None:
    program = """
start = clock.now()
while clock.now() == start:
    pass
outbox.put({"in_temperature": 1})
outbox.put({"out_temperature": 2, "out_humidity": 3})
# The same variable twice: these are two readings, though of the same second.
outbox.put({"in_temperature": 4})
say(await send_all())
"""
    async with listening(broker.port, "+/devices/+/telemetry") as heard:
        await play(run, broker.url, program)
        sent = bodies(await heard(2))
    assert [body["variables"] for body in sent] == [
        {"in_temperature": 1, "out_temperature": 2, "out_humidity": 3},
        {"in_temperature": 4},
    ]


async def test_server_behind_the_broker_stores_each_reading_with_its_time(
    run: Run, broker: Mosquitto
) -> None:
    program = """
taken = []
for number in range(3):
    outbox.put({"temperature": number + 0.25})
    taken.append(clock.now())
    await asyncio.sleep_ms(1100)
await send_all()
say(taken)
"""
    settings = Settings(fixtures="contract", broker=broker.url)
    async with Sandbox(settings) as sandbox:
        taken = await play(run, broker.url, program)
        async with asyncio.timeout(10):
            while len(sandbox.store.values("dev-a", "temperature")) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        rows = sandbox.store.values("dev-a", "temperature")
    assert [float(row.value) for row in rows] == [0.25, 1.25, 2.25]
    for row, at in zip(rows, taken, strict=True):
        assert at - int(row.timestamp.timestamp()) in (0, 1)


async def test_tls_broker_gets_readings(
    run: Run, tmp_path: Path, authority: trustme.CA
) -> None:
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    chain.write_bytes(certificate.cert_chain_pems[0].bytes())
    lines = ("allow_anonymous true", f"certfile {chain}", f"keyfile {key}")
    broker = Mosquitto(tmp_path, lines)
    await broker.start()
    try:
        waiting = await play(
            run,
            f"mqtts://localhost:{broker.port}",
            "outbox.put({'temperature': 1})\nawait send_all()\nsay(outbox.waiting)",
            ca=der(authority),
        )
    finally:
        await broker.stop()
    assert waiting == 0


async def test_reading_stays_until_it_is_acknowledged(run: Run) -> None:
    program = """
outbox.put({"temperature": 1})
first = await sender.send()
waited = outbox.waiting
second = await sender.send()
say([first, waited, second, outbox.waiting])
"""
    sessions = [[[ACK], [ACK], [CLOSE]], [[ACK]]]
    async with scripted_broker(*sessions) as broker:
        first, waited, second, waiting = await play(run, broker.url, program)
    assert first > 0
    assert waited == 1
    assert (second, waiting) == (0, 0)
    telemetry = [p for p in broker.published if p.topic.endswith("/telemetry")]
    assert len(telemetry) == 2
    assert telemetry[0].body[-30:] == telemetry[1].body[-30:]


async def test_reading_that_comes_while_another_is_on_its_way_stays(run: Run) -> None:
    program = """
outbox.put({"temperature": 1})
sending = asyncio.create_task(sender.send())
await asyncio.sleep_ms(100)
outbox.put({"temperature": 2})
await sending
say([outbox.waiting, await send_all(), outbox.waiting])
"""
    slow = [b"\xd0\0"] * 150
    async with scripted_broker([[ACK], [ACK], [*slow, ACK], [ACK]]) as broker:
        assert await play(run, broker.url, program) == [1, 0, 0]
    assert len(broker.published) == 3


async def test_what_can_never_be_sent_is_dropped_and_counted(
    run: Run, broker: Mosquitto
) -> None:
    program = """
outbox.put({"temperature": float("nan"), "humidity": 40, "pressure": 1e15})
outbox.put({"good": 1})
outbox.put({"": 2})
say([await send_all(), outbox.waiting, outbox.dropped])
"""
    async with listening(broker.port, "+/devices/+/telemetry") as heard:
        said = await play(run, broker.url, program)
        variables: dict[str, Any] = {}
        while len(variables) < 2:
            [body] = bodies(await heard(1))
            variables.update(body["variables"])
    assert said == [0, 0, 3]
    assert variables == {"humidity": 40, "good": 1}


async def test_refusal_waits_for_a_person_and_keeps_what_waits(
    run: Run,
) -> None:
    refusing = [[b"\x20\x02\0\x05", CLOSE]]
    async with scripted_broker(refusing) as broker:
        wait_ms, waiting = await play(
            run,
            broker.url,
            "outbox.put({'temperature': 1})\nsay([await sender.send(), outbox.waiting])",
            mqtt={"user": "board", "password": BROKER_PASSWORD, "prefix": "indcloud"},
        )
    assert (wait_ms, waiting) == (300_000, 1)


async def test_waits_grow_at_random_up_to_their_limit(run: Run) -> None:
    program = """
outbox.put({"temperature": 1})
waits = []
for _ in range(40):
    waits.append(await sender.send())
say(waits)
"""
    async with silent(is_full=False) as address:
        pass
    waits = await play(run, f"mqtt://{address}", program)
    limits = [min(1000 << number, 300_000) for number in range(40)]
    assert all(0 < wait <= limit for wait, limit in zip(waits, limits, strict=True))
    # Anywhere below the limit, not just near it: half of them below the half.
    late = waits[9:]
    assert len(set(late)) == len(late)
    assert min(late) < 100_000
    assert max(late) > 200_000


async def test_nothing_is_opened_while_nothing_waits(run: Run) -> None:
    async with scripted_broker([[ACK]]) as broker:
        said = await play(run, broker.url, "say([await sender.send(), link.told])")
    assert said == [0, []]
    assert broker.packets == []


async def test_network_that_is_away_is_no_reason_to_ask_the_broker(run: Run) -> None:
    program = """
async def up(needs_clock):
    raise Unreachable("wifi home can't be joined")
link.up = up
outbox.put({"temperature": 1})
say([await sender.send(), outbox.waiting])
"""
    async with scripted_broker([[ACK]]) as broker:
        wait_ms, waiting = await play(run, broker.url, program)
    assert wait_ms > 0
    assert waiting == 1
    assert broker.packets == []


async def test_batch_that_memory_does_not_hold_is_halved_until_it_fits(
    run: Run,
) -> None:
    program = """
start = clock.now()
while clock.now() == start:
    pass
for sensor in range(8):
    # Names that share no memory with their readings in the next message.
    outbox.put({"%d_%02d_" % (sensor, number) + "x" * 60: number for number in range(40)})
ballast = []
try:
    while True:
        ballast.append(bytearray(1000))
except MemoryError:
    del ballast[-60:]
gc.collect()
rounds = 0
while outbox.has_any() and rounds < 100:
    rounds += 1
    assert await sender.send() == 0
    gc.collect()
ballast = None
say([rounds, outbox.waiting, outbox.dropped])
"""
    async with scripted_broker([[ACK]]) as broker:
        rounds, waiting, dropped = await play(run, broker.url, program)
    assert (waiting, dropped) == (0, 0)
    telemetry = [p for p in broker.published if p.topic.endswith("/telemetry")]
    # Some rounds failed, and more than one message was needed for the moment.
    assert 1 < len(telemetry) < rounds
    variables: dict[str, int] = {}
    for packet in telemetry:
        body = json.loads(packet.body[packet.body.index(b"{") :])
        assert not set(body["variables"]) & set(variables)
        variables.update(body["variables"])
    assert len(variables) == 320


@pytest.mark.parametrize(
    ("url", "loaded"),
    [
        ("http://localhost", {"http"}),
        ("mqtt://localhost", {"mqtt"}),
    ],
)
async def test_only_the_way_in_the_settings_is_loaded(
    run: Run, url: str, loaded: set[str]
) -> None:
    program = """
say([name for name in ("http", "mqtt")
     if "sensorvision." + name in sys.modules])
"""
    assert set(await play(run, url, program.replace("\n     ", " "))) == loaded


async def test_clock_that_no_time_server_sets_is_set_by_the_answer(run: Run) -> None:
    program = """
outbox.put({"temperature": 1})
before = clock.is_set()
await sender.send()
say([before, clock.now(), link.told])
"""
    dated = OK.replace(b"\r\n", b"\r\nDate: Mon, 07 Feb 2033 04:05:06 GMT\r\n", 1)
    since_2000_s = int(time.time()) - 946_684_800
    async with scripted([dated]) as server:
        before, now, told = await play(
            run, server.url, program, world={"clock_shift_s": -since_2000_s}
        )
    assert before is False
    assert now - int(datetime(2033, 2, 7, 4, 5, 6, tzinfo=UTC).timestamp()) in (0, 1)
    assert told == ["up", "trust"]


async def test_answer_without_a_date_leaves_the_clock_alone(run: Run) -> None:
    program = """
outbox.put({"temperature": 1})
say([await sender.send(), clock.is_set(), outbox.waiting])
"""
    since_2000_s = int(time.time()) - 946_684_800
    async with scripted([OK]) as server:
        said = await play(
            run, server.url, program, world={"clock_shift_s": -since_2000_s}
        )
    assert said == [0, False, 0]


async def test_node_loses_nothing_of_an_outage_and_shows_no_secret(
    new_board: NewBoard, guarded_broker: Mosquitto
) -> None:
    ramp = temperature_ramp(40)
    login = {"user": "board", "password": BROKER_PASSWORD}
    settings = node_settings(guarded_broker.url, mqtt=login, timeout_s=1)
    broker = f"mqtt://board:{BROKER_PASSWORD}@127.0.0.1:{guarded_broker.port}"
    world = {"i2c": [bme280(ramp)], "wlan": wlan()}
    server = Sandbox(Settings(fixtures="contract", broker=broker))
    async with server, new_board(settings, world) as board:
        await board.wait_for_line("delivered ")
        # Not killed: its subscribers would be as late as the board.
        guarded_broker.freeze()
        await board.wait_for_line("not delivered: ")
        seen = len(board.lines)
        await board.wait_for_line("not delivered: ", after=seen)
        guarded_broker.thaw()
        seen = len(board.lines)
        await board.wait_for_line("the server answers again", after=seen)
        for _ in range(3):
            seen = len(board.lines)
            await board.wait_for_line("delivered ", after=seen)
        delivered = [line for line in board.lines if line.startswith("delivered ")]
        # What the broker had when it fell silent, it may have twice.
        stored: set[tuple[float, float]] = set()
        async with asyncio.timeout(20):
            while len(stored) < len(delivered):
                await asyncio.sleep(0.05)
                stored |= {
                    (row.timestamp.timestamp(), float(row.value))
                    for row in server.store.values("dev-a", "temperature")
                }
    assert board.resets == 0
    for (_, value), conversion in zip(sorted(stored), ramp, strict=False):
        expected = by_floating_point(conversion)["temperature"]
        assert value == pytest.approx(expected, abs=0.03)
    log = "\n".join(board.lines)
    assert BROKER_PASSWORD not in log
    assert TOKEN not in log
