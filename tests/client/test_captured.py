"""The outbox's file knows up to when nothing is missing, and takes old files over."""

from contextlib import closing
from pathlib import Path
import sqlite3

from custom_components.sensorvision.client.journal import Journal
from custom_components.sensorvision.client.outbox import NewestOutbox

from .outbox_files import (
    NEVER,
    as_crashed,
    filled,
    opened,
    readings,
    values,
)

# What version 1 made of a new file, to the letter.
_SCHEMA_1 = """\
PRAGMA auto_vacuum = INCREMENTAL;
CREATE TABLE address (id INTEGER PRIMARY KEY, device_id TEXT NOT NULL,\
 variable TEXT NOT NULL);
CREATE TABLE reading (id INTEGER PRIMARY KEY, address INTEGER NOT NULL,\
 value NOT NULL, time REAL NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, reading_id INTEGER NOT NULL,\
 address INTEGER NOT NULL, value NOT NULL, time REAL NOT NULL,\
 checksum INTEGER NOT NULL, reason TEXT NOT NULL, set_aside_at REAL NOT NULL);
CREATE TABLE milestone (run_s REAL NOT NULL, last_id INTEGER NOT NULL);
CREATE TABLE last_writer (version TEXT NOT NULL);
CREATE TABLE user (is_at_work INTEGER NOT NULL);
PRAGMA user_version = 1;
"""


async def _of_version_1(path: Path) -> None:
    """Leave a file as version 1 has, with two readings and one that was refused."""
    current = path.with_name("current")
    async with opened(current) as outbox:
        outbox.append(readings(1, 3))
        refused = await outbox.take_live(1)
        assert refused
        await outbox.set_aside(refused, "Not wanted")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_SCHEMA_1)
        db.execute("ATTACH ? AS current", (str(current),))
        for table in ("address", "reading", "dead_letter", "milestone", "last_writer"):
            db.execute(f"INSERT INTO {table} SELECT * FROM current.{table}")
        db.execute("INSERT INTO user VALUES (0)")
        db.commit()


async def test_file_of_version_1_is_taken_over_with_everything_in_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    await _of_version_1(path)
    async with opened(path) as outbox:
        assert outbox.mishap is None
        assert outbox.captured_until is None
        assert [letter.reason for letter in await outbox.dead_letters()] == [
            "Not wanted"
        ]
        assert await values(outbox) == [2, 3]
        outbox.mark_captured(7.5)
    async with opened(path) as outbox:
        assert (outbox.mishap, outbox.captured_until) == (None, 7.5)
        assert await values(outbox) == [2, 3]


async def test_file_that_only_says_to_be_of_version_1_is_kept_aside(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    await filled(path, 2)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1")
    async with opened(path) as outbox:
        assert outbox.mishap
        assert outbox.mishap.saved == 2


async def test_mark_is_written_with_the_readings_and_survives_a_crash(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox"
    async with opened(path) as outbox:
        assert outbox.captured_until is None
        outbox.append(readings(1, 1))
        outbox.mark_captured(20.25)
        await outbox.commit()
        # Only a commit writes it down.
        outbox.mark_captured(30.5)
        assert outbox.captured_until == 30.5
        crashed = as_crashed(path, tmp_path / "crashed" / "outbox")
    async with opened(crashed) as outbox:
        assert outbox.captured_until == 20.25
    async with opened(path) as outbox:
        assert outbox.captured_until == 30.5


async def test_mark_alone_is_written_when_asked_for(tmp_path: Path) -> None:
    """So that a quiet house has one, too."""
    path = tmp_path / "outbox"
    outbox = NewestOutbox(str(path), NEVER)
    await outbox.open()
    outbox.mark_captured(5.0)
    await outbox.commit()
    size = _log_bytes(path)
    await outbox.commit()
    assert _log_bytes(path) == size
    crashed = as_crashed(path, tmp_path / "crashed" / "outbox")
    await outbox.close()
    with closing(Journal(str(crashed))) as journal:
        assert journal.captured_until() == 5.0


def _log_bytes(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)


async def test_mark_outlives_damage_to_the_file_under_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    # More than SQLite keeps in memory.
    await filled(path, 100_000)
    async with opened(path) as outbox:
        outbox.mark_captured(5.0)
        await outbox.commit()
        _overwrite(path)
        while await outbox.take_backlog(5000):
            pass
        assert outbox.mishap
    async with opened(path) as outbox:
        assert outbox.captured_until == 5.0


async def test_times_that_wait_are_those_of_one_variable() -> None:
    async with opened(None) as outbox:
        outbox.append([*readings(1, 2), *readings(7, 8, "other")])
        assert await outbox.times_waiting("d", "v") == {1.5, 2.5}
        batch = await outbox.take_live(1)
        assert batch
        assert await outbox.times_waiting("d", "v") == {1.5, 2.5}
        await outbox.confirm(batch)
        assert await outbox.times_waiting("d", "v") == {2.5}
