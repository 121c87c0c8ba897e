"""How readings of one sensor on a busy bus are judged."""

import json

import pytest

from benchmarks.exporters.busy import keep_busy
from benchmarks.steady.filter_report import Report
from benchmarks.steady.lateness import Lateness, NotNarrowError, judge, together

_SENT = {1: 100.0, 2: 101.0, 3: 102.0}


def _judged(arrived: dict[int, float], superseded: int = 0) -> Lateness:
    return judge(
        _SENT, arrived, others={10, 11}, busy_until=105.0, superseded=superseded
    )


def test_lateness_is_from_the_state_to_its_arrival() -> None:
    found = _judged({1: 100.5, 2: 102.0, 3: 102.2})
    assert found.p50_s == pytest.approx(0.5)
    assert found.max_s == pytest.approx(1.0)
    assert found.faults(1.1) == []
    assert found.faults(0.9) == ["one was 1.00 s late, not 0.9 s"]


def test_what_comes_only_when_the_bus_is_quiet_is_counted_apart() -> None:
    found = _judged({1: 106.0, 2: 106.0, 3: 104.0})
    assert (found.once_quiet, found.lost) == (2, 0)
    assert found.faults(1.5) == ["one was 6.00 s late, not 1.5 s"]


def test_what_never_arrives_is_lost() -> None:
    found = _judged({1: 100.5})
    assert found.lost == 2
    assert found.faults(60) == ["2 were lost"]


def test_what_was_replaced_by_newer_readings_is_not_lost() -> None:
    found = _judged({1: 100.5, 3: 102.2}, superseded=1)
    assert (found.missing, found.superseded, found.lost) == (1, 1, 0)
    assert found.faults(60) == []


def test_nothing_at_all_is_no_lateness_of_zero() -> None:
    found = _judged({})
    assert found.p50_s is None
    assert "nothing arrived" in found.faults(60)


def test_a_filter_that_lets_others_through_voids_the_run() -> None:
    with pytest.raises(NotNarrowError, match="1 values"):
        _judged({1: 100.5, 10: 100.6})


def test_rounds_have_a_median_and_the_worst_of_their_maxima() -> None:
    rounds = [Lateness(3, p50, most, 0, 0, 0) for p50, most in ((1, 2), (3, 9), (2, 4))]
    assert together(rounds) == Lateness(9, 2, 9, 0, 0, 0)


def test_only_who_is_held_to_a_limit_spoils_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = Lateness(3, 5.0, 40.0, 2, 0, 0)
    report = Report({"account": 1.5}, {})
    report.add(1, "influxdb v1", late)
    assert report.is_good
    report.add(1, "account", late)
    assert not report.is_good
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["is_good"] is False
    assert last["medians"]["account"]["max_s"] == 40


async def test_one_sensor_changes_while_the_others_fill_every_gap() -> None:
    changed: list[int] = []

    def change(sensor: int) -> int:
        changed.append(sensor)
        return len(changed)

    bus = await keep_busy(change, 4, seconds=0.5, rate_hz=20, tail_s=0.25)
    assert [value for value, _ in bus.chosen] == [1]
    assert changed[:6] == [0, 1, 2, 3, 1, 2]
    assert len(bus.others) == 16
    assert sorted([1, *bus.others]) == list(range(1, 18))
    assert bus.chosen[0][1] <= bus.busy_until


def test_a_peer_is_not_judged_by_a_bus_that_fell_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report({}, {})
    report.add(1, "influxdb v1", Lateness(3, 0.5, 1, 0, 0, 0, longest_gap_s=1.1))
    report.add(2, "influxdb v1", Lateness(3, 5, 40, 2, 0, 0, longest_gap_s=0.1))
    report.finish()
    first, _, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["is_void"] is True
    assert last["medians"]["influxdb v1"]["p50_s"] == 5
