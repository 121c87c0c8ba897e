"""The proof of a cluster without its cluster: who listens, and how it is judged."""

from dataclasses import replace
import datetime as dt
from pathlib import Path

import pytest

from benchmarks.mosquitto import Mosquitto
from custom_components.sensorvision.client import Sample
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from custom_components.sensorvision.client.telemetry import telemetry_payload
from custom_components.sensorvision.client.topics import telemetry_topic
from proofs.cluster import Failover, judge
from proofs.crew import Stand
from proofs.rabbitmq import Queue, read_queues
from proofs.subscriber import Point, read_received, subscribed
from proofs.verdict import Verdict
from tests.client.servers import eventually

_SENT: list[Point] = [
    ("home", "v0", 0, 10_000_000),
    ("home", "v1", 0, 10_500_000),
    ("home", "v0", 1, 11_000_001),
]
_FAILOVER = Failover(Queue("ra", messages=2, mirrors=2), 2, recovery_s=1.5)
_STAND = Stand(0, 0, 0, 0, 0, 0)


def _judge(
    stored: list[Point],
    received: list[Point],
    failover: Failover = _FAILOVER,
    stand: Stand = _STAND,
) -> Verdict:
    return judge(_SENT, stored, received, failover, stand, least_sent=3)


def test_all_is_well() -> None:
    verdict = _judge(_SENT, _SENT)
    assert verdict.holds
    assert (verdict.sent, verdict.delivered, verdict.lost) == (3, 3, 0)


def test_what_the_server_missed_is_delivered_if_the_cluster_kept_it() -> None:
    verdict = _judge(_SENT[:1], _SENT)
    assert verdict.holds
    assert (verdict.delivered, verdict.extra["stored"]) == (3, 1)


def test_what_neither_has_is_lost() -> None:
    verdict = _judge(_SENT[:2], _SENT[:1])
    assert not verdict.holds
    assert (verdict.delivered, verdict.lost) == (2, 1)


def test_what_is_stored_twice_is_counted() -> None:
    verdict = _judge([*_SENT, _SENT[0]], [*_SENT, *_SENT])
    assert verdict.holds
    assert (verdict.duplicated, verdict.extra["received_twice"]) == (1, 3)


@pytest.mark.parametrize(
    ("received", "failover", "stand", "flaw"),
    [
        (_SENT[1:], _FAILOVER, _STAND, "1 readings were lost by the mirrored queue."),
        (
            [*_SENT, ("home", "v0", 1, 11_000_000)],
            _FAILOVER,
            _STAND,
            "1 readings have come that nobody has sent.",
        ),
        (_SENT, _FAILOVER, replace(_STAND, dropped=2), "2 readings were dropped."),
        (_SENT, _FAILOVER, replace(_STAND, refused=2), "2 readings were set aside."),
        *(
            (
                _SENT,
                replace(_FAILOVER, queue=queue),
                _STAND,
                "Nothing waited on the node that was killed, so it shows nothing.",
            )
            for queue in (None, Queue("rb", 2, 2), Queue("ra", 0, 2))
        ),
        (
            _SENT,
            replace(_FAILOVER, recovery_s=None),
            _STAND,
            "No node acknowledged anything after the kill.",
        ),
    ],
)
def test_proof_fails_when_it_shows_nothing_or_something_is_wrong(
    received: list[Point], failover: Failover, stand: Stand, flaw: str
) -> None:
    verdict = _judge(_SENT, received, failover, stand)
    assert verdict.shortcomings == [flaw]


def test_proof_fails_when_too_little_was_sent() -> None:
    verdict = judge(_SENT, _SENT, _SENT, _FAILOVER, _STAND, least_sent=4)
    assert verdict.shortcomings == ["Only 3 readings were sent, 4 are needed."]


def test_queues_are_read_with_their_node_and_mirrors() -> None:
    told = (
        "mqtt-subscription-aqos1\t<ra@localhost.1.2.0>\t3\t"
        "[<rb@localhost.1.2.0>, <rc@localhost.1.2.0>]\n"
        "mqtt-subscription-bqos1\t<rc@localhost.1.2.0>\t0\t\n"
    )
    assert read_queues(told) == {
        "mqtt-subscription-aqos1": Queue("ra", 3, 2),
        "mqtt-subscription-bqos1": Queue("rc", 0, 0),
    }


async def test_subscriber_gets_what_was_published_while_it_was_away(
    tmp_path: Path,
) -> None:
    broker = Mosquitto(tmp_path)
    await broker.start()
    log = tmp_path / "subscriber.jsonl"
    publisher = Publisher(Broker("127.0.0.1", "publisher", port=broker.port))
    try:
        async with subscribed(broker.port, log):
            pass
        await publisher.connect()
        for device_id, variable, value, at_us in _SENT:
            at = dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC)
            await publisher.publish(
                telemetry_topic("indcloud", device_id),
                telemetry_payload(Sample(device_id, {variable: value}, at), None),
            )
        await publisher.close()
        assert read_received(log) == []
        async with subscribed(broker.port, log):
            await eventually(lambda: len(read_received(log)) >= len(_SENT))
        assert read_received(log) == _SENT
    finally:
        await broker.kill()
