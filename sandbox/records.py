"""Rows of the database, as the rest of the server sees them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """What an ingest needs to know of a device, remembered between requests."""

    id: int
    organization_id: int
    external_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Device:
    """A row of ``devices``; instants in microseconds since 1970."""

    id: int
    uuid: str
    organization_id: int
    external_id: str
    name: str
    description: str | None
    active: bool
    location: str | None
    sensor_type: str | None
    firmware_version: str | None
    status: str
    last_seen_at: int | None
    api_token: str | None
    token_created_at: int | None
    token_last_used_at: int | None

    def key(self) -> DeviceKey:
        """Return what an ingest needs to know."""
        return DeviceKey(self.id, self.organization_id, self.external_id, self.status)


@dataclass(frozen=True, slots=True)
class User:
    """A row of ``users`` with the name of its organisation."""

    id: int
    organization_id: int
    username: str
    email: str
    password: str
    first_name: str | None
    last_name: str | None
    user_key: str | None
    organization: str


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One stored reading."""

    device_id: str
    variable: str
    value: Decimal
    timestamp: datetime
