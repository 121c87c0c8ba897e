"""When memory is flat."""

from collections.abc import Callable
from functools import partial
import json
from pathlib import Path

import pytest

from benchmarks.exporters.modes import Mode
from benchmarks.steady.chart import draw_growth
from benchmarks.steady.growth import Growth, Sample, growth_of
from benchmarks.steady.memory_report import Report


def _samples(rss_kb: Callable[[int], float]) -> list[Sample]:
    return [
        Sample(events, int(rss_kb(events)), events // 100, 4096)
        for events in range(1000, 20_001, 1000)
    ]


def _grown(by: float, events: int) -> float:
    return 100_000 + events * by


def _growth(rss_kb: Callable[[int], float]) -> Growth:
    return growth_of(_samples(rss_kb))


def test_what_is_taken_once_at_the_beginning_is_no_growth() -> None:
    assert _growth(lambda events: 100_000 + min(events, 4000) * 10).is_flat


def test_what_goes_up_and_down_is_flat() -> None:
    assert _growth(lambda events: 100_000 + events % 3000).is_flat


def test_what_is_kept_of_each_event_is_growth() -> None:
    growth = _growth(lambda events: 100_000 + events * 0.2)
    assert not growth.is_flat
    assert growth.grown_kb_per_1000 == pytest.approx(200)
    assert growth.blocks_per_1000 == pytest.approx(10)
    assert growth.outbox_bytes == 4096


def test_two_percent_of_a_large_process_are_flat_and_three_are_not() -> None:
    assert _growth(lambda events: 500_000 * (1.019 if events > 10_000 else 1)).is_flat
    assert not _growth(
        lambda events: 500_000 * (1.03 if events > 10_000 else 1)
    ).is_flat


def test_growth_is_not_told_from_a_glimpse() -> None:
    with pytest.raises(ValueError, match="five"):
        growth_of(_samples(lambda _: 1000)[:4])


def test_peers_may_grow_and_lose(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report([Mode.ACCOUNT], {})
    for mode, growing in ((Mode.INFLUXDB_V1, 1.0), (Mode.ACCOUNT, 0.0)):
        for sample in _samples(partial(_grown, growing)):
            report.add(mode, sample)
    report.lose(Mode.INFLUXDB_V1, 7)
    report.lose(Mode.ACCOUNT, 0)
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["is_good"] is True
    assert last["medians"]["influxdb v1"]["is_flat"] is False
    assert last["medians"]["influxdb v1"]["lost"] == 7
    assert last["medians"]["account"]["is_flat"] is True


@pytest.mark.parametrize(("growing", "lost"), [(1.0, 0), (0.0, 1)])
def test_ours_may_not(growing: float, lost: int) -> None:
    report = Report([Mode.ACCOUNT], {})
    for sample in _samples(partial(_grown, growing)):
        report.add(Mode.ACCOUNT, sample)
    report.lose(Mode.ACCOUNT, lost)
    report.finish()
    assert report.is_good is False


def test_a_chart_names_each_exporter_and_is_the_same_for_the_same_figures(
    tmp_path: Path,
) -> None:
    samples = {
        Mode.INFLUXDB_V1: _samples(partial(_grown, 1)),
        Mode.ACCOUNT: _samples(partial(_grown, 0)),
    }
    drawn = []
    for name in ("one.svg", "other.svg"):
        draw_growth(samples, tmp_path / name)
        drawn.append((tmp_path / name).read_text())
    assert drawn[0] == drawn[1]
    assert "influxdb v1" in drawn[0]
    assert "SensorVision, account" in drawn[0]
