"""Storing one reading: all of it in one transaction, or nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
import json
import re
import sqlite3
from typing import Any

from .clock import Clock
from .records import DeviceKey
from .settings import Mode
from .store import DEFAULT_ORGANIZATION, Store
from .values import OutOfRange, to_column

LEGACY_LIMITS = {
    "kw_consumption": (9, 3),
    "voltage": (7, 3),
    "current": (7, 3),
    "power_factor": (2, 3),
    "frequency": (3, 3),
}
"""Integer digits and decimal places of the five reserved variables."""

_VALUE_DIGITS, _VALUE_PLACES = 14, 6
_LEGACY_ZERO = Decimal("0.000")
_MAX_EXTERNAL_ID_CHARS = 64
_MAX_VARIABLE_NAME_CHARS = 100
_METADATA_COLUMNS = {"location": 255, "sensor_type": 100, "firmware_version": 100}
_MAX_TIMESTAMP_US = 2**63 - 1
_OFFLINE_AFTER_US = 3600 * 1_000_000
_OFFLINE_JOB_PERIOD_US = 180 * 1_000_000
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class IngestionError(Exception):
    """The reading could not be stored, and nothing of it was."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device reports at one time.

    Attributes:
        device_id: External id.
        variables: Values by name; None is counted, but not stored.
        timestamp_us: Microseconds since 1970.
        metadata: JSON object stored with the values.
        creates_in: Organisation in which an unknown device is made.
    """

    device_id: str
    variables: Mapping[str, Decimal | None]
    timestamp_us: int
    metadata: Mapping[str, Any] | None = None
    creates_in: int | None = None


type Listener = Callable[[Reading], None]


def display_name(name: str) -> str:
    """Make a name for people: ``outdoorTemp_c`` becomes ``Outdoor Temp C``."""
    words = _HUMP.sub(" ", name).replace("_", " ").split()
    return " ".join(word.capitalize() for word in words)


class Ingestion:
    """What happens to the database when a reading arrives."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.modes: frozenset[Mode] = frozenset()
        self.auto_provision = True
        self.on_stored: list[Listener] = []
        self._store = store
        self._clock = clock
        self._job_ran_at = clock.now_us()

    def store(self, reading: Reading, *, token_owner: DeviceKey | None = None) -> None:
        """Store a reading in a transaction of its own.

        Args:
            reading: What to store.
            token_owner: Device whose token is marked as used in the same transaction.

        Raises:
            IngestionError: It was rolled back.
        """
        self.mark_silent_devices_offline()
        try:
            with self._store.transaction():
                if token_owner is not None:
                    self.touch_token(token_owner)
                self._write(reading)
        except (OutOfRange, sqlite3.Error, UnicodeEncodeError) as err:
            raise IngestionError(str(err)) from err
        self._announce(reading)

    def store_all(self, readings: list[Reading]) -> None:
        """Store several readings in one transaction.

        Raises:
            IngestionError: Nothing was stored.
        """
        try:
            with self._store.transaction():
                for reading in readings:
                    self._write(reading)
        except (OutOfRange, sqlite3.Error, UnicodeEncodeError) as err:
            raise IngestionError(str(err)) from err
        for reading in readings:
            self._announce(reading)

    def touch_token(self, owner: DeviceKey) -> None:
        """Write when a token was last used."""
        self._store.connection.execute(
            "UPDATE devices SET token_last_used_at = ? WHERE id = ?",
            (self._clock.now_us(), owner.id),
        )

    def mark_silent_devices_offline(self) -> None:
        """Run the server's periodic job if it is due."""
        now = self._clock.now_us()
        if now - self._job_ran_at < _OFFLINE_JOB_PERIOD_US:
            return
        self._job_ran_at = now
        self._store.connection.execute(
            "UPDATE devices SET status = 'OFFLINE'"
            " WHERE status = 'ONLINE' AND last_seen_at < ?",
            (now - _OFFLINE_AFTER_US,),
        )
        self._store.forget_lookups()

    def _announce(self, reading: Reading) -> None:
        """Tell the listeners what was stored."""
        for listener in self.on_stored:
            listener(reading)

    def _write(self, reading: Reading) -> None:
        """Write everything that one reading changes."""
        if abs(reading.timestamp_us) > _MAX_TIMESTAMP_US:
            raise OutOfRange("timestamp out of range")
        device = self._store.device_key(reading.device_id) or self._provision(reading)
        self._bring_online(device, reading.timestamp_us)
        metadata = None
        if reading.metadata is not None:
            metadata = self._write_metadata(device, reading.metadata)
        self._write_legacy_record(device, reading, metadata)
        for name, value in reading.variables.items():
            if value is not None and self._keeps(name):
                self._write_value(device, name, value, reading.timestamp_us, metadata)

    def _provision(self, reading: Reading) -> DeviceKey:
        """Make the device that a reading is the first of."""
        if not self.auto_provision:
            raise OutOfRange(f"Unknown device: {reading.device_id}")
        _check_text(reading.device_id, _MAX_EXTERNAL_ID_CHARS)
        organization_id = reading.creates_in
        if organization_id is None or Mode.BEFORE_2026_01_18 in self.modes:
            organization_id = self._store.organization_id(DEFAULT_ORGANIZATION)
        now = self._clock.now_us()
        self._store.add_event(organization_id, reading.device_id, "DEVICE_CREATED", now)
        device = self._store.add_device(
            organization_id=organization_id,
            external_id=reading.device_id,
            now_us=now,
        )
        return device.key()

    def _bring_online(self, device: DeviceKey, timestamp_us: int) -> None:
        """Note that a device was heard of; the time may go backwards."""
        self._store.connection.execute(
            "UPDATE devices SET status = 'ONLINE', last_seen_at = ? WHERE id = ?",
            (timestamp_us, device.id),
        )
        if device.status == "ONLINE":
            return
        self._store.remember(replace(device, status="ONLINE"))
        if Mode.BEFORE_2026_01_18 not in self.modes:
            self._store.add_event(
                device.organization_id,
                device.external_id,
                "DEVICE_CONNECTED",
                self._clock.now_us(),
            )

    def _write_metadata(self, device: DeviceKey, metadata: Mapping[str, Any]) -> str:
        """Write the columns that three keys overwrite; return the JSON text."""
        for column, max_chars in _METADATA_COLUMNS.items():
            if column not in metadata:
                continue
            value = metadata[column]
            if value is not None and not isinstance(value, str):
                raise OutOfRange(f"metadata.{column} must be a string")
            _check_text(value or "", max_chars)
            self._store.connection.execute(
                f"UPDATE devices SET {column} = ? WHERE id = ?",
                (value, device.id),
            )
        try:
            text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
        except ValueError as err:
            raise OutOfRange(str(err)) from err
        if _ESCAPED_NUL.search(text):
            raise OutOfRange("unsupported Unicode escape sequence")
        return text

    def _write_legacy_record(
        self, device: DeviceKey, reading: Reading, metadata: str | None
    ) -> None:
        """Write the five reserved variables; those that are absent become 0."""
        columns = [_LEGACY_ZERO] * len(LEGACY_LIMITS)
        for index, (name, (digits, places)) in enumerate(LEGACY_LIMITS.items()):
            value = reading.variables.get(name)
            if value is not None:
                columns[index] = to_column(value, places=places, integer_digits=digits)
        self._store.connection.execute(
            "INSERT INTO telemetry_records (device_id, timestamp, kw_consumption,"
            " voltage, current, power_factor, frequency, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (device.id, reading.timestamp_us, *map(str, columns), metadata),
        )

    def _keeps(self, name: str) -> bool:
        """Tell whether this server stores a variable of that name at all."""
        return Mode.BEFORE_2025_12_06 not in self.modes or name in LEGACY_LIMITS

    def _write_value(
        self,
        device: DeviceKey,
        name: str,
        value: Decimal,
        timestamp_us: int,
        context: str | None,
    ) -> None:
        """Append a value, and show it as the last one if it is strictly later."""
        stored = str(
            to_column(value, places=_VALUE_PLACES, integer_digits=_VALUE_DIGITS)
        )
        variable_id = self._store.variable_ids.get((device.id, name))
        if variable_id is None:
            variable_id = self._find_or_create_variable(device, name)
        execute = self._store.connection.execute
        execute(
            "INSERT INTO variable_values (variable_id, timestamp, value, context,"
            " created_at) VALUES (?, ?, ?, ?, ?)",
            (variable_id, timestamp_us, stored, context, self._clock.now_us()),
        )
        execute(
            "UPDATE variables SET last_value = ?1, last_value_at = ?2, updated_at = ?3"
            " WHERE id = ?4 AND (last_value_at IS NULL OR last_value_at < ?2)",
            (stored, timestamp_us, self._clock.now_us(), variable_id),
        )

    def _find_or_create_variable(self, device: DeviceKey, name: str) -> int:
        """Return the database id of a device's variable."""
        found = self._store.row(
            "SELECT id FROM variables WHERE device_id = ? AND name = ?", device.id, name
        )
        if found is None:
            _check_text(name, _MAX_VARIABLE_NAME_CHARS)
            now = self._clock.now_us()
            (found,) = self._store.rows(
                "INSERT INTO variables (device_id, name, display_name, created_at,"
                " updated_at) VALUES (?, ?, ?, ?, ?) RETURNING id",
                device.id,
                name,
                display_name(name),
                now,
                now,
            )
        self._store.variable_ids[device.id, name] = int(found["id"])
        return int(found["id"])


def _check_text(text: str, max_chars: int) -> None:
    """Refuse a text that its column cannot hold."""
    if len(text) > max_chars:
        raise OutOfRange(f"value too long for type character varying({max_chars})")
    if "\x00" in text:
        raise OutOfRange("invalid byte sequence for encoding")
