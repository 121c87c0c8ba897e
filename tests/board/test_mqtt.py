"""The board's MQTT client on real MicroPython, against a real broker and bad ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
import ssl
from typing import Any

import aiomqtt
import pytest
import trustme

from micropython.provision.manifest import stage
from micropython.simulator import SimulatedBoard
from tests.brokers import Mosquitto

from .conftest import BROKER_PASSWORD, Run
from .servers import (
    ACK,
    CLOSE,
    HANG,
    Answer,
    assert_given_up_in_time,
    der,
    scripted_broker,
    silent,
)
from .tracing import written_to_server

TOPIC = "indcloud/devices/dev-a/telemetry"
STATUS = "indcloud/devices/dev-a/status"

_PUBLISH = """
import asyncio, time, vfs
from sensorvision.connection import Unreachable
from sensorvision.mqtt import MqttClient, Refused
host = vfs.VfsPosix()
def open_files():
    return len(list(host.ilistdir("/proc/self/fd")))
def writes():
    with host.open("/proc/self/io", "r") as file:
        return int([line for line in file if line.startswith("syscw")][0].split()[1])
async def main():
    before = open_files()
    client = MqttClient(settings, bytes.fromhex(ca) if ca else None, "b1")
    client._id = first_id - 1
    outcomes = []
    for number in range(count):
        start = time.ticks_ms()
        wrote = writes()
        outcome = {}
        try:
            await client.publish(leaf, b"%s%d" % (padding, number))
        except Refused as err:
            outcome["refused"] = str(err)
        except Unreachable as err:
            outcome["unreachable"] = str(err)
        outcome["writes"] = writes() - wrote
        outcome["ms"] = time.ticks_diff(time.ticks_ms(), start)
        outcomes.append(outcome)
        print("published", number, outcome)
        if number + 1 < count:
            await asyncio.sleep_ms(pause_ms)
    client.close()
    say({"outcomes": outcomes, "leaked": open_files() - before})
asyncio.run(main())
"""


async def publish(run: Run, url: str, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Publish one message after the other and return what came of each.

    A message says which one it is; no file may leak.
    """
    said = await run(_PUBLISH, **values(url, **changes))
    assert said["leaked"] == 0
    outcomes: list[dict[str, Any]] = said["outcomes"]
    return outcomes


def values(
    url: str,
    *,
    ca: bytes | None = None,
    user: str = "",
    password: str = "",
    timeout_s: int = 5,
    interval_s: int = 30,
    **changes: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return what the publishing program is told."""
    return {
        "settings": {
            "url": url,
            "device_id": "dev-a",
            "timeout_s": timeout_s,
            "interval_s": interval_s,
            "mqtt": {"user": user, "password": password, "prefix": "indcloud"},
        },
        "ca": ca.hex() if ca else "",
        "first_id": 1,
        "leaf": "telemetry",
        "padding": "",
        "count": 1,
        "pause_ms": 0,
        **changes,
    }


def publishing_board(directory: Path, url: str, **changes: Any) -> SimulatedBoard:  # noqa: ANN401
    """Return a board that publishes for as long as it is on."""
    board = SimulatedBoard(directory / "board", {}, heap="1m")
    stage(board.flash)
    told = [f"{name} = {value!r}\n" for name, value in values(url, **changes).items()]
    program = "".join(told) + _PUBLISH
    (board.flash / "main.py").write_text(program, encoding="utf-8")
    return board


@asynccontextmanager
async def listening(
    port: int, topic: str = TOPIC, tls_context: ssl.SSLContext | None = None
) -> AsyncIterator[Callable[[int], Any]]:
    """Subscribe to a broker.

    Yields:
        A function that waits for so many messages and returns them.
    """
    async with aiomqtt.Client("127.0.0.1", port, tls_context=tls_context) as client:
        await client.subscribe(topic, qos=1)

        async def heard(count: int) -> list[aiomqtt.Message]:
            async with asyncio.timeout(10):
                return [await anext(client.messages) for _ in range(count)]

        yield heard


def said(messages: Sequence[aiomqtt.Message]) -> list[bytes]:
    """Return what messages say."""
    return [bytes(message.payload) for message in messages]


async def test_address_of_a_broker_has_a_port_and_no_path(run: Run) -> None:
    program = """
from sensorvision.protocol import ValidationError
from sensorvision.url import split_url
outcomes = {}
for url in urls:
    try:
        outcomes[url] = split_url(url)
    except ValidationError as err:
        outcomes[url] = err.value
say(outcomes)
"""
    expected = {
        "mqtt://broker": [False, "broker", 1883, ""],
        "mqtts://broker.example/": [True, "broker.example", 8883, ""],
        "mqtts://broker:443": [True, "broker", 443, ""],
        "http://host/prefix/": [False, "host", 80, "/prefix"],
        "mqtt://broker/path": "mqtt://broker/path",
        "mqtt://board:secret@broker": "***",
        "mqtt://": "mqtt://",
        "mqtt:broker": "mqtt:broker",
        "ws://broker": "ws://broker",
    }
    assert await run(program, urls=list(expected)) == expected


async def test_messages_arrive_whole_and_in_order(run: Run, broker: Mosquitto) -> None:
    async with listening(broker.port) as heard:
        outcomes = await publish(run, broker.url, count=50)
        messages = await heard(50)
    assert all("unreachable" not in outcome for outcome in outcomes)
    assert said(messages) == [b"%d" % number for number in range(50)]
    assert {(str(m.topic), m.qos, m.retain) for m in messages} == {(TOPIC, 1, False)}


@pytest.mark.parametrize("size", [0, 80, 98, 99, 127, 128, 2000, 16_400])
async def test_message_of_any_size_arrives(
    run: Run, broker: Mosquitto, size: int
) -> None:
    async with listening(broker.port) as heard:
        await publish(run, broker.url, padding="x" * size)
        [message] = await heard(1)
    assert message.payload == b"x" * size + b"0"


async def test_telemetry_is_never_retained(run: Run, broker: Mosquitto) -> None:
    await publish(run, broker.url)
    async with listening(broker.port, "#") as heard:
        await publish(run, broker.url, leaf="later")
        messages = await heard(3)
    # Of what came before there is the status, and nothing else.
    later = TOPIC.replace("telemetry", "later")
    assert [str(message.topic) for message in messages] == [STATUS, STATUS, later]


async def test_kept_connection_takes_one_write_a_message(
    run: Run, broker: Mosquitto
) -> None:
    outcomes = await publish(run, broker.url, count=10)
    # What the test prints is written too, but not while a message is on its way.
    assert [outcome["writes"] for outcome in outcomes] == [3] + [1] * 9


async def test_system_sees_one_write_a_packet(
    tmp_path: Path, broker: Mosquitto
) -> None:
    written = await written_to_server(
        tmp_path, _PUBLISH, **values(broker.url, count=20)
    )
    # One CONNECT, the status, and twenty readings.
    assert len(written) == 22


async def test_memory_does_not_grow(run: Run, broker: Mosquitto) -> None:
    program = """
import asyncio, gc
from sensorvision.mqtt import MqttClient
async def main():
    client = MqttClient(settings, None, "b1")
    held = []
    for number in range(400):
        await client.publish("telemetry", b"%d" % (number + 1000))
        if number % 100 == 99:
            gc.collect()
            held.append(gc.mem_alloc())
    client.close()
    say(held)
asyncio.run(main())
"""
    held = await run(program, settings=values(broker.url)["settings"])
    assert max(held) - min(held) <= 64 * len(held)


async def test_packet_identifiers_wrap_without_a_zero(run: Run) -> None:
    async with scripted_broker([[ACK]]) as broker:
        await publish(run, broker.url, count=4, first_id=65534)
    # Before them the status, whose number is its own.
    assert [packet.id for packet in broker.published] == [1, 65534, 65535, 1, 2]


async def test_broker_takes_identifiers_that_wrap(run: Run, broker: Mosquitto) -> None:
    async with listening(broker.port) as heard:
        outcomes = await publish(run, broker.url, count=4, first_id=65534)
        assert said(await heard(4)) == [b"0", b"1", b"2", b"3"]
    assert all("unreachable" not in outcome for outcome in outcomes)


async def test_session_is_clean_and_carries_what_was_asked_for(run: Run) -> None:
    async with scripted_broker([[ACK]]) as broker:
        await publish(
            run,
            broker.url,
            user="board",
            password=BROKER_PASSWORD,
            timeout_s=10,
            interval_s=145,
        )
    connect, online, telemetry = broker.packets[0]
    assert connect.body == (
        # Name, version, flags (user, password, will retained with QoS 1, clean), keep alive
        b"\0\4MQTT\4\xee\x01\x2c"
        b"\0\x08dev-a-b1"
        + b"\0%c%s\0\7offline" % (len(STATUS), STATUS.encode())
        + b"\0\5board\0%c%s" % (len(BROKER_PASSWORD), BROKER_PASSWORD.encode())
    )
    assert (online.topic, online.flags) == (STATUS, 0b0011)
    assert (telemetry.topic, telemetry.flags) == (TOPIC, 0b0010)


async def test_status_tells_whether_the_board_is_connected(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with publishing_board(
        tmp_path, broker.url, count=2, pause_ms=60_000
    ) as board:
        await board.wait_for_line("published 0")
        async with listening(broker.port, STATUS) as heard:
            [online] = await heard(1)
            await board.stop()
            [offline] = await heard(1)
        async with listening(broker.port, STATUS) as heard:
            [retained] = await heard(1)
    assert (online.payload, online.retain) == (b"online", True)
    assert offline.payload == b"offline"
    assert (retained.payload, retained.retain) == (b"offline", True)


async def test_board_that_closes_is_offline(run: Run, broker: Mosquitto) -> None:
    async with listening(broker.port, STATUS) as heard:
        await publish(run, broker.url)
        assert said(await heard(2)) == [b"online", b"offline"]


async def test_connection_that_the_broker_has_given_up_is_replaced(
    run: Run, broker: Mosquitto
) -> None:
    async with listening(broker.port, "#") as heard:
        # The broker waits one and a half of the two seconds that it was promised.
        outcomes = await publish(
            run, broker.url, count=2, timeout_s=2, interval_s=0, pause_ms=8000
        )
        messages = await heard(6)
    assert all("unreachable" not in outcome for outcome in outcomes)
    assert said(messages) == [b"online", b"0", b"offline", b"online", b"1", b"offline"]


async def test_broker_that_is_killed_and_comes_back_gets_the_next(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with publishing_board(tmp_path, broker.url, count=1000, pause_ms=50) as board:
        await board.wait_for_line("published 0 {'")
        await broker.kill()
        line = await board.wait_for_line("unreachable")
        seen = len(board.lines)
        await broker.start()
        async with listening(broker.port) as heard:
            [message] = await heard(1)
        assert board.resets == 0
    assert "ECONN" in line or "the connection was closed" in line
    assert int(bytes(message.payload)) > seen - 3


async def test_session_that_is_present_is_accepted(run: Run) -> None:
    async with scripted_broker([[b"\x20\x02\x01\0"], [ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2)
    assert all("unreachable" not in outcome for outcome in outcomes)
    assert len(broker.packets) == 1


async def test_lost_acknowledgement_is_followed_by_a_new_session(run: Run) -> None:
    async with scripted_broker([[ACK]] * 3 + [[CLOSE]], [[ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2)
    assert all("unreachable" not in outcome for outcome in outcomes)
    [_, _, _, lost], [connect, _, repeated] = broker.packets
    assert lost.body == repeated.body
    # A clean session begins without duplicates, whatever was sent in the one before.
    assert connect.body[7] & 0x02
    assert repeated.flags == 0b0010


async def test_first_message_without_an_acknowledgement_is_told(run: Run) -> None:
    async with scripted_broker([[ACK], [ACK], [CLOSE]], [[ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2)
    assert outcomes[0]["unreachable"].endswith(
        "waiting for an answer: the connection was closed"
    )
    assert "unreachable" not in outcomes[1]
    assert len(broker.packets) == 2


async def test_acknowledgement_of_another_message_does_not_count(run: Run) -> None:
    async with scripted_broker(
        [[ACK], [ACK], [b"\x40\x02\0\x07", HANG]], [[ACK]]
    ) as broker:
        outcomes = await publish(run, broker.url, count=2, timeout_s=1)
    assert_given_up_in_time(outcomes[0], "waiting for an answer")
    assert "unreachable" not in outcomes[1]


async def test_what_nobody_asked_for_is_passed_over(run: Run) -> None:
    unasked = (
        b"\xd0\0"
        b"\x30\x07\0\3topxx"
        b"\x32\x81\x01\0\3top\0\x09" + b"y" * 122 + b"\x40\x02\xff\xfe"
        b"\x90\x03\0\x01\0"
    )
    answer = [unasked[:9], unasked[9:], ACK]
    async with scripted_broker([[ACK, unasked], answer]) as broker:
        outcomes = await publish(run, broker.url, count=3)
    assert all("unreachable" not in outcome for outcome in outcomes)
    assert len(broker.packets) == 1


_STALLS: dict[str, tuple[list[Answer], str]] = {
    "before the welcome": ([[HANG]], "signing in"),
    "in the welcome": ([[b"\x20\x02\0", HANG]], "signing in"),
    "before the status": ([[ACK], [HANG]], "signing in"),
    "before the acknowledgement": ([[ACK], [ACK], [HANG]], "waiting for an answer"),
    "in the acknowledgement": (
        [[ACK], [ACK], [b"\x40\x02\0", HANG]],
        "waiting for an answer",
    ),
    "in a packet's length": (
        [[ACK], [ACK], [b"\x30\xff", HANG]],
        "waiting for an answer",
    ),
    # Each packet comes in time, the acknowledgement never does.
    "all the time": (
        [[ACK], [ACK], [*[b"\xd0\0"] * 800, HANG]],
        "waiting for an answer",
    ),
}


@pytest.mark.parametrize("name", _STALLS)
async def test_deadline_holds_wherever_the_broker_stalls(run: Run, name: str) -> None:
    session, step = _STALLS[name]
    async with scripted_broker(session, [[ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2, timeout_s=1)
    assert_given_up_in_time(outcomes[0], step)
    assert "unreachable" not in outcomes[1]


async def test_deadline_holds_with_a_broker_that_falls_silent(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with publishing_board(
        tmp_path, broker.url, count=1000, pause_ms=50, timeout_s=1
    ) as board:
        await board.wait_for_line("published 0 {'")
        broker.freeze()
        line = await board.wait_for_line("unreachable")
    assert "waiting for an answer: nothing within 1 s" in line


async def test_deadline_holds_while_connecting(run: Run) -> None:
    async with silent(is_full=True) as address:
        [outcome] = await publish(run, f"mqtt://{address}", timeout_s=1)
    assert_given_up_in_time(outcome, "connecting")


async def test_deadline_holds_in_the_tls_handshake(
    run: Run, authority: trustme.CA
) -> None:
    async with silent(is_full=False) as address:
        [outcome] = await publish(
            run, f"mqtts://{address}", timeout_s=1, ca=der(authority)
        )
    assert_given_up_in_time(outcome, "connecting")


async def test_broker_that_does_not_run_is_told(run: Run) -> None:
    async with silent(is_full=False) as address:
        pass
    [outcome] = await publish(run, f"mqtt://{address}")
    assert outcome["unreachable"] == f"{address}, connecting: ECONNREFUSED"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n" + b"x" * 400, "this is no MQTT"),
        (b"\x20\x03\0\0\0", "this is no MQTT"),
        (b"\x20\xff\xff\xff\xff\x7f" + b"x" * 100, "an endless packet"),
        (b"\x20\xff\xff\xff\x7f" + b"x" * 100, "an endless packet"),
        (CLOSE, "the connection was closed"),
    ],
    ids=["another protocol", "odd welcome", "endless length", "endless packet", "end"],
)
async def test_nonsense_is_told_and_survived(
    run: Run, answer: bytes, problem: str
) -> None:
    async with scripted_broker([[answer, HANG]], [[ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2)
    assert outcomes[0]["unreachable"].endswith("signing in: " + problem)
    assert "unreachable" not in outcomes[1]


@pytest.mark.parametrize("code", [1, 2, 4, 5])
async def test_refusal_is_said_in_words_with_a_remedy(run: Run, code: int) -> None:
    async with scripted_broker([[b"\x20\x02\0%c" % code, CLOSE]]) as broker:
        [outcome] = await publish(
            run, broker.url, user="board", password=BROKER_PASSWORD
        )
    assert outcome["refused"] == {
        1: "{} refuses MQTT 3.1.1. Update it",
        2: "{} refuses the client id. Shorten device_id",
        4: "{} refuses user or password. Check mqtt in the settings",
        5: "{} refuses user or password. Check mqtt in the settings",
    }[code].format(broker.url.removeprefix("mqtt://"))
    assert broker.published == []


@pytest.mark.parametrize("code", [3, 6, 255])
async def test_broker_that_may_take_us_later_is_told(run: Run, code: int) -> None:
    async with scripted_broker([[b"\x20\x02\0%c" % code, CLOSE]], [[ACK]]) as broker:
        outcomes = await publish(run, broker.url, count=2)
    assert outcomes[0]["unreachable"].endswith(
        f"signing in: the broker is unavailable ({code})"
    )
    assert "unreachable" not in outcomes[1]


async def test_right_password_lets_in(run: Run, guarded_broker: Mosquitto) -> None:
    [outcome] = await publish(
        run, guarded_broker.url, user="board", password=BROKER_PASSWORD
    )
    assert "refused" not in outcome
    assert "unreachable" not in outcome


@pytest.mark.parametrize(
    ("user", "password"),
    [("board", "wrong-" + BROKER_PASSWORD), ("other", BROKER_PASSWORD), ("", "")],
)
async def test_wrong_password_is_refused_and_not_shown(
    run: Run, guarded_broker: Mosquitto, user: str, password: str
) -> None:
    outcomes = await publish(
        run, guarded_broker.url, user=user, password=password, count=2
    )
    for outcome in outcomes:
        assert "Check mqtt in the settings" in outcome["refused"]
        assert BROKER_PASSWORD not in outcome["refused"]


@asynccontextmanager
async def tls_broker(
    folder: Path, authority: trustme.CA, name: str
) -> AsyncIterator[Mosquitto]:
    """Run a broker of this name."""
    certificate = authority.issue_cert(name)
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    broker = Mosquitto(
        folder, ("allow_anonymous true", f"certfile {chain}", f"keyfile {key}")
    )
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def test_tls_broker_of_the_right_authority_and_name_is_trusted(
    run: Run, tmp_path: Path, authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    trusting.check_hostname = False
    async with tls_broker(tmp_path, authority, "localhost") as broker:
        url = f"mqtts://localhost:{broker.port}"
        async with listening(broker.port, tls_context=trusting) as heard:
            outcomes = await publish(run, url, count=5, ca=der(authority))
            messages = await heard(5)
    assert said(messages) == [b"0", b"1", b"2", b"3", b"4"]
    assert [outcome["writes"] for outcome in outcomes[1:]] == [1] * 4


async def test_tls_broker_of_another_authority_is_refused(
    run: Run, tmp_path: Path, authority: trustme.CA
) -> None:
    async with tls_broker(tmp_path, trustme.CA(), "localhost") as broker:
        url = f"mqtts://localhost:{broker.port}"
        [outcome] = await publish(run, url, ca=der(authority))
    assert outcome["unreachable"].endswith("not correctly signed by the trusted CA")


async def test_tls_broker_of_another_name_is_refused(
    run: Run, tmp_path: Path, authority: trustme.CA
) -> None:
    async with tls_broker(tmp_path, authority, "other.example") as broker:
        url = f"mqtts://localhost:{broker.port}"
        [outcome] = await publish(run, url, ca=der(authority))
    assert outcome["unreachable"].endswith("(CN) does not match with the expected CN")
