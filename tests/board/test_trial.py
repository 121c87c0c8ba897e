"""What `main.py` makes of a new version: tried out, kept, or taken back."""

from pathlib import Path
import shutil

import pytest

from micropython.provision.manifest import device_files, stage
from micropython.simulator import SimulatedBoard

# Versions of the port that do one thing each, with the real way to say that it is good.
OLD = "def run():\n    print('the old version runs')\n"
GOOD = """
from sensorvision import update
def run():
    print("the new version runs,", update.trial_left_ms() > 590000)
    update.confirm()
    print("then", update.trial_left_ms())
"""
SILENT = """
import time
def run():
    print("the new version runs")
    while True:
        time.sleep(1)
"""
RESETS = """
import machine
def run():
    print("the new version runs")
    machine.reset()
"""
TAKEN_BACK = [
    "update: this version failed; the one before comes back",
    "the old version runs",
]
PLANTED = "sensorvision.new"


def new_board(tmp_path: Path, start: str, *, left: str | None = "20") -> SimulatedBoard:
    """Return a board with an old version, and a new one that waits for its first start."""
    board = SimulatedBoard(tmp_path, {})
    stage(board.flash)
    here = board.flash / "sensorvision"
    shutil.copytree(here, board.flash / PLANTED)
    (here / "start.py").write_text(OLD, encoding="utf-8")
    (board.flash / PLANTED / "start.py").write_text(start, encoding="utf-8")
    (board.flash / PLANTED / "only_new.py").touch()
    (here / "only_old.py").touch()
    if left is not None:
        (board.flash / PLANTED / "trial").write_text(left, encoding="utf-8")
    (board.flash / "settings.json").write_text('{"mine": 1}', encoding="utf-8")
    return board


def printed(board: SimulatedBoard, text: str) -> int:
    """Count the lines with a text."""
    return sum(text in line for line in board.lines)


def running(board: SimulatedBoard) -> str:
    """Tell which version lies where the board runs it."""
    here = board.flash / "sensorvision"
    is_new = (here / "only_new.py").exists()
    assert is_new is not (here / "only_old.py").exists()
    assert len(list(here.rglob("*.py"))) == len(device_files())
    return "new" if is_new else "old"


def directories(board: SimulatedBoard) -> set[str]:
    """Name what lies on the flash beside the port's own files."""
    return {path.name for path in board.flash.iterdir()} - {"main.py"}


async def test_good_version_is_kept_and_the_old_one_removed(tmp_path: Path) -> None:
    board = new_board(tmp_path, GOOD)
    async with board:
        await board.wait_until_off()
    assert board.lines[0] == "the new version runs, True"
    assert board.lines[1:] == ["update: confirmed", "then None"]
    assert running(board) == "new"
    assert directories(board) == {"sensorvision", "settings.json"}
    assert not (board.flash / "sensorvision" / "trial").exists()
    assert (board.flash / "settings.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("import no_such_module\n", "ImportError"),
        ("def run(:\n", "SyntaxError"),
        ("def run():\n    raise ValueError\n", "ValueError"),
        ("def run():\n    return [0] * 10 ** 9\n", "MemoryError"),
        ("", "ImportError"),
    ],
)
async def test_version_that_crashes_at_its_start_is_taken_back_at_once(
    tmp_path: Path, start: str, words: str
) -> None:
    board = new_board(tmp_path, start)
    async with board:
        await board.wait_until_off()
    assert printed(board, words) == 1, board.lines
    assert board.lines[-2:] == TAKEN_BACK
    assert board.resets == 1
    assert running(board) == "old"
    assert (board.flash / PLANTED / "trial").read_text() == "0"
    assert (board.flash / "settings.json").read_text() == '{"mine": 1}'


async def test_version_that_has_failed_is_not_started_again(tmp_path: Path) -> None:
    board = new_board(tmp_path, "import no_such_module\n")
    for starts in range(1, 4):
        async with board:
            await board.wait_until_off()
        assert printed(board, "ImportError") == 1
        assert printed(board, "the old version runs") == starts


async def test_version_that_never_reports_is_taken_back_after_so_many_starts(
    tmp_path: Path,
) -> None:
    board = new_board(tmp_path, RESETS, left="3")
    async with board:
        await board.wait_until_off()
    assert board.lines == ["the new version runs"] * 3 + TAKEN_BACK
    assert running(board) == "old"
    assert not (board.flash / "sensorvision.old").exists()


async def test_version_that_never_reports_is_taken_back_when_its_time_is_up(
    tmp_path: Path,
) -> None:
    board = new_board(tmp_path, SILENT)
    main = board.flash / "main.py"
    source = main.read_text(encoding="utf-8")
    assert source.count("const(660000)") == 1
    main.write_text(source.replace("const(660000)", "const(300)"), encoding="utf-8")
    async with board:
        await board.wait_until_off()
    assert board.lines == ["the new version runs", *TAKEN_BACK]
    assert board.resets == 1
    assert running(board) == "old"


async def test_node_that_gives_up_by_itself_has_no_further_start(
    tmp_path: Path,
) -> None:
    board = new_board(
        tmp_path,
        "import machine\nfrom sensorvision import update\n"
        "def run():\n"
        "    print('the new version runs')\n"
        "    if update.trial_left_ms() <= 0:\n"
        "        machine.reset()\n",
    )
    update = board.flash / PLANTED / "update.py"
    source = update.read_text(encoding="utf-8")
    assert source.count("const(600000)") == 1
    update.write_text(source.replace("const(600000)", "const(0)"), encoding="utf-8")
    async with board:
        await board.wait_until_off()
    assert board.lines == ["the new version runs", *TAKEN_BACK]


async def test_version_that_has_delivered_may_crash_without_being_taken_back(
    tmp_path: Path,
) -> None:
    board = new_board(tmp_path, GOOD + "    raise ValueError\n")
    async with board:
        await board.wait_until_off()
    assert printed(board, "update: confirmed") == 1
    assert board.resets == 0
    assert running(board) == "new"


@pytest.mark.parametrize("left", [None, "", "0"])
async def test_version_that_is_not_complete_or_has_failed_is_not_started(
    tmp_path: Path, left: str | None
) -> None:
    board = new_board(tmp_path, GOOD, left=left)
    async with board:
        await board.wait_until_off()
    assert board.lines == ["the old version runs"]
    assert running(board) == "old"


async def test_old_version_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    """Who flashes a board by cable while a version is on trial keeps what was flashed."""
    board = new_board(tmp_path, GOOD)
    shutil.rmtree(board.flash / "sensorvision")
    (board.flash / PLANTED).rename(board.flash / "sensorvision")
    (board.flash / "sensorvision" / "trial").write_text("0")
    async with board:
        await board.wait_until_off()
    assert printed(board, "update: confirmed") == 1
    assert running(board) == "new"
