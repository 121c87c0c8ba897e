"""What the benches of outages, stops and kills judge by."""

import json

import pytest

from benchmarks.exporters.arrivals import Arrival
from benchmarks.outages.judgement import Change, Judgement, judge
from benchmarks.outages.report import Report

_BEGUN = 1_700_000_000.0


def _changes(count: int) -> list[Change]:
    """Return one change a second."""
    return [Change(number, _BEGUN + number) for number in range(1, count + 1)]


def _judge(*arrived: int, newest_alone: bool = False) -> Judgement:
    """Judge six changes of two sensors, where each took ten seconds to arrive."""
    arrivals = [
        Arrival(number, _BEGUN + number, _BEGUN + number + 10) for number in arrived
    ]
    return judge(_changes(6), arrivals, sensors=2, sends_newest_alone=newest_alone)


def test_what_has_not_arrived_is_lost() -> None:
    judgement = _judge(1, 2, 5, 6)
    assert [change.number for change in judgement.lost] == [3, 4]
    assert judgement.superseded == judgement.duplicated == judgement.mistimed == 0


def test_what_arrived_twice_makes_up_for_nothing() -> None:
    judgement = _judge(1, 2, 3, 4, 5, 5, 5)
    assert judgement.duplicated == 2
    assert [change.number for change in judgement.lost] == [6]


def test_what_was_never_sent_counts_for_nothing() -> None:
    """Such as a sensor's state from before the first change."""
    judgement = _judge(0, 0, 1, 2, 3, 4, 5, 6, 700)
    assert not judgement.lost
    assert judgement.duplicated == judgement.mistimed == 0


def test_a_newer_number_of_the_same_sensor_supersedes() -> None:
    """Of the other sensor's, the last one is missing, so that it is lost."""
    judgement = _judge(2, 5, newest_alone=True)
    assert judgement.superseded == 2
    assert judgement.done_at == {
        2: _BEGUN + 12,
        **dict.fromkeys((1, 3, 5), _BEGUN + 15),
    }
    assert [change.number for change in judgement.lost] == [4, 6]


def test_nothing_supersedes_where_everything_is_to_arrive() -> None:
    judgement = _judge(5, 6)
    assert judgement.superseded == 0
    assert len(judgement.lost) == 4


def test_time_may_be_as_coarse_as_milliseconds() -> None:
    arrivals = [Arrival(1, _BEGUN + 1.0009, 0), Arrival(2, _BEGUN + 2.002, 0)]
    assert judge(_changes(2), arrivals, sensors=1).mistimed == 1


def test_losses_are_counted_between_two_moments() -> None:
    judgement = _judge(1, 6)
    assert judgement.sent_within(_BEGUN + 2, _BEGUN + 4) == 2
    assert judgement.lost_within(_BEGUN + 2, _BEGUN + 4) == 2
    assert judgement.lost_within(0, _BEGUN + 2) == 0
    assert judgement.lost_within(_BEGUN + 5, float("inf")) == 1


def test_a_time_is_recovered_when_its_last_change_has_arrived() -> None:
    judgement = _judge(1, 2, 3, 4)
    assert judgement.recovered_at(_BEGUN + 1, _BEGUN + 4) == _BEGUN + 13
    assert judgement.recovered_at(_BEGUN + 1, _BEGUN + 6) is None
    assert judgement.recovered_at(_BEGUN + 7, _BEGUN + 9) is None


def test_what_arrived_first_ends_the_wait() -> None:
    arrivals = [Arrival(1, _BEGUN + 1, _BEGUN + late) for late in (7, 3, 9)]
    judgement = judge(_changes(1), arrivals, sensors=1)
    assert judgement.done_at == {1: _BEGUN + 3}
    assert judgement.duplicated == 2


def test_the_oldest_lost_is_the_first_in_time() -> None:
    assert _judge(1, 2, 4).oldest_lost_s(_BEGUN + 7) == 4
    assert _judge(1, 2, 3, 4, 5, 6).oldest_lost_s(_BEGUN + 7) is None


def test_last_line_holds_medians(capsys: pytest.CaptureFixture[str]) -> None:
    """There is none of what was not there in every round."""
    report = Report("stop", ["account"], rounds=3)
    for number, (seconds, left) in enumerate([(1.0, 4), (9.0, None), (2.0, 5)], 1):
        report.add(number, ("account",), {"seconds": seconds, "left": left})
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["medians"] == [{"exporter": "account", "seconds": 2.0, "left": None}]
    assert last["is_good"] is True


def test_one_flaw_of_one_round_spoils_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The median would hide it."""
    report = Report("outage", ["account"], rounds=3)
    for number in (1, 2, 3):
        flaws = ["1 of 5 was lost"] if number == 2 else []
        report.add(number, ("account", "restart"), {"lost": len(flaws)}, flaws)
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["medians"] == [{"exporter": "account", "case": "restart", "lost": 0}]
    assert last["flaws"] == ["account, restart, round 2: 1 of 5 was lost"]
    assert last["is_good"] is False
