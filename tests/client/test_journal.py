"""The outbox's file survives power cuts and damage, and hands out nothing but readings."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from itertools import accumulate, chain
import os
from pathlib import Path
import random
import sqlite3

import pytest

from custom_components.sensorvision.client.journal import Journal
from custom_components.sensorvision.client.readings import Entry, Reading

from .outbox_files import as_crashed, filled, opened, readings, values, values_in

EVERYTHING = 10**9
COUNT = 3000
MANY = 100_000


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


def _groups(count: int, size: int) -> list[list[Entry]]:
    """Make groups of readings of ever new addresses."""
    return [
        [
            Entry(n, Reading(f"d{n % 7}", f"v{group}", n, n + 0.5))
            for n in range(group * size + 1, group * size + size + 1)
        ]
        for group in range(count)
    ]


def _left(path: Path) -> list[Entry]:
    with closing(Journal(str(path))) as journal:
        return journal.read(0, EVERYTHING)


def test_file_cut_at_each_flush_holds_every_group_before(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written: list[Entry] = []
    with closing(Journal(str(path))) as journal:
        for group in _groups(40, size=300):
            journal.write(group, [written[-1].id] if written else [])
            written = [*written[:-1], *group]
            assert _left(as_crashed(path, tmp_path / "cut" / "journal")) == written


def test_log_cut_anywhere_leaves_whole_groups(tmp_path: Path) -> None:
    path, cut = tmp_path / "journal", tmp_path / "cut" / "journal"
    groups = _groups(8, size=30)
    wholes = list(accumulate(groups, initial=[]))
    with closing(Journal(str(path))) as journal:
        flushed = []
        for group in groups:
            journal.write(group)
            flushed.append(Path(f"{path}-wal").stat().st_size)
        length = flushed[-1]
        chosen = _chance(4)
        lengths = {chosen.randrange(length + 1) for _ in range(60)}
        lengths |= {size + by for size in flushed for by in (-1, 0, 1) if by < 1}
        for size in sorted(lengths):
            log = Path(f"{as_crashed(path, cut)}-wal")
            log.write_bytes(log.read_bytes()[:size])
            survivors = wholes.index(_left(cut)) if size >= flushed[0] else 0
            assert survivors == sum(size >= end for end in flushed)


def test_log_whose_end_is_garbage_leaves_whole_groups(tmp_path: Path) -> None:
    path, cut = tmp_path / "journal", tmp_path / "cut" / "journal"
    groups = _groups(8, size=30)
    wholes = list(accumulate(groups, initial=[]))
    chosen = _chance(5)
    with closing(Journal(str(path))) as journal:
        for group in groups:
            journal.write(group)
        flushed = Path(f"{path}-wal").stat().st_size
        journal_begun = 40_000
        for _ in range(30):
            log = Path(f"{as_crashed(path, cut)}-wal")
            at = chosen.randrange(journal_begun, flushed)
            log.write_bytes(log.read_bytes()[:at] + chosen.randbytes(flushed - at))
            assert _left(cut) in wholes


def test_power_cut_while_the_log_is_copied_back_loses_nothing(tmp_path: Path) -> None:
    path, cut = tmp_path / "journal", tmp_path / "cut" / "journal"
    groups = _groups(20, size=300)
    with closing(Journal(str(path))) as journal:
        for group in groups:
            journal.write(group)
        before = as_crashed(path, tmp_path / "before" / "journal")
    # Closing has copied the log's pages into the file.
    after, page = path.read_bytes(), 4096
    chosen = _chance(6)
    for _ in range(20):
        torn = bytearray(after)
        old = as_crashed(before, cut).read_bytes()
        for at in range(0, len(after), page):
            if chosen.random() < 0.5:
                torn[at : at + page] = old[at : at + page].ljust(page, b"\0")
        cut.write_bytes(torn[: chosen.choice([len(after), len(after) // 2])])
        assert _left(cut) == list(chain(*groups))


def _bytes(path: Path | str) -> bytes:
    return Path(path).read_bytes()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _overwrite(path: Path, at: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(_chance(at).randbytes(count))


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, address, value)")
        db.execute("INSERT INTO reading VALUES (1, 1, 1)")
        db.commit()


def _of_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE reading ADD COLUMN quality")
        db.execute("PRAGMA user_version = 2")


def _with_a_text_for_a_number(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE reading SET value = 'seven' WHERE id = 7")
        db.commit()


def _with_another_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE reading RENAME COLUMN time TO at")


DAMAGES: dict[str, tuple[Callable[[Path], object], int]] = {
    "header": (lambda path: _overwrite(path, 0, 100), 0),
    "header's version": (lambda path: _overwrite(path, 18, 1), COUNT),
    "header's format": (lambda path: _overwrite(path, 44, 3), 0),
    "schema": (lambda path: _overwrite(path, 100, 900), 0),
    "a page": (lambda path: _overwrite(path, 10 * 4096, 4096), COUNT - 200),
    "a byte of a reading": (lambda path: _overwrite(path, 11 * 4096 - 9, 1), COUNT - 1),
    "cut": (lambda path: os.truncate(path, 15 * 4096), 500),
    "cut within a page": (lambda path: os.truncate(path, 15 * 4096 + 9), 500),
    "empty": (lambda path: path.write_bytes(b""), 0),
    "text": (lambda path: path.write_text("What was I?\n" * 999), 0),
    "foreign": (_foreign, 0),
    "newer": (_of_a_newer_version, COUNT),
    "text for a number": (_with_a_text_for_a_number, COUNT - 1),
    "another schema": (_with_another_schema, 0),
}


@pytest.mark.parametrize(("damage", "saved"), DAMAGES.values(), ids=DAMAGES)
async def test_damaged_file_is_kept_aside_and_what_can_be_read_goes_on(
    tmp_path: Path, damage: Callable[[Path], object], saved: int
) -> None:
    path = tmp_path / "outbox"
    await filled(path, COUNT)
    damage(path)
    damaged = _bytes(path)
    async with opened(path) as outbox:
        found = await values(outbox)
        outbox.append(readings(COUNT + 1, COUNT + 1))
        assert outbox.problem is None
        mishap = outbox.mishap
    assert mishap
    assert mishap.reason
    assert _bytes(mishap.kept_aside) == damaged
    assert COUNT >= mishap.saved >= saved
    assert found == sorted(found)
    assert set(found) <= set(range(1, COUNT + 1))
    assert len(found) == mishap.saved
    assert await values_in(path) == [*found, COUNT + 1]


def test_file_whose_making_a_power_cut_has_ended_is_made_anew(tmp_path: Path) -> None:
    """It has its name only once it is whole, or it would look as if it was emptied."""
    path = tmp_path / "outbox"
    for part in ("", "-journal", "-wal"):
        Path(f"{path}.new{part}").write_bytes(b"half of it")
    assert asyncio.run(values_in(path)) == []
    assert [left.name for left in tmp_path.iterdir()] == ["outbox"]


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(Journal(str(tmp_path / "outbox"))) as journal:
        assert journal._db.execute("PRAGMA synchronous").fetchall() == [(2,)]
        assert journal._db.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


async def test_only_the_last_three_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    for n in range(5):
        path.write_text(f"text {n}")
        async with opened(path) as outbox:
            assert outbox.mishap
            assert _bytes(outbox.mishap.kept_aside) == f"text {n}".encode()
    kept = [file.name for file in _files(tmp_path) if ".damaged-" in file.name]
    assert kept == ["outbox.damaged-3", "outbox.damaged-4", "outbox.damaged-5"]


async def test_garbage_in_the_log_costs_no_more_than_the_log(tmp_path: Path) -> None:
    path, crashed = tmp_path / "outbox", tmp_path / "crashed" / "outbox"
    await filled(path, 100)
    async with opened(path) as outbox:
        outbox.append(readings(101, 200))
        await outbox.commit()
        log = Path(f"{as_crashed(path, crashed)}-wal")
    _overwrite(log, 0, 200)
    assert await values_in(crashed) == list(range(1, 101))


async def test_damage_anywhere_changes_no_reading(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole", tmp_path / "outbox"
    await filled(whole, 400)
    chance = _chance(7)
    size = len(_bytes(whole))
    for _ in range(40):
        as_crashed(whole, path)
        _overwrite(path, chance.randrange(size), chance.choice([1, 2, 40]))
        async with opened(path) as outbox:
            found = await values(outbox)
            assert outbox.problem is None
            assert len(outbox) == len(found)
        assert found == sorted(set(found) & set(range(1, 401)))
        for file in set(_files(tmp_path)) - {whole}:
            file.unlink()


@pytest.mark.parametrize("place", ["middle", "everything", "cut"])
async def test_damage_under_a_running_outbox_is_told_and_it_goes_on(
    tmp_path: Path, place: str
) -> None:
    path = tmp_path / "outbox"
    # More than SQLite keeps in memory.
    await filled(path, MANY)
    size = len(_bytes(path))
    async with opened(path) as outbox:
        first = await outbox.take_backlog(10)
        assert first
        if place == "cut":
            os.truncate(path, size // 2)
        else:
            at = size // 2 if place == "middle" else 0
            _overwrite(path, at, 5 * 4096 if place == "middle" else size)
        found = []
        while batch := await outbox.take_backlog(5000):
            found += [reading.value for reading in batch.readings]
            await outbox.confirm(batch)
        assert outbox.mishap
        assert found == sorted(set(found) & set(range(11, MANY + 1)))
        await outbox.release(first)
        outbox.append(readings(MANY + 1, MANY + 3))
        await outbox.commit()
        assert outbox.problem is None
        outbox.rewind()
        last = list(range(1, 11)), [MANY + 1, MANY + 2, MANY + 3]
        assert await values(outbox) == [*last[0], *last[1]]
    assert await values_in(path) == [*last[0], *last[1]]
