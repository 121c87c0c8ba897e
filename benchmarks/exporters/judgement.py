"""Judge what has become of the numbers that were shown, by what has arrived."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .modes import Mode


@dataclass(frozen=True)
class Outcome:
    """What has become of the numbers that were shown.

    Attributes:
        shown: how many were.
        arrived: how many of them did, each counted once.
        superseded: how many a newer one of the same sensor was sent in place of.
        lost: how many neither arrived nor were superseded.
        duplicated: how often one arrived again.
        flaws: what must not be, even of an exporter that may lose, a sentence each.
    """

    shown: int
    arrived: int
    superseded: int
    lost: int
    duplicated: int
    flaws: tuple[str, ...]


def judge(
    mode: Mode,
    numbers: Iterable[int],
    *,
    first: int,
    shown: int,
    sensors: int,
    superseded: int,
) -> Outcome:
    """Judge what has arrived of the numbers from `first` on.

    Args:
        mode: who exported them.
        numbers: all that have arrived.
        first: the first one that is to be judged.
        shown: how many were shown.
        sensors: how many sensors there are, which showed them in turn.
        superseded: how many its exporter says that it has replaced by newer ones.
    """
    end = first + shown
    found = Counter(number for number in numbers if number >= first)
    never_shown = sum(number >= end for number in found)
    # Who exports nothing loses nothing.
    missing = set(range(first, end)) - found.keys() if mode.exports else set()
    lost = len(missing) - superseded
    flaws = []
    if never_shown:
        flaws.append(f"{never_shown} numbers arrived that were never shown.")
    if lost < 0:
        flaws.append(f"{superseded} are superseded, but only {len(missing)} missing.")
    if superseded and not mode.sends_newest_alone:
        flaws.append(f"{superseded} were superseded where all should be sent.")
    if mode.is_ours:
        if lost > 0:
            flaws.append(f"{lost} numbers were lost.")
        if last := sum(number >= end - sensors for number in missing):
            flaws.append(f"{last} sensors' last numbers did not arrive.")
    return Outcome(
        shown=shown,
        arrived=shown - len(missing),
        superseded=superseded,
        lost=max(0, lost),
        duplicated=sum(times - 1 for number, times in found.items() if number < end),
        flaws=tuple(flaws),
    )
