"""Compare what a board's sensor has measured with what a broker was told of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
import json
from pathlib import Path
from typing import NamedTuple

from micropython.device.sensorvision.sensors.bme280 import (
    fine_temperature,
    humidity_1024ths,
    pressure_256ths,
)
from micropython.simulator.world import BME280_CALIBRATION, Conversion

# What the sensor's converter reads at first, and what each measurement adds: the pressure
# alone tells two measurements apart, and no humidity is the number that stands for none.
FIRST: Conversion = (420_000, 330_000, 32_700)
STEPS: Conversion = (8, 40, -1)

# A board's clock and the time in messages know whole seconds, and each may be rounded.
_TOLERANCE_MS = 2000

type Values = tuple[float, float, float]


class Measurement(NamedTuple):
    """A line of the sensor's log.

    Attributes:
        number: counts the measurements, over all starts of the board.
        at_ms: when it was handed out, in milliseconds since 1970.
        heap_bytes: how much of the board's memory was in use, without garbage.
    """

    number: int
    at_ms: int
    heap_bytes: int

    @property
    def values(self) -> Values:
        """Return temperature, pressure and humidity as the driver understands them."""
        raw = [
            first + step * self.number for first, step in zip(FIRST, STEPS, strict=True)
        ]
        fine = fine_temperature(BME280_CALIBRATION, raw[0])
        return (
            ((fine * 5 + 128) >> 8) / 100,
            (pressure_256ths(BME280_CALIBRATION, fine, raw[1]) + 128) // 256 / 100,
            ((humidity_1024ths(BME280_CALIBRATION[-1], fine, raw[2]) * 100 + 512) >> 10)
            / 100,
        )


class Telling(NamedTuple):
    """What a message has told.

    Attributes:
        values: temperature, pressure and humidity.
        at_ms: the time it names, in milliseconds since 1970.
    """

    values: Values
    at_ms: int


@dataclass(frozen=True)
class Course:
    """What the board went through.

    Attributes:
        cuts_ms: when it has lost its memory, by a loss of power or its watchdog.
        timeless_ms: from when to when it was on without ever knowing the time.
        in_memory_ms: how long a measurement may wait in memory before it is on flash.
    """

    cuts_ms: Sequence[int]
    timeless_ms: Sequence[tuple[int, int]]
    in_memory_ms: int

    def may_forget(self, at_ms: int) -> bool:
        """Tell whether a measurement may have been in memory alone at a cut."""
        return any(at_ms <= cut <= at_ms + self.in_memory_ms for cut in self.cuts_ms)

    def may_not_date(self, at_ms: int) -> bool:
        """Tell whether a measurement was made where its time could not be known."""
        return any(begin <= at_ms <= end for begin, end in self.timeless_ms)


@dataclass
class Fate:
    """What became of measurements, by their numbers.

    Attributes:
        sent: all of them.
        delivered: told by the broker, each with its own time.
        acknowledged: taken by the broker, which was killed before it told anybody.
        forgotten: were in memory alone when the power went.
        dropped: made where their time could not be known.
        lost: all others.
        copies: how often more than once each was told.
        mistimed: told with a time at which they were not measured.
        unknown: messages that tell what was never measured.
    """

    sent: list[Measurement]
    delivered: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    forgotten: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    copies: Counter[int] = field(default_factory=Counter)
    mistimed: set[int] = field(default_factory=set)
    unknown: int = 0


def read_log(log: Path) -> list[Measurement]:
    """Return what the sensor has measured."""
    with log.open(encoding="ascii") as lines:
        return [Measurement(*map(int, line.split())) for line in lines]


def told(messages: Iterable[bytes]) -> list[Telling]:
    """Return what messages tell of the sensor; others tell of the board."""
    tellings = []
    for payload in messages:
        if not payload.startswith(b"{"):
            continue
        message = json.loads(payload)
        variables = message["variables"]
        if "pressure" in variables:
            values = tuple(
                round(variables.get(name, -1.0), 2)
                for name in ("temperature", "pressure", "humidity")
            )
            at_s = datetime.fromisoformat(message["timestamp"]).timestamp()
            tellings.append(
                Telling((values[0], values[1], values[2]), int(at_s * 1000))
            )
    return tellings


def judge(
    measured: Sequence[Measurement],
    until_ms: int,
    heard: Iterable[bytes],
    acknowledged: Iterable[bytes],
    course: Course,
) -> Fate:
    """Say what became of what was measured until a moment.

    Args:
        measured: the sensor's log.
        until_ms: the moment; what came later is not judged.
        heard: the messages that came out of the broker.
        acknowledged: those that it has acknowledged, seen from outside.
        course: what may excuse the board.
    """
    fate = Fate([each for each in measured if each.at_ms <= until_ms])
    by_values = {each.values: each for each in measured}
    for telling in told(heard):
        _hear(fate, telling, by_values.get(telling.values), until_ms)
    taken = {
        by_values[telling.values].number
        for telling in told(acknowledged)
        if telling.values in by_values
    }
    for number, at_ms, _ in fate.sent:
        if number in fate.delivered:
            continue
        if number in taken:
            fate.acknowledged.add(number)
        elif course.may_forget(at_ms):
            fate.forgotten.add(number)
        elif course.may_not_date(at_ms):
            fate.dropped.add(number)
        else:
            fate.lost.add(number)
    return fate


def _hear(
    fate: Fate, telling: Telling, measured: Measurement | None, until_ms: int
) -> None:
    """Take in what a message has told of a measurement, if there was such a one."""
    if measured is None:
        fate.unknown += 1
    elif abs(telling.at_ms - measured.at_ms) > _TOLERANCE_MS:
        fate.mistimed.add(measured.number)
    elif measured.number in fate.delivered:
        fate.copies[measured.number] += 1
    elif measured.at_ms <= until_ms:
        fate.delivered.add(measured.number)
