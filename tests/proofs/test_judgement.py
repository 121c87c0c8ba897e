"""A proof's judgement finds what was lost, so that its yes means something."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis.strategies import floats
import pytest

from custom_components.sensorvision.client.models import instant_of
from proofs.judgement import Change, Judgement, Log, Stored, in_us, judge, read_log
from proofs.verdict import Verdict

_CHANGES = [Change(1, 10.0), Change(2, 10.5), Change(3, 11.25)]
_ALL = [
    Stored(1, Decimal("1.000000"), 10_000_000),
    Stored(2, Decimal("2.000000"), 10_500_000),
    Stored(1, Decimal("3.000000"), 11_250_000),
]


def _judge(*stored: Stored, kills: tuple[float, ...] = ()) -> Judgement:
    return judge(_CHANGES, stored, kills, interval_s=1)


def test_all_is_well() -> None:
    assert _judge(*_ALL) == Judgement(3, 3, 0, 0, (), ())


def test_what_has_not_arrived_is_lost() -> None:
    judgement = _judge(*_ALL[:2])
    assert (judgement.due, judgement.delivered) == (3, 2)


def test_what_has_another_time_is_lost() -> None:
    judgement = _judge(*_ALL[:2], Stored(1, Decimal(3), 11_250_001))
    assert (judgement.due, judgement.delivered, judgement.mistimed) == (3, 2, 1)


@given(floats(0, 4e9))
def test_a_time_is_rounded_as_it_is_sent(at: float) -> None:
    whole_s, micros = divmod(in_us(at), 1_000_000)
    rounded = datetime.fromtimestamp(whole_s, UTC).replace(microsecond=micros)
    assert rounded == datetime.fromisoformat(instant_of(at))


def test_what_is_there_twice_is_counted() -> None:
    assert _judge(*_ALL, _ALL[0], _ALL[0]).duplicated == 2


def test_what_was_young_at_a_kill_may_be_lost() -> None:
    judgement = _judge(_ALL[0], kills=(11.5,))
    assert (judgement.due, judgement.delivered) == (2, 1)
    assert (judgement.young, judgement.young_lost) == ((1,), (1,))


def test_what_was_young_and_has_arrived_counts_as_any_other() -> None:
    judgement = _judge(*_ALL, kills=(11.5,))
    assert (judgement.due, judgement.delivered) == (3, 3)
    assert (judgement.young, judgement.young_lost) == ((1,), (0,))


def test_what_came_after_a_kill_is_not_young() -> None:
    judgement = _judge(*_ALL[:2], kills=(11.0,))
    assert (judgement.due, judgement.delivered) == (3, 2)
    assert judgement.young == (1,)


def test_only_what_home_assistant_has_taken_was_sent(tmp_path: Path) -> None:
    log = tmp_path / "driver.jsonl"
    log.write_text(
        '{"entity_id": "sensor.a", "number": 1}\n'
        '{"entity_id": "sensor.b", "number": 2}\n'
        '{"entity_id": "sensor.b", "number": 2, "taken_at": 10.5}\n'
    )
    assert read_log(log) == Log((Change(2, 10.5),), unanswered=1)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"lost": 1}, False),
        ({"sent": 9}, False),
        ({"faults": 1}, False),
        ({"duplicated": 5}, True),
    ],
)
def test_verdict_holds_only_if_enough_was_tried_and_nothing_lost(
    changes: dict[str, int], holds: bool
) -> None:
    figures: dict[str, Any] = {
        "sent": 10,
        "delivered": 10,
        "superseded": 0,
        "lost": 0,
        "duplicated": 0,
        "faults": 2,
    }
    verdict = Verdict(**{**figures, **changes}, least_sent=10, least_faults=2)
    assert verdict.holds is holds
