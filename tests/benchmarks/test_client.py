"""The bench of plain Python still runs, and counts right."""

import asyncio
from typing import Any

import pytest

from benchmarks.client.report import Bar, Costs, Report, Subject
from benchmarks.relay import Relay, relay_to

from .running import lines_of

_READINGS = 100
_PEER = "sensorvision-sdk 0.1.1"


@pytest.fixture(scope="module")
def last() -> dict[str, Any]:
    """Run the bench with few readings and no clock, and return its last line.

    It ends badly if a server has stored anything but each reading once.
    """
    return lines_of("client", "--readings", str(_READINGS), "--rounds", "0")[-1]


def test_an_account_sends_a_hundred_readings_in_a_request(last: dict[str, Any]) -> None:
    """What a token can't do, nor the peer."""
    requests = {(row["whose"], row["way"]): row["requests"] for row in last["wire"]}
    batches = {key for key, count in requests.items() if count == 0.01}
    assert batches == {
        ("this client", "sync, account batch"),
        ("this client", "async, account batch"),
    }
    over_http = {
        count for (_, way), count in requests.items() if not way.startswith("MQTT")
    }
    assert over_http == {0.01, 1}


def test_bytes_of_a_reading_stay_below_their_budget(last: dict[str, Any]) -> None:
    """They do not depend on the machine."""
    up = {(row["whose"], row["way"]): row["bytes_up"] for row in last["wire"]}
    down = {(row["whose"], row["way"]): row["bytes_down"] for row in last["wire"]}
    peer = (_PEER, "sync, one by one")
    for way in ("sync, account batch", "async, account batch"):
        assert up["this client", way] * 2 < up[peer]
        assert down["this client", way] * 2 < down[peer]
    assert up["this client", "async, token batch"] < 320
    assert up["this client", "MQTT QoS 1"] < 160
    assert down["this client", "MQTT QoS 1"] == 4


def test_both_packages_are_tried_every_way(last: dict[str, Any]) -> None:
    assert last["is_good"] is True
    assert last["missing"] == {}
    assert {row["whose"] for row in last["wire"]} == {"this client", _PEER}
    assert len(last["wire"]) == 10


def test_ratios_are_of_medians(capsys: pytest.CaptureFixture[str]) -> None:
    ours, peer = Subject("ours", "async"), Subject("theirs", "async")
    report = Report(readings=10, rounds=3, concurrency=1)
    report.count(ours, Relay(), 10)
    report.count(peer, Relay(), 10)
    for seconds in (1.0, 9.0, 2.0):
        report.time(1, 0, ours, Costs(seconds, 0.5, seconds, 0))
        report.time(1, 0, peer, Costs(4 * seconds, 0.5, seconds, 0))
    report.finish([Bar(ours, peer, 5)])
    assert '"times": 4.0, "bar": 5' in capsys.readouterr().out


def test_a_package_that_is_not_to_be_had_spoils_the_run() -> None:
    report = Report(readings=10, rounds=1, concurrency=1)
    report.miss("theirs", "no network")
    assert report.is_good is False


async def test_relay_counts_a_request_that_comes_in_pieces() -> None:
    said = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(len(said)):
            await reader.readexactly(1)
            writer.write(bytes([number]))

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        relay_to(server.sockets[0].getsockname()[1]) as relay,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        for number, byte in enumerate(said):
            writer.write(bytes([byte]))
            assert await reader.readexactly(1) == bytes([number])
        writer.close()
    assert relay.requests == 2
    assert relay.connections == 1
    assert relay.bytes_up == relay.bytes_down == len(said)
