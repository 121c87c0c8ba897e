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

from .client_relay import Relay

_WIDTH = 140


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
        server_cpu_s: processor time of the server's process.
    """

    seconds: float
    cpu_s: float
    server_cpu_s: float


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
        self._counted: dict[Subject, Relay] = {}
        self._timed: dict[tuple[float, Subject], list[Costs]] = {}
        self._console = Console(stderr=True, width=_WIDTH)

    def miss(self, whose: str, why: str) -> None:
        """Note that a package can't be measured."""
        self.is_good = False
        self._missing[whose] = why
        self._console.print(f"[red]{whose} is not measured: {why}")

    def count(self, subject: Subject, relay: Relay) -> None:
        """Note what went over the wire."""
        self._counted[subject] = relay
        self._print(**asdict(subject), **_wire(relay))

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
                {**asdict(subject), **_wire(relay)}
                for subject, relay in self._counted.items()
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
            title=f"{self._readings} readings, answers {away_ms:g} ms later; "
            "x: times the peer's one by one"
        )
        table.add_column("who", no_wrap=True)
        for column in (
            "s",
            "readings/s",
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
            relay, base_relay = self._counted[subject], self._counted[base]
            table.add_row(
                str(subject),
                f"{costs.seconds:.2f}",
                f"{self._readings / costs.seconds:,.0f}",
                _times(found[base].seconds, costs.seconds),
                f"{costs.cpu_s:.2f}",
                _times(found[base].cpu_s, costs.cpu_s),
                f"{relay.requests:,}",
                f"{relay.bytes_up:,}",
                _times(base_relay.bytes_up, relay.bytes_up),
                f"{relay.bytes_down:,}",
                _times(base_relay.bytes_down, relay.bytes_down),
            )
        return table

    def _print(self, **facts: object) -> None:
        print(json.dumps({"bench": "client", **facts}), flush=True)


def _columns(found: Sequence[Costs]) -> Iterator[tuple[float, ...]]:
    rows = [(costs.seconds, costs.cpu_s, costs.server_cpu_s) for costs in found]
    yield from zip(*rows, strict=True)


def _wire(relay: Relay) -> dict[str, int]:
    return {
        "requests": relay.requests,
        "connections": relay.connections,
        "bytes_up": relay.bytes_up,
        "bytes_down": relay.bytes_down,
    }


def _rounded(costs: Costs) -> dict[str, float]:
    return {key: round(value, 3) for key, value in asdict(costs).items()}


def _times(base: float, own: float) -> str:
    return f"{base / own:.2f}" if own else ""
