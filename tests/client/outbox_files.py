"""Readings to put into an outbox, and what a crash leaves of its file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import shutil
import sqlite3

from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.readings import Reading

# Nothing is written down by itself.
NEVER = Limits(commit_interval_s=3600)


def readings(first: int, last: int, device_id: str = "d") -> list[Reading]:
    """Make readings with the numbers from one to another, so that each is known."""
    return [Reading(device_id, "v", n, n + 0.5) for n in range(first, last + 1)]


def as_crashed(path: Path, target: Path) -> Path:
    """Copy a file and its log as they are now, and return the copy's path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for part in ("", "-wal"):
        source = Path(f"{path}{part}")
        copy = Path(f"{target}{part}")
        copy.unlink(missing_ok=True)
        if source.exists():
            shutil.copy(source, copy)
    return target


@asynccontextmanager
async def opened(
    path: Path | None, limits: Limits = NEVER, version: str = "1"
) -> AsyncIterator[CompleteOutbox]:
    """Open an outbox, and close it."""
    outbox = CompleteOutbox(None if path is None else str(path), limits, version)
    await outbox.open()
    try:
        yield outbox
    finally:
        await outbox.close()


async def filled(path: Path, count: int, device_id: str = "d") -> None:
    """Leave readings in a file, as a process that has ended in order."""
    async with opened(path) as outbox:
        outbox.append(readings(1, count, device_id))


async def values(outbox: CompleteOutbox) -> list[float]:
    """Return the numbers that an outbox hands out, backlog first."""
    found: list[float] = []
    outbox.rewind()
    while batch := await outbox.take_backlog(1000):
        found += [reading.value for reading in batch.readings]
    return found


async def values_in(path: Path) -> list[float]:
    """Return the numbers that a file holds."""
    async with opened(path) as outbox:
        assert outbox.problem is None
        assert outbox.mishap is None
        return await values(outbox)


def is_sound(path: Path) -> bool:
    """Return whether SQLite finds nothing wrong with a file."""
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        db.close()
