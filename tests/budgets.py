"""Hold what is counted to the one file of budgets, and the file to its past."""

from collections.abc import Iterator, Mapping
import json
import math
from pathlib import Path
import subprocess

type Group = dict[str, int]
type Part = dict[str, Group]

_ROOT = Path(__file__).resolve().parent.parent
_FILE = "tests/budgets.json"
# Where the board's were before the other parts were.
_FORMER_FILE = "tests/board/budgets.json"

# What is far below its budget has been won, and must not be lost again unseen.
_TOO_GENEROUS = 1.25


def budgets_of(part: str) -> Part:
    """Return the budgets of a part, by group and name."""
    budgets: Part = json.loads((_ROOT / _FILE).read_text(encoding="utf-8"))[part]
    return budgets


def hold(
    part: str,
    group: str,
    counts: Mapping[str, float],
    air: Mapping[str, float] | None = None,
) -> None:
    """Make sure that counts keep to their budgets, and that none is far below its own.

    Args:
        part: of the file.
        group: of the part.
        counts: what was counted, by the names of the budgets.
        air: by how much of itself a count may vary from run to run, where it does.

    Raises:
        AssertionError: a count is above its budget, or far below; says what to write.
    """
    wanted = {
        name: math.ceil(round(count * (1 + (air or {}).get(name, 0)), 6))
        for name, count in counts.items()
    }
    faults = list(_faults(budgets_of(part).get(group, {}), counts))
    told = "".join(f"  {fault}\n" for fault in faults)
    assert not faults, (
        f"\n{part}.{group} of {_FILE} is not what is counted:\n{told}"
        f"If that is meant, write:\n{json.dumps({group: wanted})[1:-1]}"
    )


def _faults(budgets: Mapping[str, int], counts: Mapping[str, float]) -> Iterator[str]:
    for name in sorted(budgets.keys() ^ counts.keys()):
        what = "nothing counts it" if name in budgets else "it has no budget"
        yield f"{name}: {what}"
    for name in sorted(budgets.keys() & counts.keys()):
        budget, count = budgets[name], counts[name]
        if count > budget:
            yield f"{name}: {count:g} is above {budget}"
        elif budget > count * _TOO_GENEROUS:
            yield f"{name}: {count:g} is far below {budget}, so lower that"


def raised(
    now: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Return which budgets of a part are larger than they were."""
    return [
        f"{group}.{name}"
        for group, budgets in now.items()
        for name, budget in budgets.items()
        if budget > before.get(group, {}).get(name, budget)
    ]


def earlier_budgets_of_the_board() -> list[Part]:
    """Return the board's budgets of every commit in reach, none without a repository.

    A shallow clone reaches the newest alone, which says what a working tree has raised.
    """
    return [
        *(json.loads(text)["board"] for text in _texts(_FILE)),
        *map(json.loads, _texts(_FORMER_FILE)),
    ]


def _texts(path: str) -> Iterator[str]:
    """Yield what a file has said in each commit that has changed it."""
    log = ("log", "--format=%H", "--diff-filter=AM", "--no-renames", "--", path)
    for commit in _git(*log).split():
        yield _git("show", f"{commit}:{path}")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout
