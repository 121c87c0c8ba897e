"""What an outbox holds is kept when disks are full, clocks jump and callers give up."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
import time

import pytest

from custom_components.sensorvision import client
from custom_components.sensorvision.client import file, journal, spool
from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.readings import Batch, Reading
from custom_components.sensorvision.client.rows import Recalled

from .outbox_files import (
    as_crashed,
    filled,
    is_sound,
    opened,
    readings,
    values,
    values_in,
)
from .servers import eventually

APPENDER = Path(__file__).with_name("appender.py")


async def _taken(outbox: CompleteOutbox, limit: int) -> Batch:
    outbox.rewind()
    batch = await outbox.take_backlog(limit)
    assert batch
    return batch


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size in bytes, as if disks were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("interval_s", [1, 0])
def test_what_was_committed_survives_kill_9(tmp_path: Path, interval_s: int) -> None:
    path = tmp_path / "outbox"
    committed = 0
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, APPENDER, path, str(committed + 1), str(interval_s)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(client.__file__).parent.parent)},
        )
        assert process.stdout
        for _ in range(3 + 5 * round_):
            printed = process.stdout.readline()
        process.kill()
        printed = [printed, *process.stdout.readlines()][-1]
        process.stdout.close()
        process.wait()
        found = asyncio.run(values_in(path))
        assert int(printed) - committed >= 7
        assert found == list(range(1, len(found) + 1))
        # The last commit may have been through before it was printed.
        assert int(printed) <= len(found) <= int(printed) + 7
        committed = len(found)


async def test_reading_is_on_disk_after_the_commit_interval(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    async with opened(path, Limits(commit_interval_s=0)) as outbox:
        outbox.append(readings(1, 3))
        assert await _left_by_a_crash(path, 3) == [1, 2, 3]


async def test_reading_is_on_disk_before_the_commit_interval_is_over(
    tmp_path: Path,
) -> None:
    """A kill loses nothing that is older, so the writing has to be part of it."""
    path = tmp_path / "outbox"
    interval_s = 2
    async with opened(path, Limits(commit_interval_s=interval_s)) as outbox:
        before = _sizes(path)
        begun = time.monotonic()
        outbox.append(readings(1, 1))
        await eventually(lambda: _sizes(path) != before)
        assert time.monotonic() - begun < interval_s


async def test_shorter_commit_interval_holds_at_once(tmp_path: Path) -> None:
    """For what waits by then, too."""
    path = tmp_path / "outbox"
    async with opened(path) as outbox:
        outbox.append(readings(1, 3))
        limits = Limits(commit_interval_s=0)
        await outbox.limit(limits)
        assert outbox.limits == limits
        assert await values_in(as_crashed(path, tmp_path / "copy")) == [1, 2, 3]
        outbox.append(readings(4, 4))
        assert await _left_by_a_crash(path, 4) == [1, 2, 3, 4]


async def test_smaller_limit_drops_the_oldest_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(1, 20_000))
        await outbox.commit()
        assert outbox.dropped == 0
        await outbox.limit(Limits(commit_interval_s=3600, max_bytes=200_000))
        assert outbox.dropped > 10_000
        assert await values(outbox) == [*range(outbox.dropped + 1, 20_001)]


async def test_what_is_confirmed_at_once_never_sees_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    async with opened(path) as outbox:
        await outbox.commit()
        before = _sizes(path)
        outbox.append(readings(1, 100))
        await outbox.confirm(await _taken(outbox, 100))
        await outbox.commit()
        assert _sizes(path) == before


async def _left_by_a_crash(path: Path, count: int) -> list[float]:
    """Return what a file holds as soon as that is enough; names are written first."""
    async with asyncio.timeout(20):
        while True:
            found = await values_in(as_crashed(path, path.with_name("crashed")))
            if len(found) >= count:
                return found


def _sizes(path: Path) -> list[int]:
    parts = Path(path), Path(f"{path}-wal")
    return [part.stat().st_size for part in parts if part.exists()]


async def test_append_needs_an_open_outbox() -> None:
    with pytest.raises(RuntimeError, match="Open the outbox"):
        CompleteOutbox().append(readings(1, 1))


@pytest.mark.parametrize(
    ("value", "at"),
    [(float("nan"), 1), (float("inf"), 1), (10**400, 1), (1, float("nan"))],
)
async def test_what_is_no_number_is_refused_by_name(value: float, at: float) -> None:
    async with opened(None) as outbox:
        with pytest.raises(ValueError, match=r"hum of d: .* is not a finite number"):
            outbox.append([Reading("d", "hum", value, at)])
        assert len(outbox) == 0


@pytest.mark.parametrize("at", [1e13, -1e13])
async def test_time_that_has_no_date_is_refused_by_name(at: float) -> None:
    async with opened(None) as outbox:
        with pytest.raises(ValueError, match=r"hum of d: .* is no time between"):
            outbox.append([Reading("d", "hum", 1, at)])
        assert len(outbox) == 0


async def test_full_disk_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_RETRY_AFTER_S", 0.01)
    path = tmp_path / "outbox"
    async with opened(path, Limits(commit_interval_s=0)) as outbox:
        outbox.append(readings(1, 1000))
        await outbox.commit()
        with files_limited_to(200_000):
            outbox.append(readings(1001, 20_000))
            await outbox.commit()
            assert outbox.problem
            # Handed out all the same, from file and memory.
            batch = await _taken(outbox, 1500)
            assert [reading.value for reading in batch.readings] == [*range(1, 1501)]
            await outbox.confirm(batch)
            assert (len(outbox), outbox.dropped) == (18_500, 0)
        await eventually(lambda: not outbox.problem)
        await outbox.commit()
        assert await values_in(as_crashed(path, tmp_path / "copy")) == [
            *range(1501, 20_001)
        ]
    assert is_sound(path)


async def test_process_that_starts_on_a_full_disk_hands_out_what_there_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    await filled(path, 1000)
    with files_limited_to(100):
        async with opened(path) as outbox:
            assert await values(outbox) == [*range(1, 1001)]
            outbox.append(readings(1001, 1001))
            await outbox.commit()
            assert outbox.problem
            assert await values(outbox) == [1001]


@pytest.mark.parametrize("pages", range(0, 12, 2))
async def test_what_could_not_be_removed_from_a_full_disk_is_in_doubt_after_a_restart(
    tmp_path: Path, pages: int
) -> None:
    """However little there is room for: the server has it already."""
    path = tmp_path / "outbox"
    await filled(path, 2000)
    async with opened(path) as outbox:
        batch = await _taken(outbox, 1500)
        log_bytes = path.with_name("outbox-wal").stat().st_size
        with files_limited_to(log_bytes + pages * 4200):
            await outbox.confirm(batch)
            await outbox.close()
    async with opened(path) as outbox:
        left = await _taken(outbox, 2000)
        again = [entry for entry in left.entries if entry in batch.entries]
        assert again
        assert outbox.doubtful(left) >= len(again)


async def test_memory_is_bounded_while_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_MAX_PENDING", 100)
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(1, 10))
        with files_limited_to(100):
            outbox.append(readings(11, 60))
            held = await _taken(outbox, 30)
            outbox.append(readings(61, 200))
            await outbox.commit()
            assert (len(outbox), outbox.dropped) == (100, 100)
            await outbox.release(held)
        await outbox.commit()
        assert outbox.problem is None
        assert await values(outbox) == [*range(1, 31), *range(131, 201)]


@pytest.mark.parametrize("obstacle", ["folder in its place", "file for a folder"])
async def test_file_that_cannot_be_opened_is_told_and_memory_takes_its_place(
    tmp_path: Path, obstacle: str
) -> None:
    path = tmp_path / "outbox"
    if obstacle == "folder in its place":
        path.mkdir()
    else:
        path.write_text("no folder")
        path /= "outbox"
    async with opened(path) as outbox:
        outbox.append(readings(1, 3))
        await outbox.commit()
        assert outbox.problem
        assert await values(outbox) == [1, 2, 3]
        assert outbox.mishap is None


async def test_second_outbox_of_a_file_is_refused_and_works_in_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    async with opened(path) as first:
        first.append(readings(1, 3))
        await first.commit()
        async with opened(path) as second:
            assert second.problem == "database is locked"
            second.append(readings(7, 7))
            await second.commit()
            assert second.problem
            assert await values(second) == [7]
        assert first.problem is None
    assert await values_in(path) == [1, 2, 3]


async def test_oldest_are_dropped_when_there_are_too_many_but_none_that_is_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    limits = Limits(commit_interval_s=3600, max_bytes=200_000)
    async with opened(path, limits) as outbox:
        outbox.append(readings(1, 3000))
        batch = await _taken(outbox, 100)
        outbox.append(readings(3001, 20_000))
        await outbox.commit()
        count, dropped = len(outbox), outbox.dropped
        assert count + dropped == 20_000
        assert 3000 < count < 10_000
        await outbox.release(batch)
        left = [*range(1, 101), *range(20_000 - count + 101, 20_001)]
        assert await values(outbox) == left
    assert await values_in(path) == left


async def test_drop_during_a_take_hands_out_nothing_that_is_dropped() -> None:
    limits = Limits(commit_interval_s=3600, max_bytes=200_000)
    async with opened(None, limits) as outbox:
        outbox.append(readings(1, 20_000))
        _, batch = await asyncio.gather(outbox.commit(), outbox.take_live(10))
        assert batch
        await outbox.confirm(batch)
        assert len(outbox) + outbox.dropped + 10 == 20_000
        assert len(outbox) == len(await values(outbox))


@pytest.fixture
def milestones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the time of every commit."""
    monkeypatch.setattr(journal, "_MILESTONE_EVERY_S", 0)


async def test_readings_that_wait_too_long_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outbox"
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_MILESTONE_EVERY_S", 0)
        await filled(path, 10)
    async with opened(path, Limits(commit_interval_s=3600, max_age_s=0)) as outbox:
        batch = await _taken(outbox, 2)
        outbox.append(readings(11, 12))
        await outbox.commit()
        assert outbox.dropped == 8
        await outbox.release(batch)
        assert await values(outbox) == [1, 2, 11, 12]


@pytest.mark.usefixtures("milestones")
@pytest.mark.parametrize("jump_s", [365 * 24 * 3600, -365 * 24 * 3600])
async def test_clock_that_jumps_drops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    limits = Limits(commit_interval_s=3600, max_age_s=60)
    now = time.time()
    await filled(tmp_path / "outbox", 10)
    async with opened(tmp_path / "outbox", limits) as outbox:
        monkeypatch.setattr(time, "time", lambda: now + jump_s)
        outbox.append(Reading("d", "v", n, now + jump_s) for n in range(11, 21))
        await outbox.commit()
    async with opened(tmp_path / "outbox", limits) as outbox:
        await outbox.commit()
        assert outbox.dropped == 0
        assert await values(outbox) == list(range(1, 21))


async def test_ids_that_were_noted_are_not_used_again(
    tmp_path: Path, milestones: None
) -> None:
    limits = Limits(commit_interval_s=3600, max_age_s=60)
    async with opened(tmp_path / "outbox", limits) as outbox:
        outbox.append(readings(1, 10))
        await outbox.commit()
        await outbox.confirm(await _taken(outbox, 10))
    async with opened(tmp_path / "outbox", limits) as outbox:
        outbox.append(readings(1, 1))
        assert (await _taken(outbox, 1)).entries[0].id == 11


async def test_file_shrinks_after_a_backlog_has_drained(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    await filled(path, 100_000)
    large = _sizes(path)[0]
    async with opened(path) as outbox:
        while batch := await outbox.take_backlog(10_000):
            await outbox.confirm(batch)
            await outbox.commit()
        for n in range(10):
            outbox.append(readings(n, n))
            await outbox.commit()
    assert large > 2_000_000
    assert _sizes(path)[0] < large / 2


async def _given_up(work: Coroutine[None, None, object], steps: int) -> None:
    """Begin some work, and cancel it after some turns of the event loop."""
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("work", ["take", "commit", "confirm", "set aside"])
@pytest.mark.parametrize("steps", range(10))
async def test_whoever_waits_may_give_up_at_any_instant(
    tmp_path: Path, work: str, steps: int
) -> None:
    path = tmp_path / "outbox"
    await filled(path, 20)
    async with opened(path) as outbox:
        outbox.append(readings(21, 30))
        batch = await _taken(outbox, 5)
        works: dict[str, Callable[[], Coroutine[None, None, object]]] = {
            "take": lambda: outbox.take_backlog(25),
            "commit": outbox.commit,
            "confirm": lambda: outbox.confirm(batch),
            "set aside": lambda: outbox.set_aside(batch, "no"),
        }
        await _given_up(works[work](), steps)
        await outbox.release(batch)
        await outbox.commit()
        assert outbox.problem is None
        letters = await outbox.dead_letters()
        found = await values(outbox)
        if work != "take":
            assert len(outbox) == len(found)
        settled = work in {"confirm", "set aside"} and steps > 0
        assert len(letters) == (5 if settled and work == "set aside" else 0)
    assert await values_in(path) == list(range(6 if settled else 1, 31))


async def test_refused_readings_are_kept_and_wait_again_in_another_version(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    await filled(path, 10)
    async with opened(path) as outbox:
        await outbox.set_aside(await _taken(outbox, 2), "too hot")
        letters = await outbox.dead_letters()
        assert [letter.reading for letter in letters] == readings(1, 2)
        assert {letter.reason for letter in letters} == {"too hot"}
        assert len(outbox) == 8
    async with opened(path) as outbox:
        assert await outbox.dead_letters() == letters
    for _ in range(2):
        async with opened(path, version="2") as outbox:
            assert await outbox.dead_letters() == []
            assert await values(outbox) == [*range(3, 11), 1, 2]


async def test_only_the_last_thousand_refused_readings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    await filled(path, 1500)
    async with opened(path) as outbox:
        await outbox.set_aside(await _taken(outbox, 700), "no")
        await outbox.commit()
        await outbox.set_aside(await _taken(outbox, 700), "no")
        for _ in range(2):
            letters = await outbox.dead_letters()
            assert [x.reading.value for x in letters] == list(range(401, 1401))
            await outbox.commit()


async def test_refused_readings_survive_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    await filled(path, 10)
    async with opened(path) as outbox:
        with files_limited_to(100):
            await outbox.set_aside(await _taken(outbox, 2), "no")
            await outbox.commit()
            assert outbox.problem
            assert len(await outbox.dead_letters()) == 2
        await outbox.commit()
    async with opened(path) as outbox:
        assert [x.reading for x in await outbox.dead_letters()] == readings(1, 2)
        assert await values(outbox) == list(range(3, 11))


async def test_what_comes_after_the_end_is_not_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(1, 2))
    await outbox.close()
    assert await values_in(tmp_path / "outbox") == [1, 2]


def test_outbox_in_memory_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> None:
        async with opened(None) as outbox:
            outbox.append(readings(1, 2))
            await outbox.commit()

    monkeypatch.chdir(tmp_path)
    asyncio.run(use())
    assert list(tmp_path.iterdir()) == []


async def test_memory_alone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_MAX_MEMORY_BYTES", 200_000)
    async with opened(None) as outbox:
        outbox.append(readings(1, 20_000))
        await outbox.commit()
        assert len(outbox) + outbox.dropped == 20_000
        assert len(outbox) < 10_000


async def test_recalled_readings_wait_behind_what_came_meanwhile(
    tmp_path: Path,
) -> None:
    """Those that are asked for alone, whether or not they were written down."""
    path = tmp_path / "outbox"
    async with opened(path) as outbox:
        outbox.append([*readings(1, 2), *readings(3, 4, "e")])
        await outbox.set_aside(await _taken(outbox, 2), "no")
        await outbox.commit()
        await outbox.set_aside(await _taken(outbox, 1), "no")
        outbox.append(readings(5, 5))
        assert await outbox.recall("d", "other") == Recalled(0, 0)
        assert await outbox.recall("d", "v") == Recalled(2, 0)
        assert [x.reading.value for x in await outbox.dead_letters()] == [3]
        assert len(outbox) == 4
        assert await values(outbox) == [4, 5, 1, 2]
        assert await outbox.recall() == Recalled(1, 0)
        # What is recalled is on disk.
        copy = as_crashed(path, tmp_path / "copy")
        assert sorted(await values_in(copy)) == [1, 2, 3, 4, 5]


async def test_readings_that_are_alike_are_recalled_each(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append([*readings(1, 1), *readings(1, 1)])
        await outbox.set_aside(await _taken(outbox, 2), "no")
        assert await outbox.recall() == Recalled(2, 0)
        outbox.append(readings(2, 2))
        await outbox.commit()
        assert await values(outbox) == [1, 1, 2]


async def test_nothing_is_recalled_while_the_disk_is_full(tmp_path: Path) -> None:
    """It stays set aside, to be recalled later."""
    path = tmp_path / "outbox"
    await filled(path, 10)
    async with opened(path) as outbox:
        with files_limited_to(100):
            await outbox.set_aside(await _taken(outbox, 2), "no")
            assert await outbox.recall() == Recalled(0, 0)
            assert len(await outbox.dead_letters()) == 2
        assert await outbox.recall() == Recalled(2, 0)
        assert await values(outbox) == [*range(3, 11), 1, 2]
