"""One subject's turn, in a house of its own."""

from collections.abc import Awaitable, Callable, Set as AbstractSet
from dataclasses import dataclass

from benchmarks.house import House
from benchmarks.meter import Measured, Meter, clock, measure

from .report import Report, Row
from .storm import Storm
from .subjects import Choice, Subject

# Each of the two storms hits one part of so many.
_STORM_SHARE = 10


@dataclass(frozen=True)
class Turn:
    """What is measured of one subject in one round.

    Attributes:
        house: where it is.
        choice: what it is to follow.
        subject_name: what it is called.
        meter: the selector of the running loop.
        report: where it is reported.
        linger_s: how long to go on measuring when all is right, in seconds.
        round_number: from 1.
    """

    house: House
    choice: Choice
    subject_name: str
    meter: Meter
    report: Report
    linger_s: float
    round_number: int

    async def add(self, subject: Subject) -> None:
        """Measure how it begins to follow."""
        await self.measure(
            "add",
            lambda: subject.add(self.choice),
            _is_right(subject, frozenset(self.house.entity_ids)),
        )

    async def storms(self, subject: Subject) -> None:
        """Measure two storms, each of which hits another tenth of the house."""
        ids = self.house.entity_ids
        size = len(ids) // _STORM_SHARE
        first, second = Storm(ids[:size]), Storm(ids[size : 2 * size])
        followed = self._after(first, frozenset(ids), subject)
        await self.measure(
            "storm, one by one",
            lambda: first.blow_one_by_one(self.house),
            _is_right(subject, followed),
        )
        followed = self._after(second, followed, subject)
        await self.measure(
            "storm, at once",
            lambda: second.blow_at_once(self.house),
            _is_right(subject, followed),
        )

    async def remove(self, subject: Subject) -> None:
        """Measure how it ceases to follow."""
        await self.measure("remove", subject.remove, _is_right(subject, frozenset()))

    async def measure(
        self,
        phase: str,
        action: Callable[[], Awaitable[object]],
        is_right: Callable[[], bool] | None,
    ) -> None:
        """Measure an action until it has had its effect, and a while on."""
        measured = await measure(self.meter, action, is_right, self.linger_s)
        self._report(phase, measured)

    def clock(self, phase: str, function: Callable[[], object]) -> None:
        """Measure a function that holds the loop from its beginning to its end."""
        self._report(phase, clock(function))

    def judge(self, counts: dict[str, int], expected: dict[str, int]) -> None:
        """Report what a mirror held, and whether that is what it should have held."""
        self.report.judge(self.round_number, self.choice.name, counts, expected)

    def _after(
        self, storm: Storm, before: AbstractSet[str], subject: Subject
    ) -> AbstractSet[str]:
        return storm.followed_after(
            before, self.choice.name, with_disabled=subject.follows_disabled
        )

    def _report(self, phase: str, measured: Measured) -> None:
        row = Row(phase, self.choice.name, self.subject_name, measured)
        self.report.add(self.round_number, row)


def _is_right(subject: Subject, wanted: AbstractSet[str]) -> Callable[[], bool] | None:
    """Return what tells whether a subject follows just what it should."""
    if subject.followed() is None:
        return None
    return lambda: subject.is_caught_up() and subject.followed() == wanted
