"""The file of budgets holds what is counted, and the board's budgets only fall."""

import json
from pathlib import Path
import subprocess

import pytest

from tests import budgets
from tests.budgets import earlier_budgets_of_the_board, hold, raised


@pytest.fixture
def hundred_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file hold one budget."""
    monkeypatch.setattr(budgets, "_ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    only = {"part": {"group": {"calls": 100}}}
    (tmp_path / "tests" / "budgets.json").write_text(json.dumps(only))


@pytest.mark.usefixtures("hundred_calls")
@pytest.mark.parametrize("count", [80, 99.9, 100])
def test_count_within_its_budget_is_let_pass(count: float) -> None:
    hold("part", "group", {"calls": count})


@pytest.mark.usefixtures("hundred_calls")
@pytest.mark.parametrize(
    ("count", "fault"), [(100.1, "100.1 is above 100"), (79, "79 is far below 100")]
)
def test_count_above_its_budget_or_far_below_is_not_let_pass(
    count: float, fault: str
) -> None:
    """What was won would be lost again otherwise, a little at a time."""
    with pytest.raises(AssertionError, match=f"calls: {fault}"):
        hold("part", "group", {"calls": count})


@pytest.mark.usefixtures("hundred_calls")
def test_what_to_write_is_said_with_the_air_that_a_count_needs() -> None:
    with pytest.raises(AssertionError) as told:
        hold("part", "group", {"calls": 200}, {"calls": 0.05})
    last_line = str(told.value).splitlines()[-1]
    assert json.loads(f"{{{last_line}}}") == {"group": {"calls": 210}}


@pytest.mark.usefixtures("hundred_calls")
@pytest.mark.parametrize("counts", [{}, {"calls": 100, "writes": 0}])
def test_each_budget_is_counted_and_each_count_has_one(counts: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match=r"nothing counts it|it has no budget"):
        hold("part", "group", counts)


def test_raised_budget_is_noticed() -> None:
    before = {"mpy_bytes": {"all_files": 10}, "writes": {"http_send": 1}}
    now = {"mpy_bytes": {"all_files": 11, "new": 5}, "writes": {"http_send": 1}}
    assert raised(now, before) == ["mpy_bytes.all_files"]
    assert raised(before, now) == []


def test_board_is_held_to_what_was_there_before_the_file_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a budget might have risen on the way."""
    before, after = {"writes": {"send": 1}}, {"writes": {"send": 2}}
    former, present = tmp_path / "tests/board/budgets.json", tmp_path / "tests"
    former.parent.mkdir(parents=True)
    _git(tmp_path, "init", "--quiet")
    former.write_text(json.dumps(before))
    _commit_all(tmp_path)
    former.unlink()
    (present / "budgets.json").write_text(json.dumps({"board": after}))
    _commit_all(tmp_path)
    monkeypatch.setattr(budgets, "_ROOT", tmp_path)
    assert earlier_budgets_of_the_board() == [after, before]


def _commit_all(repository: Path) -> None:
    _git(repository, "add", "--all")
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
    _git(repository, *somebody, "commit", "--quiet", "--message=budgets")


def _git(repository: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=repository, check=True)
