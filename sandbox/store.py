"""The server's database: SQLite, in a file or in memory.

Instants are whole microseconds since 1970, values decimal texts, as exact as the
NUMERIC columns that they stand for. Everything runs on the event loop's thread: one
statement takes microseconds, and nothing can come between the steps of a transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
import sqlite3
from typing import Literal
import uuid

from .instants import to_datetime
from .records import Device, DeviceKey, StoredValue, User

DEFAULT_ORGANIZATION = "Default Organization"

_TABLES = (
    "events",
    "telemetry_records",
    "variable_values",
    "variables",
    "devices",
    "users",
    "organizations",
)


type UserColumn = Literal["username", "email", "user_key"]


class Store:
    """The tables, transactions over them, and what is looked up most."""

    def __init__(self, database: Path | None = None) -> None:
        """Open the database and make what is missing in it.

        Args:
            database: A SQLite file, or None to keep all in memory.
        """
        # Handlers run on one loop, but it need not be the thread that made the store.
        self.connection = sqlite3.connect(
            database or ":memory:", isolation_level=None, check_same_thread=False
        )
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(
            (Path(__file__).parent / "schema.sql").read_text("utf-8")
        )
        self._keys: dict[str, DeviceKey] = {}
        self._token_owners: dict[str, DeviceKey] = {}
        self.variable_ids: dict[tuple[int, str], int] = {}

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it.

        One within another fails by itself, and is committed with the other.
        """
        execute = self.connection.execute
        is_within = self.connection.in_transaction
        execute("SAVEPOINT inner" if is_within else "BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            execute("ROLLBACK TO inner" if is_within else "ROLLBACK")
            self.forget_lookups()
            raise
        execute("RELEASE inner" if is_within else "COMMIT")

    def forget_lookups(self) -> None:
        """Drop what was remembered of rows that have changed."""
        self._keys.clear()
        self._token_owners.clear()
        self.variable_ids.clear()

    def clear(self) -> None:
        """Empty all tables but the server's own settings."""
        with self.transaction():
            for table in _TABLES:
                self.connection.execute(f"DELETE FROM {table}")
        self.forget_lookups()

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: object) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
        return found

    def setting(self, name: str, default: str) -> str:
        """Return a setting that outlives the process, storing the default at first use."""
        self.connection.execute(
            "INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default)
        )
        ((value,),) = self.rows("SELECT value FROM settings WHERE name = ?", name)
        return str(value)

    def is_empty(self) -> bool:
        """Tell whether nobody has an account yet."""
        return self.row("SELECT 1 FROM users") is None

    def organization_id(self, name: str) -> int:
        """Return the organisation of that name, made if there is none."""
        self.connection.execute(
            "INSERT OR IGNORE INTO organizations (name) VALUES (?)", (name,)
        )
        ((id_,),) = self.rows("SELECT id FROM organizations WHERE name = ?", name)
        return int(id_)

    def add_user(
        self,
        *,
        organization_id: int,
        username: str,
        email: str,
        password: str,
        first_name: str | None = None,
        last_name: str | None = None,
        user_key: str | None = None,
    ) -> None:
        """Make an account."""
        self.connection.execute(
            "INSERT INTO users (organization_id, username, email, password, first_name,"
            " last_name, user_key) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                organization_id,
                username,
                email,
                password,
                first_name,
                last_name,
                user_key,
            ),
        )

    def user(self, column: UserColumn, value: str) -> User | None:
        """Return the account whose ``username``, ``email`` or ``user_key`` this is."""
        found = self.row(
            "SELECT users.*, organizations.name AS organization FROM users"
            " JOIN organizations ON organizations.id = organization_id"
            f" WHERE users.{column} = ?",
            value,
        )
        if found is None:
            return None
        return User(
            found["id"],
            found["organization_id"],
            found["username"],
            found["email"],
            found["password"],
            found["first_name"],
            found["last_name"],
            found["user_key"],
            found["organization"],
        )

    def add_device(
        self,
        *,
        organization_id: int,
        external_id: str,
        now_us: int,
        name: str | None = None,
        token: str | None = None,
        status: str = "UNKNOWN",
        last_seen_at: int | None = None,
    ) -> Device:
        """Make a device with a token of its own."""
        (row,) = self.rows(
            "INSERT INTO devices (uuid, organization_id, external_id, name, status,"
            " last_seen_at, api_token, token_created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            str(uuid.uuid4()),
            organization_id,
            external_id,
            external_id if name is None else name,
            status,
            last_seen_at,
            token or str(uuid.uuid4()),
            now_us,
        )
        return Device(*row)

    def device(self, external_id: str) -> Device | None:
        """Return the device with this external id."""
        return self._one_device("external_id", external_id)

    def device_by_uuid(self, uuid_: str) -> Device | None:
        """Return the device with this database id."""
        return self._one_device("uuid", uuid_)

    def _one_device(self, column: str, value: str) -> Device | None:
        """Return the device for which a unique column has this value."""
        found = self.row(f"SELECT * FROM devices WHERE {column} = ?", value)
        return None if found is None else Device(*found)

    def device_key(self, external_id: str) -> DeviceKey | None:
        """Return where readings for this external id go."""
        return self._known(self._keys, "external_id", external_id)

    def token_owner(self, token: str) -> DeviceKey | None:
        """Return the device that this token was given to."""
        return self._known(self._token_owners, "api_token", token)

    def _known(
        self, known: dict[str, DeviceKey], column: str, value: str
    ) -> DeviceKey | None:
        """Return a remembered key, or look it up."""
        if (key := known.get(value)) is not None:
            return key
        found = self.row(
            "SELECT id, organization_id, external_id, status FROM devices"
            f" WHERE {column} = ?",
            value,
        )
        if found is None:
            return None
        key = known[value] = DeviceKey(*found)
        return key

    def remember(self, key: DeviceKey) -> None:
        """Keep a device's changed key for the next look-up."""
        self._keys[key.external_id] = key

    def update_device(self, device: Device, **columns: object) -> Device:
        """Write columns of one device and return it as it is now."""
        assignments = ", ".join(f"{column} = ?" for column in columns)
        (row,) = self.rows(
            f"UPDATE devices SET {assignments} WHERE id = ? RETURNING *",
            *columns.values(),
            device.id,
        )
        self.forget_lookups()
        return Device(*row)

    def delete_device(self, device: Device) -> None:
        """Remove a device with all its data."""
        self.connection.execute("DELETE FROM devices WHERE id = ?", (device.id,))
        self.forget_lookups()

    def add_event(
        self, organization_id: int, external_id: str, kind: str, now_us: int
    ) -> None:
        """Note what happened to a device."""
        self.connection.execute(
            "INSERT INTO events (organization_id, external_id, type, created_at)"
            " VALUES (?, ?, ?, ?)",
            (organization_id, external_id, kind, now_us),
        )

    def devices(self, organization_id: int | None = None) -> Sequence[Device]:
        """Return the devices, all or of one organisation, in the order of their ids."""
        if organization_id is None:
            found = self.rows("SELECT * FROM devices ORDER BY external_id")
        else:
            found = self.rows(
                "SELECT * FROM devices WHERE organization_id = ? ORDER BY external_id",
                organization_id,
            )
        return [Device(*row) for row in found]

    def values(self, device_id: str, variable: str | None = None) -> list[StoredValue]:
        """Return the stored readings of a device in the order of storing.

        Args:
            device_id: External id of the device.
            variable: Only this variable's readings.
        """
        found = self.rows(
            "SELECT external_id, variables.name, value, timestamp FROM variable_values"
            " JOIN variables ON variables.id = variable_id"
            " JOIN devices ON devices.id = device_id"
            " WHERE external_id = ?1 AND variables.name = coalesce(?2, variables.name)"
            " ORDER BY variable_values.id",
            device_id,
            variable,
        )
        return [
            StoredValue(external_id, name, Decimal(value), to_datetime(timestamp))
            for external_id, name, value, timestamp in found
        ]

    def events(self, device_id: str) -> list[str]:
        """Return what happened to a device, oldest first."""
        return [
            row["type"]
            for row in self.rows(
                "SELECT type FROM events WHERE external_id = ? ORDER BY id", device_id
            )
        ]
