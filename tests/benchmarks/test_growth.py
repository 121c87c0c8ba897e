"""When memory is flat."""

from collections.abc import Callable
from functools import partial
import json

import pytest

from benchmarks.exporters.growth import Growth, Sample, growth_of
from benchmarks.memory_report import Report


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
    report = Report(["account"], {})
    for mode, growing in (("influxdb v1", 1.0), ("account", 0.0)):
        for sample in _samples(partial(_grown, growing)):
            report.add(mode, sample)
    report.lose("influxdb v1", 7)
    report.lose("account", 0)
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["is_good"] is True
    assert last["medians"]["influxdb v1"]["is_flat"] is False
    assert last["medians"]["influxdb v1"]["lost"] == 7
    assert last["medians"]["account"]["is_flat"] is True


@pytest.mark.parametrize(("growing", "lost"), [(1.0, 0), (0.0, 1)])
def test_ours_may_not(growing: float, lost: int) -> None:
    report = Report(["account"], {})
    for sample in _samples(partial(_grown, growing)):
        report.add("account", sample)
    report.lose("account", lost)
    report.finish()
    assert report.is_good is False
