"""Print what readings cost plain Python, as JSON lines and as tables of ratios."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
import json
import os
import platform
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.relay import Relay

_WIDTH = 152


@dataclass(frozen=True)
class Subject:
    """Who sends readings, and how.

    Attributes:
        whose: the package.
        way: the client and the method.
    """

    whose: str
    way: str

    def __str__(self) -> str:
        return f"{self.whose}: {self.way}"

    @property
    def family(self) -> str:
        """Return by what it is compared: `sync`, or `async`, which MQTT is, too."""
        return "sync" if self.way.startswith("sync") else "async"


@dataclass(frozen=True)
class Costs:
    """What some readings took.

    Attributes:
        seconds: until the last was answered.
        cpu_s: processor time of the client's process.
        stored_s: until the server was seen to have all, which over MQTT comes later.
        server_cpu_s: processor time of the server's process.
    """

    seconds: float
    cpu_s: float
    stored_s: float
    server_cpu_s: float


@dataclass(frozen=True)
class Wire:
    """What goes over the wire for one reading.

    Attributes:
        requests: of HTTP.
        bytes_up: that the client sends, without what TCP adds.
        bytes_down: that it is sent.
    """

    requests: float
    bytes_up: float
    bytes_down: float


@dataclass(frozen=True)
class Bar:
    """How many times faster one subject is to be than another."""

    subject: Subject
    peer: Subject
    times: float


class Report:
    """What the bench has found so far.

    Attributes:
        is_good: whether both packages were measured.
    """

    def __init__(self, *, readings: int, rounds: int, concurrency: int) -> None:
        self.is_good = True
        self._readings = readings
        self._facts = {
            "readings": readings,
            "rounds": rounds,
            "concurrency": concurrency,
        }
        self._missing: dict[str, str] = {}
        self._counted: dict[Subject, Wire] = {}
        self._timed: dict[tuple[float, Subject], list[Costs]] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    def miss(self, whose: str, why: str) -> None:
        """Note that a package can't be measured."""
        self.is_good = False
        self._missing[whose] = why
        self._console.print(f"[red]{whose} is not measured: {why}")

    def count(self, subject: Subject, relay: Relay, readings: int) -> None:
        """Note what went over the wire for so many readings."""
        self._counted[subject] = Wire(
            relay.requests / readings,
            relay.bytes_up / readings,
            relay.bytes_down / readings,
        )
        self._print(**asdict(subject), **_rounded(self._counted[subject]))

    def time(
        self, round_number: int, away_ms: float, subject: Subject, costs: Costs
    ) -> None:
        """Note what it took."""
        self._timed.setdefault((away_ms, subject), []).append(costs)
        self._print(
            round=round_number, away_ms=away_ms, **asdict(subject), **_rounded(costs)
        )

    def finish(self, bars: Sequence[Bar]) -> None:
        """Print the medians, the ratios and which bars are met."""
        medians = {
            key: Costs(*(median(column) for column in _columns(found)))
            for key, found in self._timed.items()
        }
        for away_ms in dict.fromkeys(away_ms for away_ms, _ in medians):
            of_these = {
                subject: costs
                for (away, subject), costs in medians.items()
                if away == away_ms
            }
            self._console.print(self._table(away_ms, of_these))
        met = [
            {
                "away_ms": away_ms,
                "ours": bar.subject.way,
                "peer": bar.peer.way,
                "times": round(medians[away_ms, bar.peer].seconds / costs.seconds, 2),
                "bar": bar.times,
            }
            for bar in bars
            for (away_ms, subject), costs in medians.items()
            if subject == bar.subject and (away_ms, bar.peer) in medians
        ]
        for found in met:
            self._console.print(
                f"{found['ours']}: {found['times']} x {found['peer']} at"
                f" {found['away_ms']} ms (bar: {found['bar']})"
            )
        self._print(
            **self._facts,
            python=platform.python_version(),
            aiohttp=version("aiohttp"),
            requests=version("requests"),
            cores=os.cpu_count(),
            is_good=self.is_good,
            missing=self._missing,
            wire=[
                {**asdict(subject), **_rounded(wire)}
                for subject, wire in self._counted.items()
            ],
            medians=[
                {
                    "away_ms": away_ms,
                    **asdict(subject),
                    **_rounded(costs),
                    "readings_per_s": round(self._readings / costs.seconds),
                }
                for (away_ms, subject), costs in medians.items()
            ],
            bars=met,
        )

    def _table(self, away_ms: float, found: Mapping[Subject, Costs]) -> Table:
        table = Table(
            title=f"{self._readings} readings, answers {away_ms:g} ms later; requests and bytes "
            "of each; x: how many times the peer's, one by one"
        )
        table.add_column("who", no_wrap=True)
        for column in (
            "s",
            "stored s",
            "per s",
            "x",
            "CPU s",
            "x",
            "requests",
            "bytes up",
            "x",
            "bytes down",
            "x",
        ):
            table.add_column(column, justify="right")
        for subject, costs in found.items():
            base = next(
                (other for other in found if other.family == subject.family), subject
            )
            wire, base_wire = self._counted[subject], self._counted[base]
            table.add_row(
                str(subject),
                f"{costs.seconds:.2f}",
                f"{costs.stored_s:.1f}",
                f"{self._readings / costs.seconds:,.0f}",
                _times(found[base].seconds, costs.seconds),
                f"{costs.cpu_s:.2f}",
                _times(found[base].cpu_s, costs.cpu_s),
                f"{wire.requests:g}",
                f"{wire.bytes_up:.0f}",
                _times(base_wire.bytes_up, wire.bytes_up),
                f"{wire.bytes_down:.0f}",
                _times(base_wire.bytes_down, wire.bytes_down),
            )
        return table

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": "client", **facts}), flush=True)


def _columns(found: Sequence[Costs]) -> Iterator[tuple[float, ...]]:
    rows = [
        (costs.seconds, costs.cpu_s, costs.stored_s, costs.server_cpu_s)
        for costs in found
    ]
    yield from zip(*rows, strict=True)


def _rounded(found: Costs | Wire) -> dict[str, float]:
    return {key: round(value, 3) for key, value in asdict(found).items()}


def _times(base: float, own: float) -> str:
    return f"{base / own:.2f}" if own else ""
