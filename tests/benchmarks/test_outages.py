"""The benches of outages, stops and kills still run, and lose nothing of ours."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.exporters.arrivals import Arrival
from benchmarks.outages.exporters import EXPORTERS, FLOOR, Exporter
from benchmarks.outages.flaws import flaws_of
from benchmarks.outages.judgement import Change, Judgement, judge
from benchmarks.outages.kill import Kill
from benchmarks.outages.outage import Outage
from benchmarks.outages.scene import Costs
from benchmarks.outages.settling import settle
from benchmarks.outages.stop import Stop

from .running import lines_of

_BY_NAME = {exporter.name: exporter for exporter in EXPORTERS}
_ACCOUNT, _TOKEN, _PEER = (
    _BY_NAME[name] for name in ("account", "token", "influxdb v1")
)
_SENT = [Change(number, 100.0 + number) for number in range(1, 11)]


def _judged(*missing: int, late_s: float = 0) -> Judgement:
    """Return what became of ten changes, one a second."""
    arrivals = [
        Arrival(change.number, change.at + late_s, 110.5)
        for change in _SENT
        if change.number not in missing
    ]
    return judge(_SENT, arrivals, sensors=1)


@pytest.mark.parametrize("exporter", [_ACCOUNT, _TOKEN])
def test_ours_must_lose_nothing(exporter: Exporter) -> None:
    assert flaws_of(exporter, _judged(), changes=10) == []
    [flaw] = flaws_of(exporter, _judged(3, 4), changes=10)
    assert flaw == "2 of 10 readings were lost."


def test_a_peer_may_lose() -> None:
    """That is what was looked for."""
    assert flaws_of(_PEER, _judged(3, 4), changes=10) == []


@pytest.mark.parametrize("exporter", [_ACCOUNT, _PEER])
def test_a_run_with_other_changes_than_were_asked_for_is_void(
    exporter: Exporter,
) -> None:
    [flaw] = flaws_of(exporter, _judged(), changes=11)
    assert flaw == "10 changes were made instead of 11."


def test_only_a_token_may_give_a_reading_another_time() -> None:
    """Its server says itself when one was true."""
    assert flaws_of(_TOKEN, _judged(late_s=1), changes=10) == []
    [flaw] = flaws_of(_ACCOUNT, _judged(late_s=1), changes=10)
    assert flaw == "10 readings have a false time."


def test_a_kill_may_take_what_was_not_due_on_disk() -> None:
    """The change at 109 s is 1 s old at the kill, that at 108 s is 2 s old."""
    kill = Kill(110.0, _judged(8, 9, 10), _judged(9, 10))
    assert kill.flaws_of(_ACCOUNT, 10) == []
    assert kill.figures["oldest_lost_ms"] == 1000
    assert (kill.figures["not_there_at_kill"], kill.figures["lost"]) == (3, 2)
    older = Kill(110.0, _judged(8), _judged(8))
    assert older.flaws_of(_ACCOUNT, 10) == ["1 of 10 readings were lost."]
    assert older.flaws_of(_PEER, 10) == []


def test_what_arrives_after_another_start_was_on_disk() -> None:
    stop = Stop(1.5, _judged(8, 9, 10), _judged(10))
    figures = stop.figures(_ACCOUNT, floor_s=0.5)
    assert (figures["left_on_disk"], figures["lost"]) == (2, 1)
    assert figures["above_floor_s"] == 1


def test_floor_has_nothing_to_lose() -> None:
    nothing = judge(_SENT, [], sensors=1)
    assert Stop(0.5, nothing, nothing).figures(FLOOR, floor_s=0.5)["lost"] is None


def _outage(judgement: Judgement, came_while_away: int = 0) -> Outage:
    """Return one from the third change to before the eighth."""
    return Outage(
        changes=10,
        down_at=103.0,
        back_at=108.0,
        came_while_away=came_while_away,
        judgement=judgement,
        costs=Costs(),
    )


def test_losses_of_an_outage_are_told_from_those_around_it() -> None:
    figures = _outage(_judged(2, 3, 4, 8)).figures
    assert (figures["in_outage"], figures["lost_in_outage"]) == (5, 2)
    assert (figures["lost_percent"], figures["lost_around"]) == (40, 2)
    assert figures["recovery_s"] is None
    assert _outage(_judged()).figures["recovery_s"] == 2.5


def test_an_outage_in_which_values_arrive_is_void() -> None:
    """For a peer too: its server was not away."""
    assert _outage(_judged()).flaws_of(_PEER) == []
    [flaw] = _outage(_judged(), came_while_away=7).flaws_of(_PEER)
    assert flaw == "7 values came while it was away."


class _Arriving:
    """A server to which one value more has come whenever it is asked."""

    def __init__(self, *missing: int, for_good: int = 0) -> None:
        self.missing = [*missing]
        self._for_good = for_good

    async def judge(self) -> Judgement:
        """Return what it has by now."""
        judgement = _judged(*self.missing)
        if len(self.missing) > self._for_good:
            self.missing.pop()
        return judgement


async def test_waiting_ends_when_nothing_is_lost() -> None:
    server = _Arriving(1, 2, 3)
    judgement = await settle(server.judge, quiet_s=60, look_every_s=0)
    assert not judgement.lost


async def test_waiting_ends_when_nothing_more_comes() -> None:
    server = _Arriving(1, 2, 3, for_good=1)
    judgement = await settle(server.judge, quiet_s=0, look_every_s=0)
    assert [change.number for change in judgement.lost] == [1]


_SMALL = ("--sensors", "20", "--rounds", "1")
_COMMANDS = {
    "outage": (
        *("outage", "--modes", "account", "influxdb v1", *_SMALL, "--rate", "50"),
        *("--cases", "restarted", "--up-s", "1", "--down-s", "3", "--after-s", "2"),
    ),
    "stop": (
        *("stop", "--modes", "account", *_SMALL),
        *("--events", "100", "--rate", "100"),
    ),
    "kill": (
        *("kill", "--modes", "account", *_SMALL),
        *("--events", "200", "--rate", "100"),
    ),
}


@pytest.fixture(scope="module")
def last_lines() -> dict[str, dict[str, Any]]:
    """Run the benches, all at the same time, and return the last line of each.

    They end badly if ours has lost a reading.
    """
    with ThreadPoolExecutor() as pool:
        running = {
            name: pool.submit(lines_of, *command) for name, command in _COMMANDS.items()
        }
        return {name: lines.result()[-1] for name, lines in running.items()}


def _medians(line: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert line["is_good"] is True
    return {row["exporter"]: row for row in line["medians"]}


def test_an_outage_costs_a_peer_readings_and_ours_none(
    last_lines: dict[str, dict[str, Any]],
) -> None:
    """Although Home Assistant was restarted in its middle."""
    found = _medians(last_lines["outage"])
    ours, peer = found["account"], found["influxdb v1"]
    assert ours["case"] == peer["case"] == "restarted"
    assert ours["sent"] == peer["sent"] == 300
    assert ours["in_outage"] >= 150
    assert ours["lost_in_outage"] == ours["lost_around"] == ours["false_time"] == 0
    assert ours["recovery_s"] > 0
    assert peer["lost_percent"] > 90
    assert peer["recovery_s"] is None
    for costs in (ours, peer):
        assert costs["cpu_s"] > 0
        assert costs["peak_mb"] > 50


def test_a_stop_leaves_nothing_behind(last_lines: dict[str, dict[str, Any]]) -> None:
    """What had not gone went after another start."""
    found = _medians(last_lines["stop"])
    ours, floor = found["account"], found["floor"]
    assert ours["sent"] == floor["sent"] == 100
    assert ours["lost"] == 0
    assert ours["stop_s"] > 0
    assert floor["stop_s"] > 0
    assert floor["above_floor_s"] == 0
    assert floor["lost"] is None


def test_a_kill_loses_no_more_than_the_commit_interval(
    last_lines: dict[str, dict[str, Any]],
) -> None:
    """At a hundred changes a second, that is a hundred and some for its tick."""
    ours = _medians(last_lines["kill"])["account"]
    assert ours["sent"] == 200
    assert ours["lost"] <= min(110, ours["not_there_at_kill"])
