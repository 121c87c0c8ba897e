"""Keep readings in a file that survives whatever happens to the computer."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import chain, islice
import sqlite3
import time
from typing import Any, Collection, Iterable, Iterator

from .readings import Entry
from .rows import Address, DeadLetter, Row, address_of, checksum_of, decode, entry_of

# In place of a path: a journal that is forgotten with its process.
MEMORY = ":memory:"

_SCHEMA_VERSION = 2

# What a file of ours says of itself, to the letter.
_SCHEMA = [
    (
        "CREATE TABLE address (id INTEGER PRIMARY KEY, device_id TEXT NOT NULL,"
        " variable TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, address INTEGER NOT NULL,"
        " value NOT NULL, time REAL NOT NULL, checksum INTEGER NOT NULL)"
    ),
    (
        "CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, reading_id INTEGER NOT NULL,"
        " address INTEGER NOT NULL, value NOT NULL, time REAL NOT NULL,"
        " checksum INTEGER NOT NULL, reason TEXT NOT NULL, set_aside_at REAL NOT NULL)"
    ),
    "CREATE TABLE milestone (run_s REAL NOT NULL, last_id INTEGER NOT NULL)",
    "CREATE TABLE last_writer (version TEXT NOT NULL)",
    "CREATE TABLE user (is_at_work INTEGER NOT NULL)",
    "CREATE TABLE captured (until REAL NOT NULL)",
]

# How much of that each version before had.
_STATEMENTS_BY_VERSION = {1: 6}

# Older libraries of SQLite take no more than 999 values in a statement.
_ROWS_AT_ONCE = 100
_INSERT_ONE = "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?)"
_INSERT_MANY = _INSERT_ONE + ", (?, ?, ?, ?, ?)" * (_ROWS_AT_ONCE - 1)

_MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_DEAD_LETTERS = 1000
_MILESTONE_EVERY_S = 3600

# More free pages than these are given back to the disk, a piece at a time.
_MAX_FREE_PAGES = 256
_FREED_PAGES_AT_ONCE = 1024


class Journal:
    """Readings in an SQLite file, in the order in which they came.

    All of it blocks, and belongs into one thread. What a method has written when it
    returns survives the end of the process, and a power cut. Every method may raise what
    the construction may.

    Args:
        path: the file, which is made if there is none.
        version: of this software; what another one has set aside waits again, once.

    Attributes:
        was_left_open: whether nobody has closed it, as after a crash, or in a copy that
            was made while it was in use.

    Raises:
        sqlite3.OperationalError: the file can't be read or written now.
        sqlite3.DatabaseError: it is damaged, or none of ours.
    """

    def __init__(self, path: str, version: str = "") -> None:
        self._addresses: dict[int, Address] = {}
        self._known: dict[tuple[str, str], tuple[int, Address]] = {}
        # A file that somebody else has open stays so: there is nothing to wait for.
        self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._db.text_factory = decode
        try:
            self._prepare()
            self._revive(version)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        execute = self._db.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        schema = self._all("SELECT sql FROM sqlite_master ORDER BY rowid")
        if not schema:
            execute("PRAGMA auto_vacuum = INCREMENTAL")
        elif self._number("user_version") > _SCHEMA_VERSION:
            raise sqlite3.DatabaseError("A newer version has written it")
        known = _STATEMENTS_BY_VERSION.get(self._number("user_version"), len(_SCHEMA))
        if schema and [sql for (sql,) in schema] != _SCHEMA[:known]:
            raise sqlite3.DatabaseError("It is not a file of readings")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA journal_size_limit = {_MAX_LOG_BYTES}")
        [verdict] = execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        # Fails if it may only be read.
        with self._transaction():
            if len(schema) < len(_SCHEMA):
                for statement in _SCHEMA[len(schema) :]:
                    execute(statement)
                execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        self.was_left_open = self._all("SELECT * FROM user") == [(True,)]
        self._note_use(is_at_work=True)
        self._learn(self._all("SELECT id, device_id, variable FROM address"))
        [earlier_s] = execute("SELECT max(run_s) FROM milestone").fetchone()
        self._milestone_s = earlier_s or 0.0
        self._run_since = time.monotonic() - self._milestone_s

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write everything in the block, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _all(self, query: str, *arguments: float) -> list[Any]:
        # A row left over would keep the file locked after it is closed.
        return self._db.execute(query, arguments).fetchall()

    def _number(self, pragma: str) -> int:
        [number] = self._db.execute(f"PRAGMA {pragma}").fetchone()
        return int(number)

    def _learn(self, rows: Iterable[tuple[int, str, str]]) -> None:
        for address_id, device_id, variable in rows:
            address = self._addresses[address_id] = address_of(device_id, variable)
            self._known[device_id, variable] = address_id, address

    def close(self) -> None:
        """Close the file; it is whole at any time without that, too."""
        self._note_use(is_at_work=False)
        self._db.close()

    def abandon(self) -> None:
        """Close the file as a crash would: what was to be removed may still be in it."""
        self._db.close()

    def _note_use(self, *, is_at_work: bool) -> None:
        """Note whether the file is in use, unless there is no room for that."""
        with suppress(sqlite3.DatabaseError), self._transaction():
            self._db.execute("DELETE FROM user")
            self._db.execute("INSERT INTO user VALUES (?)", (is_at_work,))

    def write(
        self,
        new: Collection[Entry],
        gone: Iterable[int] = (),
        refused: Iterable[tuple[Entry, DeadLetter]] = (),
        captured_until: float | None = None,
    ) -> None:
        """Add readings, remove others, and set some aside: all of it or nothing.

        Args:
            new: what is there already does no harm.
            gone: ids to remove; what is not there does no harm.
            refused: what is kept to be seen; of these only the last thousand.
            captured_until: up to when nothing is missing, or None to leave that as it is.
        """
        letters, runs = list(refused), _runs_of(gone)
        try:
            self._write(new, runs, letters, captured_until)
        except KeyError:
            self._introduce([*new, *(entry for entry, _ in letters)])
            self._write(new, runs, letters, captured_until)

    def _write(
        self,
        new: Iterable[Entry],
        runs: Collection[tuple[int, int]],
        letters: Collection[tuple[Entry, DeadLetter]],
        captured_until: float | None,
    ) -> None:
        """Write as `write` does, whose ids are given as the ends of runs.

        Raises:
            KeyError: an address has no id yet; nothing was written.
        """
        run_s = time.monotonic() - self._run_since
        with self._transaction():
            self._insert(self._rows(new))
            self._db.executemany("DELETE FROM reading WHERE id BETWEEN ? AND ?", runs)
            if letters:
                self._set_aside(letters)
            if captured_until is not None:
                self._db.execute("DELETE FROM captured")
                self._db.execute("INSERT INTO captured VALUES (?)", (captured_until,))
            if run_s - self._milestone_s >= _MILESTONE_EVERY_S:
                self._set_milestone(run_s)

    def _insert(self, rows: Iterator[Row]) -> None:
        """Insert many rows in a statement, which takes two thirds of the time."""
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            if len(some) < _ROWS_AT_ONCE:
                self._db.executemany(_INSERT_ONE, some)
            else:
                self._db.execute(_INSERT_MANY, tuple(chain.from_iterable(some)))

    def _rows(self, entries: Iterable[Entry]) -> Iterator[Row]:
        """Yield the rows of readings, one by one: there may be very many."""
        known = self._known
        for entry_id, (device_id, variable, value, at) in entries:
            address_id, address = known[device_id, variable]
            checksum = checksum_of(entry_id, address, value, at)
            yield entry_id, address_id, value, at, checksum

    def _introduce(self, entries: Iterable[Entry]) -> None:
        """Give those addresses an id that have none."""
        addresses = {entry.reading[:2] for entry in entries} - self._known.keys()
        first_id = max(self._addresses, default=0) + 1
        rows = [
            (first_id + index, device_id, variable)
            for index, (device_id, variable) in enumerate(sorted(addresses))
        ]
        with self._transaction():
            self._db.executemany("INSERT INTO address VALUES (?, ?, ?)", rows)
        self._learn(rows)

    def _set_aside(self, letters: Collection[tuple[Entry, DeadLetter]]) -> None:
        rows = self._rows(entry for entry, _ in letters)
        self._db.executemany(
            "INSERT INTO dead_letter VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*row, letter.reason, letter.set_aside_at)
                for row, (_, letter) in zip(rows, letters)
            ],
        )
        self._db.execute(
            "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?",
            (MAX_DEAD_LETTERS,),
        )

    def _set_milestone(self, run_s: float) -> None:
        """Note which reading is the last by now, to know later how long each waits."""
        last_id = self.last_id()
        self._db.execute(
            "DELETE FROM milestone WHERE"
            " last_id < ifnull((SELECT min(id) FROM reading), last_id + 1)"
        )
        self._db.execute("INSERT INTO milestone VALUES (?, ?)", (run_s, last_id))
        self._milestone_s = run_s

    def read(
        self, after_id: int, limit: int, without: Collection[str] = ()
    ) -> list[Entry]:
        """Return readings with ids above one, the oldest first.

        Args:
            after_id: 0 for the very first.
            limit: how many at the most.
            without: ids of devices whose readings are passed over.
        """
        passed_over = ", ".join(
            str(address_id)
            for (device_id, _), (address_id, _) in self._known.items()
            if device_id in without
        )
        rows = self._all(
            "SELECT id, address, value, time, checksum FROM reading"
            f" WHERE id > ? AND address NOT IN ({passed_over}) ORDER BY id LIMIT ?",
            after_id,
            limit,
        )
        return [entry_of(row, self._addresses) for row in rows]

    def count(self) -> int:
        """Return how many readings there are."""
        [count] = self._db.execute("SELECT count(*) FROM reading").fetchone()
        return int(count)

    def captured_until(self) -> float | None:
        """Return up to when readings were captured, in seconds since 1970, if known."""
        [until] = self._db.execute("SELECT max(until) FROM captured").fetchone()
        return until if isinstance(until, float) else None

    def last_id(self) -> int:
        """Return an id above which there has been none, or 0."""
        [last_id] = self._db.execute(
            "SELECT max(ifnull((SELECT max(id) FROM reading), 0),"
            " ifnull((SELECT max(last_id) FROM milestone), 0))"
        ).fetchone()
        return int(last_id)

    def surplus(self, max_bytes: int, max_age_s: float, limit: int) -> list[int]:
        """Return ids of the oldest readings if there are too many or too old ones.

        Args:
            max_bytes: how much of the file may be in use.
            max_age_s: how long one may wait. Only time in which this software runs
                counts, so that no wrong clock can make it look older.
            limit: how many to return at the most.
        """
        used_bytes = self._number("page_count") - self._number("freelist_count")
        if used_bytes * self._number("page_size") > max_bytes:
            last_id = self.last_id()
        else:
            run_s = time.monotonic() - self._run_since
            [last_id] = self._db.execute(
                "SELECT max(last_id) FROM milestone WHERE run_s <= ?",
                (run_s - max_age_s,),
            ).fetchone()
        rows = self._all(
            "SELECT id FROM reading WHERE id <= ? ORDER BY id LIMIT ?", last_id, limit
        )
        return [entry_id for (entry_id,) in rows]

    def shrink(self) -> None:
        """Give a piece of what is not used any more back to the disk."""
        if self._number("freelist_count") > _MAX_FREE_PAGES:
            pragma = f"PRAGMA incremental_vacuum({_FREED_PAGES_AT_ONCE})"
            self._all(pragma)

    def dead_letters(self) -> list[DeadLetter]:
        """Return what was set aside, the oldest first."""
        return [letter for _, letter in self._letters()]

    def revive(self, wanted: Collection[DeadLetter], first_id: int) -> list[Entry]:
        """Let readings wait again that were set aside: all of them or none.

        Args:
            wanted: those to revive; what is not there does no harm.
            first_id: what the ids that they get begin with, above all there are.
        """
        letters = [found for found in self._letters() if found[1] in wanted]
        with self._transaction():
            return self._wait_again(letters, first_id)

    def _letters(self) -> list[tuple[int, DeadLetter]]:
        """Return what was set aside with its place, the oldest first."""
        rows = self._all(
            "SELECT id, reading_id, address, value, time, checksum, reason,"
            " set_aside_at FROM dead_letter ORDER BY id"
        )
        return [
            (row[0], DeadLetter(entry_of(row[1:6], self._addresses).reading, *row[6:]))
            for row in rows
        ]

    def _wait_again(
        self, letters: list[tuple[int, DeadLetter]], first_id: int
    ) -> list[Entry]:
        """Make readings of what was set aside."""
        entries = [
            Entry(first_id + index, letter.reading)
            for index, (_, letter) in enumerate(letters)
        ]
        self._insert(self._rows(entries))
        self._db.executemany(
            "DELETE FROM dead_letter WHERE id = ?", [(place,) for place, _ in letters]
        )
        return entries

    def _revive(self, version: str) -> None:
        """Let wait again what another version has set aside."""
        written_by = self._all("SELECT version FROM last_writer")
        if written_by == [(version,)]:
            return
        letters, first_id = self._letters(), self.last_id() + 1
        with self._transaction():
            self._wait_again(letters, first_id)
            self._db.execute("DELETE FROM last_writer")
            self._db.execute("INSERT INTO last_writer VALUES (?)", (version,))


def _runs_of(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each run of ids without a gap."""
    runs: list[tuple[int, int]] = []
    for entry_id in sorted(ids):
        if runs and runs[-1][1] == entry_id - 1:
            runs[-1] = runs[-1][0], entry_id
        else:
            runs.append((entry_id, entry_id))
    return runs
