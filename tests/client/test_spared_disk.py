"""What the server has before it would be written down never sees the disk."""

import asyncio
from dataclasses import replace
from pathlib import Path
import time

import pytest

from custom_components.sensorvision.client import spool
from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.outbox import (
    CompleteOutbox,
    NewestOutbox,
    Outbox,
)
from custom_components.sensorvision.client.turns import Turns
from sandbox import Sandbox
from tests.counting import Statements, follow_outboxes

from .outbox_files import as_crashed, opened, readings, values_in
from .servers import eventually
from .test_bulk import LONG_AGO, House, living
from .test_delivery import FAST

# Half of it is how long a reading is in memory alone.
_INTERVAL = Limits(commit_interval_s=1)
_STEP_S = 0.05


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Count what SQLite does to outboxes."""
    return follow_outboxes(monkeypatch)


async def _pass_through(outbox: CompleteOutbox, number: int) -> float:
    """Let a reading come and go, and return how long it was there."""
    came = time.monotonic()
    outbox.append(readings(number, number))
    await asyncio.sleep(_STEP_S)
    batch = await outbox.take_live(1)
    assert batch
    await outbox.confirm(batch)
    return time.monotonic() - came


def _stood_still(outbox: CompleteOutbox, longest_s: float) -> bool:
    """Tell whether this machine was too slow for readings to go in time."""
    # When they come is noted ten times in the time that they have.
    return longest_s > 0.8 * outbox.written_after_s


async def _crashed(outbox: Outbox, path: Path) -> Path:
    """Return a copy of the file as a crash would leave it now."""
    # Returns when what has begun is through.
    await outbox.dead_letters()
    return as_crashed(path, path.parent / "crashed" / "outbox")


async def test_disk_rests_while_all_that_comes_goes_in_time(
    tmp_path: Path, statements: Statements
) -> None:
    async with opened(tmp_path / "outbox", _INTERVAL) as outbox:
        commits = statements.commits
        longest_s = 0.0
        for number in range(1, 41):
            longest_s = max(longest_s, await _pass_through(outbox, number))
        assert statements.commits == commits or _stood_still(outbox, longest_s)
        assert len(outbox) == 0


async def test_what_stays_is_written_as_soon_as_alone(
    tmp_path: Path, statements: Statements
) -> None:
    """Whatever comes and goes meanwhile."""
    path = tmp_path / "outbox"
    async with opened(path, _INTERVAL) as outbox:
        rows = statements.rows
        came = time.monotonic()
        outbox.append(readings(1, 1))
        stays = await outbox.take_live(1)
        number = 1
        while statements.rows == rows:
            number += 1
            assert number < 100
            await _pass_through(outbox, number)
        assert time.monotonic() - came >= outbox.written_after_s
        crashed = await _crashed(outbox, path)
        assert stays
        await outbox.release(stays)
    assert 1 in await values_in(crashed)


async def test_what_came_while_another_was_on_its_way_has_its_own_time(
    tmp_path: Path, statements: Statements
) -> None:
    """It is not written with the time of one that has gone."""
    async with opened(tmp_path / "outbox", Limits(commit_interval_s=2)) as outbox:
        rows = statements.rows
        outbox.append(readings(1, 1))
        first_came = time.monotonic()
        first = await outbox.take_live(1)
        await asyncio.sleep(0.6)
        came = time.monotonic()
        outbox.append(readings(2, 2))
        assert first
        await outbox.confirm(first)
        await eventually(lambda: statements.rows > rows)
        is_in_time = time.monotonic() - came >= outbox.written_after_s
        assert is_in_time or _stood_still(outbox, came - first_came)


async def test_nothing_is_held_of_what_has_come_and_gone(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox", Limits(commit_interval_s=0.2)) as outbox:
        outbox.append(readings(1, 1000))
        batch = await outbox.take_live(1000)
        assert batch
        await outbox.confirm(batch)
        tail = outbox._spool._tail
        await eventually(lambda: not tail._entries and not tail.gone)


async def test_mark_is_written_now_and_then_all_the_same(
    tmp_path: Path, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a gap which a crash leaves is known by seconds."""
    path = tmp_path / "outbox"
    monkeypatch.setattr(spool, "_MARK_EVERY_S", 1)
    async with opened(path, Limits(commit_interval_s=0.2)) as outbox:
        outbox.mark_captured(1)
        await outbox.commit()
        commits, written, number = statements.commits, time.monotonic(), 1
        longest_s = 0.0
        # An address that is new is written down first, by itself.
        while statements.commits < commits + 2:
            number += 1
            assert number < 200
            outbox.mark_captured(number)
            longest_s = max(longest_s, await _pass_through(outbox, number))
        is_late = time.monotonic() - written >= 1
        assert is_late or _stood_still(outbox, longest_s)
        crashed = await _crashed(outbox, path)
    async with opened(crashed) as outbox:
        assert outbox.captured_until
        assert outbox.captured_until > 1


async def test_swift_server_is_sent_everything_before_it_would_be_written(
    sandbox: Sandbox, tmp_path: Path, statements: Statements
) -> None:
    """Although what changes within a second would leave together else."""
    async with living(sandbox, tmp_path / "outbox", replace(FAST, window_s=1)) as house:
        await _answered_once(house)
        rows = 50
        for _ in range(5):
            # A machine that stands still now and then has a server that is not swift.
            rows = min(rows, await _rows_written(house, statements))
            if rows < 50:
                break
        # All of them would be written, and deleted again.
        assert rows < 50


async def _rows_written(house: House, statements: Statements) -> int:
    """Return how many rows are written while fifty readings come and go."""
    await house.outbox.commit()
    rows = statements.rows
    for number in range(50):
        house.report("dev-a", "a", (LONG_AGO + number, number))
        await asyncio.sleep(_STEP_S)
    await house.settled()
    return statements.rows - rows


async def _answered_once(house: House) -> None:
    await eventually(lambda: house.status.is_connected)
    house.report("dev-a", "first", (LONG_AGO, 1))
    await house.settled()


@pytest.mark.parametrize(
    ("interval_s", "took_s", "window_s"),
    [
        (1, None, 1),
        (1, 0.05, 0.3),
        (1, 0.19, 0.3),
        (1, 0.21, 1),
        (60, 5, 1),
        # The disk is not spared, and the server would be asked too often.
        (0, 0.01, 1),
        (0.5, 0.01, 1),
    ],
)
async def test_swift_server_is_asked_oftener_if_that_spares_the_disk(
    interval_s: float, took_s: float | None, window_s: float
) -> None:
    outbox = CompleteOutbox(limits=Limits(commit_interval_s=interval_s))
    turns = Turns(outbox, lambda _device_ids: None)
    assert turns.window_s(1, took_s) == window_s


async def test_newest_is_written_however_often_it_is_replaced(
    tmp_path: Path, statements: Statements
) -> None:
    """None of them is ever old, and the last one would be missing after a crash."""
    path = tmp_path / "outbox"
    outbox = NewestOutbox(str(path), _INTERVAL)
    await outbox.open()
    rows, number = statements.rows, 0
    # An address that is new is a row, too.
    while statements.rows < rows + 2:
        number += 1
        assert number < 100
        outbox.append(readings(number, number))
        await asyncio.sleep(_STEP_S)
    crashed = await _crashed(outbox, path)
    await outbox.close()
    [newest] = await values_in(crashed)
    assert 0 < newest <= number
