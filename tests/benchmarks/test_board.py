"""The bench of boards still runs, and counts and judges right."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.board import peers
from benchmarks.board.client import Client
from benchmarks.board.earlier import EARLIER
from benchmarks.board.report import Turn, Weight, faults, summed_up
from benchmarks.board.senders import MESSAGE, Servers
from benchmarks.board.sinks import count_readings, running_sinks

from .running import lines_of

_OURS = ("this port, HTTP", "this port, MQTT QoS 1")
_TWO_WRITES = "raw socket, HTTP, two writes"
_WITHOUT_LIBRARY = (
    "raw socket, HTTP, one write",
    _TWO_WRITES,
    "raw socket, MQTT QoS 1",
)
_REQUESTS = "requests 0.10.2, frozen"


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Run the bench without a network, and return what it prints."""
    return lines_of("board", "--alone", "--sends", "4", "--rounds", "1")


def test_a_reading_is_one_write(lines: list[dict[str, Any]]) -> None:
    """And the firmware's own library needs more than twenty."""
    writes = {
        name: figures["writes"] for name, figures in lines[-1]["measured"].items()
    }
    assert [writes[name] for name in _OURS] == [1, 1]
    assert [writes[name] for name in _WITHOUT_LIBRARY] == [1, 2, 1]
    assert writes[_REQUESTS] > 20


def test_last_line_sums_up(lines: list[dict[str, Any]]) -> None:
    """It tells what was measured from what was not."""
    last = lines[-1]
    assert last["is_good"] is True
    assert (last["wrong"], last["missing"], last["failures"]) == ([], {}, {})
    assert list(last["measured"]) == [*_OURS, *_WITHOUT_LIBRARY, _REQUESTS]
    assert last["not_measured_here"] == EARLIER
    for figures in last["measured"].values():
        assert 0 < figures["import_heap"] < figures["smallest_heap"]
        assert figures["fresh_us"] > 0


def test_every_reading_that_is_timed_arrives(lines: list[dict[str, Any]]) -> None:
    """Four over a kept connection and four over new ones, most of them over TLS too."""
    turns = {line["subject"]: line for line in lines if "round" in line}
    for name in (*_OURS, *_WITHOUT_LIBRARY):
        count = 8 if name == _TWO_WRITES else 16
        assert (turns[name]["sent"], turns[name]["arrived"]) == (count, count)
    # It keeps no connection.
    assert (turns[_REQUESTS]["sent"], turns[_REQUESTS]["arrived"]) == (8, 8)
    assert turns[_REQUESTS]["kept_us"] is turns[_REQUESTS]["tls_kept_us"] is None


def test_tls_costs_heap_and_requests_trusts_a_stranger(
    lines: list[dict[str, Any]],
) -> None:
    measured = lines[-1]["measured"]
    for name, figures in measured.items():
        if name == _TWO_WRITES:
            continue
        assert figures["smallest_heap"] < figures["tls_heap"]
    assert [measured[name]["is_checking"] for name in _OURS] == [True, True]
    assert measured[_REQUESTS]["is_checking"] is False


def test_a_program_weighs_what_it_loads(lines: list[dict[str, Any]]) -> None:
    """What the firmware has frozen, and what has no modules, has no files to weigh."""
    weights = {
        name: figures["mpy_bytes"] for name, figures in lines[-1]["measured"].items()
    }
    assert 0 < weights["this port, HTTP"] < weights["this port, MQTT QoS 1"]
    assert {weights[name] for name in (*_WITHOUT_LIBRARY, _REQUESTS)} == {None}


def test_only_whole_readings_are_counted() -> None:
    """They are what was sent, over HTTP or in a message with device and time, or a list."""
    assert count_readings({MESSAGE: 3, MESSAGE[:-1]: 5, b"online": 1, b"[]": 1}) == 3
    changed = MESSAGE.replace(b"25.08", b"25.09")
    body = b'{"humidity": 41.2, "pressure": 1006.53, "temperature": 25.08}'
    assert count_readings({changed: 1, body: 2, b"[%b]" % body: 4}) == 6


async def test_what_the_broker_has_acknowledged_is_counted_at_once(
    tmp_path: Path,
) -> None:
    async with running_sinks(tmp_path) as sinks:
        assert await sinks.arrived() == 0
        for count in range(1, 4):
            await sinks.client.publish("somewhere", MESSAGE, qos=1)
            assert await sinks.arrived() == count


@pytest.mark.parametrize(
    ("sent", "arrived", "is_checking", "expected"),
    [
        (10, 10, True, []),
        (10, 10, None, []),
        (10, 9, True, ["it lost 1 readings"]),
        (10, 12, True, ["it sent 2 readings twice"]),
        (10, 10, False, ["it sends to a stranger over TLS"]),
    ],
)
def test_a_run_of_ours_is_void(
    sent: int, arrived: int, is_checking: bool | None, expected: list[str]
) -> None:
    figures = summed_up(Weight(is_checking=is_checking), [Turn(sent, arrived)])
    assert list(faults("it", figures)) == expected


def test_turns_are_summed_up_by_medians() -> None:
    turns = [
        Turn(10, 10, kept_us=5, fresh_us=50),
        Turn(10, 9, kept_us=100, fresh_us=40),
        Turn(10, 10, kept_us=7),
    ]
    figures = summed_up(Weight(mpy_bytes=3), turns)
    assert figures["mpy_bytes"] == 3
    assert (figures["sent"], figures["arrived"]) == (30, 29)
    assert (figures["kept_us"], figures["fresh_us"]) == (7, 45)
    assert figures["tls_kept_us"] is None


def test_what_does_not_send_is_told_from_what_does(tmp_path: Path) -> None:
    sends = Client(tmp_path, "", connect="", send="pass")
    fails = Client(tmp_path, "", connect="", send="raise OSError")
    assert (sends.sends(), fails.sends()) == (True, False)


def test_what_the_registry_does_not_give_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not keep the others from being measured."""
    peer = peers.Peer("nothing", {"sensorvision-never-there==0": "x"}, _no_client)
    monkeypatch.setattr(peers, "_PEERS", (peer,))
    monkeypatch.setenv("UV_OFFLINE", "1")
    found, missing = peers.fetched_subjects(tmp_path)
    assert found == []
    assert "the registry did not give it" in missing["nothing"]


def _no_client(_modules: Path, _servers: Servers) -> Client:
    raise AssertionError
