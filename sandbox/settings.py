"""What a sandbox can be told before it starts."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from ssl import SSLContext
from typing import Literal
from urllib.parse import urlsplit

EMBEDDED = "embedded"


class Mode(StrEnum):
    """One difference of an old server. Independent of each other, so they combine."""

    BEFORE_2025_11_22 = "before_2025_11_22"
    BEFORE_2025_11_23 = "before_2025_11_23"
    BEFORE_2025_12_06 = "before_2025_12_06"
    BEFORE_2026_01_18 = "before_2026_01_18"
    NO_CONNECTIVITY = "no_connectivity"


BEFORE_RENAMING = frozenset(
    {
        Mode.BEFORE_2025_11_22,
        Mode.BEFORE_2025_11_23,
        Mode.BEFORE_2025_12_06,
        Mode.NO_CONNECTIVITY,
    }
)
"""Servers of these modes are older than the product's renaming of 2025-12-28."""


def product_name(modes: frozenset[Mode]) -> str:
    """Return what such a server calls itself in MQTT topics and in its metrics."""
    return "sensorvision" if modes & BEFORE_RENAMING else "indcloud"


@dataclass(frozen=True, slots=True)
class DeviceSeed:
    """A device that a fresh database starts with; without a token, a random one is made."""

    device_id: str
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a sandbox is made.

    Attributes:
        fixtures: ``contract`` for the organisations that the protocol vectors expect,
            ``demo`` for one account and the devices named here.
        broker: ``embedded``, ``mqtt://HOST:PORT`` of a running broker, or None for no MQTT.
        host: Address to listen on.
        port: HTTP port, 0 for any free one.
        mqtt_port: Port of the embedded broker, 0 for any free one.
        ssl_context: Serves HTTPS instead of HTTP.
        database: SQLite file that outlives the process, or None to keep all in memory.
        modes: Differences of old servers to switch on.
        mqtt_auth: Whether an MQTT message must carry the token of its own device.
        auto_provision: Whether a reading creates a device that is not known yet.
        nginx: Whether the request limits of the hosted site's front server apply.
        reported_broker_url: The internal address that ``/connectivity/mqtt`` reports.
        organization: Name of the organisation of the demo account.
        username: Name of the demo account.
        password: Password of the demo account. Kept readable, so that it can be printed
            at every start: use none that guards anything else.
        devices: Devices of the demo organisation.
    """

    fixtures: Literal["contract", "demo"] = "demo"
    broker: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    mqtt_port: int = 0
    ssl_context: SSLContext | None = field(default=None, repr=False)
    database: Path | None = None
    modes: frozenset[Mode] = frozenset()
    mqtt_auth: bool = True
    auto_provision: bool = True
    nginx: bool = False
    reported_broker_url: str = "tcp://localhost:1883"
    organization: str = "Home"
    username: str = "demo"
    password: str = field(default="demo-password", repr=False)
    devices: tuple[DeviceSeed, ...] = field(
        default=(DeviceSeed("my-first-device"),), repr=False
    )

    def __post_init__(self) -> None:
        if self.broker in (None, EMBEDDED):
            return
        address = urlsplit(self.broker)
        if address.scheme != "mqtt" or not address.hostname:
            raise ValueError(
                f"The broker's address has the scheme {address.scheme!r}; "
                "write it as mqtt://HOST:PORT."
            )


def reachable_host(host: str) -> str:
    """Return where this machine reaches a server that listens on a host, as in a URL."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
