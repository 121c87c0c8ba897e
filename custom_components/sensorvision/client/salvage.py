"""Keep a damaged file of readings aside, and go on with what can be read of it."""

from __future__ import annotations

from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
import sqlite3
from typing import Any, Iterator, NamedTuple

from .journal import Journal
from .readings import Entry
from .rows import Address, Row, address_of, decode, entry_of

# SQLite may quote a damaged name in its error, and Python can't read that.
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)

_MAX_KEPT_ASIDE = 3
_WRITTEN_AT_ONCE = 5000

# The log first: without it the file is only older, and alone it is nothing.
_PARTS = ("-wal", "-shm", "")


class Mishap(NamedTuple):
    """What became of a file that could not be used any more.

    Attributes:
        kept_aside: the path where it is now.
        saved: how many readings could be taken over from it.
        reason: what was wrong with it.
    """

    kept_aside: str
    saved: int
    reason: str


def open_journal(path: str, version: str) -> tuple[Journal, Mishap | None]:
    """Open a journal; a file that is damaged is kept aside, and a new one is begun.

    Args:
        path: the file.
        version: of this software.

    Returns:
        The journal, and what happened if something did.

    Raises:
        sqlite3.OperationalError: the file can't be opened or written now.
        OSError: a damaged file can't be moved out of the way.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not Path(path).exists():
        return _begin(path, version), None
    if reason := _flaw(path):
        return replace_journal(path, version, reason)
    try:
        return Journal(path, version), None
    except sqlite3.OperationalError:
        raise
    except DAMAGE as err:
        return replace_journal(path, version, str(err))


def replace_journal(path: str, version: str, reason: str) -> tuple[Journal, Mishap]:
    """Keep a damaged file aside, and begin a new one with what can be read of it.

    Args:
        path: the file.
        version: of this software.
        reason: what is wrong with the file.

    Raises:
        sqlite3.OperationalError: a new one can't be written now; the old one is where
            it was.
        OSError: it can't be moved out of the way.
    """
    aside = _next_name(path)
    _move(path, aside)
    try:
        journal = _begin(path, version)
    except BaseException:
        _move(aside, path)
        raise
    # A full disk: the rest is where it is.
    with suppress(sqlite3.OperationalError):
        entries = _readable(aside)
        while some := list(islice(entries, _WRITTEN_AT_ONCE)):
            journal.write(some)
    _forget_older(path)
    return journal, Mishap(aside, journal.count(), reason)


def _begin(path: str, version: str) -> Journal:
    """Make a journal, which has its name only once it is whole.

    A power cut could leave a file else that looks as if it had been emptied.
    """
    draft = f"{path}.new"
    for part in ("-journal", *_PARTS):
        Path(draft + part).unlink(missing_ok=True)
    Journal(draft, version).close()
    Path(draft).replace(path)
    return Journal(path, version)


def _flaw(path: str) -> str | None:
    """Return what is wrong with a file that SQLite would take for none or for locked."""
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        header = file.read(100)
    if not header:
        return "It is empty"
    # https://www.sqlite.org/fileformat.html, 1.3: the greatest that there are.
    if header[18:19] > b"\2" or header[44:48] > b"\0\0\0\4":
        return "Its header is damaged"
    return None


def _move(path: str, target: str) -> None:
    for part in _PARTS:
        if Path(path + part).exists():
            Path(path + part).replace(target + part)


def _kept_aside(path: str) -> list[int]:
    """Return the numbers of the files that were kept aside, the oldest first."""
    file = Path(path)
    endings = (
        other.name[len(f"{file.name}.damaged-") :]
        for other in file.parent.glob(f"{file.name}.damaged-*")
    )
    return sorted(int(ending) for ending in endings if ending.isdigit())


def _next_name(path: str) -> str:
    # Numbered, as a clock may be wrong.
    return f"{path}.damaged-{max(_kept_aside(path), default=0) + 1}"


def _forget_older(path: str) -> None:
    for number in _kept_aside(path)[:-_MAX_KEPT_ASIDE]:
        for part in _PARTS:
            # Somebody may have removed it.
            with suppress(OSError):
                Path(f"{path}.damaged-{number}{part}").unlink()


def _readable(path: str) -> Iterator[Entry]:
    """Yield what can be read of a damaged file, in no particular order."""
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        db.text_factory = decode
        # Lets a file be read that is shorter than it says.
        db.execute("PRAGMA writable_schema = ON")
        addresses = {
            address_id: address_of(device_id, variable)
            for address_id, device_id, variable in _rows(
                db, "SELECT id, device_id, variable FROM address"
            )
        }
        last_id = 0
        columns = "id, address, value, time, checksum"
        for row in _rows(db, f"SELECT {columns} FROM reading ORDER BY id"):
            for entry in _whole(row, addresses):
                last_id = entry.id
                yield entry
        # A hole ends the way up; what is behind it is found on the way down.
        for row in _rows(db, f"SELECT {columns} FROM reading ORDER BY id DESC"):
            for entry in _whole(row, addresses):
                if entry.id <= last_id:
                    return
                yield entry


def _rows(db: sqlite3.Connection, query: str) -> Iterator[Any]:
    """Yield rows as far as they can be read."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        yield from db.execute(query)


def _whole(row: Row, addresses: dict[int, Address]) -> Iterator[Entry]:
    with suppress(sqlite3.DatabaseError):
        yield entry_of(row, addresses)
