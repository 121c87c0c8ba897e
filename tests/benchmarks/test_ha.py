"""The bench beside Home Assistant's exporters still runs, and judges right."""

import argparse
from dataclasses import replace
import json
from pathlib import Path
import re
from typing import Any
from xml.etree import ElementTree as ET

from homeassistant import components
import pytest

from benchmarks.exporters.bars import bars_of
from benchmarks.exporters.chart import draw
from benchmarks.exporters.costs import Costs
from benchmarks.exporters.judgement import Outcome, judge
from benchmarks.exporters.modes import Mode, mode_named
from benchmarks.exporters.report import Report
from benchmarks.exporters.sink import Sink
from benchmarks.exporters.watch import quantiles_ms
from benchmarks.ha import _modes

from .running import lines_of

_EVENTS = 400
_SENSORS = 40
_ROOT = Path(__file__).resolve().parents[2]

_COSTS = Costs(
    process_ms=10,
    loop_ms=8,
    late_p50_ms=0.1,
    late_p99_ms=1,
    late_max_ms=2,
    requests=10,
    bytes_up=180,
    peak_mb=200,
    lost=0,
    duplicated=0,
    superseded=0,
)


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chart") / "chart.svg"


@pytest.fixture(scope="module")
def lines(chart: Path) -> list[dict[str, Any]]:
    """Run the bench with few states; it ends badly if a run is void."""
    return lines_of(
        "ha",
        *("--events", str(_EVENTS), "--sensors", str(_SENSORS), "--rounds", "1"),
        *("--modes", "influxdb v1,token", "--shapes", "burst"),
        *("--chart", str(chart)),
    )


def test_all_that_is_shown_arrives_or_is_superseded(
    lines: list[dict[str, Any]],
) -> None:
    fates = {
        run["mode"]: (run["lost"], run["duplicated"], run["superseded"])
        for run in lines[:-1]
    }
    # A token is sent what every sensor shows at last.
    superseded = _EVENTS - _SENSORS
    assert fates == {
        "floor": (0, 0, 0),
        "influxdb v1": (0, 0, 0),
        "token": (0, 0, superseded),
    }


def test_requests_and_bytes_are_those_of_the_measured_states(
    lines: list[dict[str, Any]],
) -> None:
    """They do not depend on the machine."""
    wire = {run["mode"]: (run["requests"], run["bytes_up"]) for run in lines[:-1]}
    assert wire["floor"] == (0, 0)
    # InfluxDB's points go a hundred at a time, and one that is left over alone.
    assert wire["influxdb v1"][0] == pytest.approx(10, abs=2.5)
    assert 150 < wire["influxdb v1"][1] < 220
    # One of each device.
    assert wire["token"][0] == 1000 * 2 / _EVENTS


def test_last_line_holds_medians_and_ratios_to_a_peer(
    lines: list[dict[str, Any]],
) -> None:
    last = lines[-1]
    assert last["is_good"] is True
    medians = {of["mode"]: of for of in last["medians"]}
    assert list(medians) == ["floor", "influxdb v1", "token"]
    assert medians["floor"]["process_above_ms"] == 0
    assert medians["influxdb v1"]["times_peer"]["bytes_up"] == 1
    ratio = medians["token"]["bytes_up"] / medians["influxdb v1"]["bytes_up"]
    assert medians["token"]["times_peer"]["bytes_up"] == pytest.approx(ratio, abs=0.01)
    assert set(last["versions"]) == {
        *("homeassistant", "influxdb", "influxdb-client", "hass-splunk")
    }


def test_memory_is_that_of_the_process_itself(lines: list[dict[str, Any]]) -> None:
    """A new process is not told what the one that has started it had used."""
    assert len({run["peak_mb"] for run in lines[:-1]}) > 1


def test_chart_shows_every_exporter_and_neither_date_nor_place(
    lines: list[dict[str, Any]], chart: Path
) -> None:
    assert lines
    texts = {element.text for element in ET.parse(chart).iter() if element.text}  # noqa: S314
    assert {"influxdb v1", "SensorVision, token"} <= texts
    svg = chart.read_text()
    assert "floor" not in texts
    assert str(_ROOT) not in svg
    assert "<dc:date>" not in svg


def test_same_figures_give_the_same_chart(tmp_path: Path) -> None:
    figures = {"process_above_ms": 3.0, "bytes_up": 90.0}
    medians = {("burst", Mode.SPLUNK): figures, ("burst", Mode.ACCOUNT): figures}
    charts = [tmp_path / "one.svg", tmp_path / "other.svg"]
    for path in charts:
        draw(medians, path)
    assert charts[0].read_bytes() == charts[1].read_bytes()


def _judged(mode: Mode, numbers: list[int], superseded: int = 0) -> Outcome:
    """Judge what has arrived of 11 to 16, which two sensors showed."""
    return judge(mode, numbers, first=11, shown=6, sensors=2, superseded=superseded)


def test_what_was_before_is_not_judged() -> None:
    outcome = _judged(Mode.ACCOUNT, [9, 9, 10, *range(11, 17)])
    assert outcome == Outcome(
        shown=6, arrived=6, superseded=0, lost=0, duplicated=0, flaws=()
    )


def test_number_that_arrives_again_is_counted() -> None:
    assert _judged(Mode.ACCOUNT, [*range(11, 17), 12, 12]).duplicated == 2


def test_lost_number_spoils_a_run_of_ours_and_none_of_a_peer() -> None:
    numbers = [11, 12, 13, 15, 16]
    assert _judged(Mode.ACCOUNT, numbers).flaws
    assert _judged(Mode.MQTT, numbers).flaws
    peer = _judged(Mode.INFLUXDB_V1, numbers)
    assert (peer.lost, peer.arrived, peer.flaws) == (1, 5, ())


def test_token_may_supersede_all_but_the_last_of_each_sensor() -> None:
    outcome = _judged(Mode.TOKEN, [11, 15, 16], superseded=3)
    assert (outcome.lost, outcome.superseded, outcome.flaws) == (0, 3, ())
    assert _judged(Mode.TOKEN, [11, 12, 16], superseded=3).flaws


def test_what_was_superseded_must_be_missing_and_nothing_else() -> None:
    assert _judged(Mode.TOKEN, [15, 16], superseded=3).lost == 1
    assert _judged(Mode.TOKEN, [15, 16], superseded=3).flaws
    assert _judged(Mode.TOKEN, [15, 16], superseded=5).flaws


def test_nothing_is_superseded_where_all_is_sent() -> None:
    assert _judged(Mode.ACCOUNT, [12, *range(13, 17)], superseded=1).flaws


def test_number_that_was_never_shown_spoils_a_run() -> None:
    assert _judged(Mode.SPLUNK, [*range(11, 18)]).flaws


def test_who_exports_nothing_loses_nothing() -> None:
    assert _judged(Mode.FLOOR, []).lost == 0


def test_medians_are_above_the_floor_of_the_same_round(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report(events=1)
    for round_number, floor, peer, ours in (
        (1, 10, 50, 20),
        (2, 90, 94, 91),
        (3, 10, 40, 13),
    ):
        for mode, process_ms in (
            (Mode.FLOOR, floor),
            (Mode.INFLUXDB_V1, peer),
            (Mode.ACCOUNT, ours),
        ):
            costs = replace(_COSTS, process_ms=process_ms)
            report.add(round_number, mode, "burst", costs, ())
    report.finish()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    of_account = last["medians"][-1]
    assert of_account["process_ms"] == 20
    assert of_account["process_above_ms"] == 3
    assert of_account["times_peer"]["process_above_ms"] == 0.1
    assert last["is_good"] is True


def test_one_void_run_spoils_the_bench() -> None:
    report = Report()
    report.add(1, Mode.FLOOR, "burst", _COSTS, ())
    assert report.is_good
    report.add(1, Mode.ACCOUNT, "burst", _COSTS, ["1 numbers were lost."])
    assert not report.is_good


def test_bars_are_beside_the_peer_and_the_floor_of_the_same_shape() -> None:
    floor = {"process_above_ms": 0.0, "late_p99_ms": 2.0, "bytes_up": 0, "requests": 0}
    peer = {"process_above_ms": 40.0, "late_p99_ms": 9, "bytes_up": 180, "requests": 10}
    ours = {
        "process_above_ms": 10.0,
        "late_p99_ms": 3.5,
        "bytes_up": 121,
        "requests": 9,
    }
    medians = {
        ("paced", Mode.FLOOR): floor,
        ("paced", Mode.INFLUXDB_V1): peer,
        ("paced", Mode.ACCOUNT): ours,
    }
    met = {bar["figure"]: (bar["bar"], bar["is_met"]) for bar in bars_of(medians)}
    assert met == {
        "process_above_ms": (10, True),
        "late_p99_ms": (3, False),
        "bytes_up": (120, False),
        "requests": (10, True),
    }


def test_sink_finds_every_number_with_its_time() -> None:
    sink = Sink()
    point = b'W,domain=sensor,entity_id=thing_1 device_class_str="power",value='
    sink.answer(b"/write", point + b"7.0 1700000000500000000\n")
    sink.answer(
        b"/api/v2/write",
        point + b"8 1700000001000000000\n" + point + b"9.0 1700000002000000000",
    )
    started = {"time": 1, "event": {"meta": "started"}}
    event = {"time": 1700000003.5, "event": {"value": 10.0}}
    sink.answer(
        b"/services/collector/event",
        f"{json.dumps(started)}\n{json.dumps(event)}".encode(),
    )
    assert [(number, at) for number, at, _ in sink.arrivals()] == [
        (7, 1700000000.5),
        (8, 1700000001),
        (9, 1700000002),
        (10, 1700000003.5),
    ]


def test_quantiles_are_of_all_that_was_noted() -> None:
    seconds = [nth / 1000 for nth in range(101)]
    assert quantiles_ms(seconds[::-1]) == {"p50": 50, "p99": 99, "max": 100}
    assert quantiles_ms([]) is None


def test_floor_is_measured_before_all_that_are_judged_by_it() -> None:
    assert _modes("account, none") == [Mode.NONE, Mode.FLOOR, Mode.ACCOUNT]


@pytest.mark.parametrize("domain", ["influxdb", "splunk"])
def test_peers_are_those_that_home_assistant_asks_for(domain: str) -> None:
    manifest = Path(components.__path__[0]) / domain / "manifest.json"
    pinned = re.findall(
        r"^[a-z-]+==.*$",
        (_ROOT / "requirements" / "peers.in").read_text(),
        re.MULTILINE,
    )
    assert set(json.loads(manifest.read_text())["requirements"]) <= set(pinned)


def test_a_mode_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        mode_named("influx")
    assert "'influx'" in str(raised.value)
    assert "influxdb v1, influxdb v2" in str(raised.value)
