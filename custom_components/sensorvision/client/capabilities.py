"""Say what a credential can do on a server, and what the server is known to be."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
import re

from .age import CONNECTIVITY_CHECK_SINCE, INDCLOUD_SINCE, ServerAge
from .credentials import ACCOUNT, DEVICE_TOKEN

INDCLOUD = "indcloud"
SENSORVISION = "sensorvision"

_APPLICATION = re.compile(rb'\bapplication="([^"]*)"')


@dataclass(frozen=True)
class Capabilities:
    """What a credential can do on its server.

    Attributes:
        timestamps: send readings with the time at which they were true.
        bulk: send many readings in one request.
        create_devices: register devices with name, location and model. A device token
            only makes the server add what it does not know, under its bare id.
        read_back: read variables and stored values.
        name_variables: give variables a display name, a unit and decimals.
    """

    timestamps: bool
    bulk: bool
    create_devices: bool
    read_back: bool
    name_variables: bool


@dataclass(frozen=True)
class Probe:
    """What was found out about a server and a credential without storing data.

    Attributes:
        has_connectivity_check: whether the server answers its own public check, as
            those of December 2025 and later do.
        credential: `DEVICE_TOKEN`, `USER_KEY` or `ACCOUNT`.
        capabilities: what the credential can do.
        age: how old the server is, as far as that can be told.
    """

    has_connectivity_check: bool
    credential: str
    capabilities: Capabilities
    age: ServerAge


@dataclass(frozen=True)
class ServerInfo:
    """What a server tells everybody about itself.

    Attributes:
        not_before: it is of this day or later, or None if that is unknown.
        mqtt_prefix: first level of its MQTT topics, `indcloud` or `sensorvision`, or
            None if that is unknown.
    """

    not_before: dt.date | None
    mqtt_prefix: str | None


def capabilities_of(credential: str, *, has_variables: bool) -> Capabilities:
    """Return what a credential can do.

    Args:
        credential: `DEVICE_TOKEN`, `USER_KEY` or `ACCOUNT`.
        has_variables: whether the server shows variables, as since 2025-12-06. It shows
            them to who has a role, and a user key's roles are misspelt by the server.
    """
    is_user = credential != DEVICE_TOKEN
    is_account = credential == ACCOUNT
    return Capabilities(
        timestamps=is_user,
        bulk=is_user,
        create_devices=is_user,
        read_back=is_account and has_variables,
        name_variables=is_account and has_variables,
    )


def server_info(*, has_connectivity_check: bool, metrics: bytes) -> ServerInfo:
    """Return what is known of a server.

    Args:
        has_connectivity_check: whether it answers its own public check.
        metrics: its public metrics in Prometheus' format, or the beginning of them, or
            whatever else stands at their address.
    """
    mqtt_prefix = _mqtt_prefix_in(metrics)
    not_before = CONNECTIVITY_CHECK_SINCE if has_connectivity_check else None
    if mqtt_prefix == INDCLOUD:
        not_before = INDCLOUD_SINCE
    return ServerInfo(not_before, mqtt_prefix)


def _mqtt_prefix_in(metrics: bytes) -> str | None:
    """Return what the server calls itself, which its topics begin with."""
    found = _APPLICATION.search(metrics)
    name = found.group(1).decode(errors="replace") if found else ""
    return name if name in (INDCLOUD, SENSORVISION) else None
