"""What a SensorVision server shows its users, as typed facts."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
from functools import lru_cache
import re
from typing import Any, Mapping

from . import protocol

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sample:
    """Numbers of one device that were true at one time.

    Attributes:
        device_id: the device's public id.
        variables: finite numbers below 1e14 by name.
        timestamp: when they were true, with a zone; None for the server's now.
        id: by which its result is found, or None for its place in the batch.
    """

    device_id: str
    variables: Mapping[str, int | float]
    timestamp: dt.datetime | None = None
    id: str | None = None


@dataclass(frozen=True)
class Device:
    """A device of the user's organisation.

    Attributes:
        device_id: its public id.
        uuid: its id in the server's database, None before 2025-12-06.
        name: its name for people.
        description: what it is.
        active: whether it is in use; it may send all the same.
        location: where it is.
        sensor_type: its kind or model.
        firmware_version: what it runs.
        status: `ONLINE`, `OFFLINE` or `UNKNOWN`.
        last_seen_at: time of its latest reading.
        last_health_check_at: text without a zone, in the server's local time.
    """

    device_id: str
    uuid: str | None
    name: str
    description: str | None
    active: bool
    location: str | None
    sensor_type: str | None
    firmware_version: str | None
    status: str
    last_seen_at: dt.datetime | None
    last_health_check_at: str | None


@dataclass(frozen=True)
class DeviceStatus:
    """How a device is, as the server sees it.

    Attributes:
        device_id: its public id.
        status: `ONLINE`, `OFFLINE` after an hour without data, or `UNKNOWN`.
        last_seen_at: time of its latest reading, or None without any.
        active: whether it is in use; it may send all the same.
        last_health_check_at: text without a zone, in the server's local time.
    """

    device_id: str
    status: str
    last_seen_at: dt.datetime | None
    active: bool
    last_health_check_at: str | None

    @property
    def is_online(self) -> bool:
        """Whether the server has heard of it within an hour."""
        return self.status == "ONLINE"


@dataclass(frozen=True)
class Variable:
    """A variable of a device.

    Attributes:
        id: its id in the server's database.
        device_uuid: its device's id there.
        device_id: its device's public id.
        name: the name that readings come under.
        display_name: its name for people.
        description: what it is.
        unit: its unit.
        decimal_places: how many decimals are shown.
        last_value: the newest value by time.
        last_value_at: when that was true.
    """

    id: str
    device_uuid: str
    device_id: str
    name: str
    display_name: str | None
    description: str | None
    unit: str | None
    decimal_places: int | None
    last_value: float | None
    last_value_at: dt.datetime | None


@dataclass(frozen=True)
class Value:
    """A stored value of a variable, and when it was true."""

    timestamp: dt.datetime
    value: float


def parse_instant(text: str) -> dt.datetime:
    """Return an instant of the server's as a datetime in UTC, cut to microseconds.

    Raises:
        ValueError: it is no ISO instant with a zone.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an instant")
    minute, second, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    micros = ((fraction or "") + "000000")[:6]
    whole = f"{minute.upper()}:{second or '00'}.{micros}{zone}"
    return dt.datetime.fromisoformat(whole).astimezone(dt.timezone.utc)


def format_instant(moment: dt.datetime) -> str:
    """Return a moment as the server reads it: ISO, UTC, microseconds, `Z`.

    Raises:
        ValidationError: it has no zone.
    """
    if not isinstance(moment, dt.datetime) or moment.utcoffset() is None:
        raise protocol.ValidationError(
            "timestamp",
            moment,
            "has no zone",
            "Give an aware datetime, such as datetime.now(timezone.utc)",
        )
    utc = moment.astimezone(dt.timezone.utc)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_of(seconds: float) -> str:
    """Return seconds since 1970 (UTC) as `format_instant` does their moment.

    Raises:
        ValueError, OverflowError, OSError: it is before the year 1 or after 9999.
    """
    whole = int(seconds)
    # As `datetime.fromtimestamp` does: to the nearest microsecond, half to even.
    micros = round((seconds - whole) * 1_000_000)
    if not 0 <= micros < 1_000_000:
        carried, micros = divmod(micros, 1_000_000)
        whole += carried
    return f"{_second_of(whole)}.{micros:06}Z"


# Many readings in a row are of the same second.
@lru_cache(maxsize=64)
def _second_of(seconds: int) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
    return moment.replace(tzinfo=None).isoformat()


def device_of(data: Mapping[str, Any]) -> Device:
    """Read a device.

    Raises:
        LookupError, TypeError, ValueError: the server's answer is not one.
    """
    return Device(
        device_id=_text(data["externalId"]),
        uuid=data.get("id"),
        name=_text(data["name"]),
        description=data.get("description"),
        active=data.get("active") is not False,
        location=data.get("location"),
        sensor_type=data.get("sensorType"),
        firmware_version=data.get("firmwareVersion"),
        status=data.get("status") or "UNKNOWN",
        last_seen_at=_instant(data.get("lastSeenAt")),
        last_health_check_at=data.get("lastHealthCheckAt"),
    )


def variable_of(data: Mapping[str, Any]) -> Variable:
    """Read a variable.

    Raises:
        LookupError, TypeError, ValueError: the server's answer is not one.
    """
    last_value = data.get("lastValue")
    return Variable(
        id=str(data["id"]),
        device_uuid=_text(data["deviceId"]),
        device_id=_text(data["deviceExternalId"]),
        name=_text(data["name"]),
        display_name=data.get("displayName"),
        description=data.get("description"),
        unit=data.get("unit"),
        decimal_places=data.get("decimalPlaces"),
        last_value=None if last_value is None else float(last_value),
        last_value_at=_instant(data.get("lastValueAt")),
    )


def value_of(data: Mapping[str, Any]) -> Value:
    """Read a stored value.

    Raises:
        LookupError, TypeError, ValueError: the server's answer is not one.
    """
    return Value(parse_instant(data["timestamp"]), float(data["value"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of a text")
    return value


def _instant(value: Any) -> dt.datetime | None:  # noqa: ANN401
    return None if value is None else parse_instant(value)
