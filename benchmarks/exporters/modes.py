"""What exports the states of a Home Assistant, by name."""

import argparse
from enum import StrEnum


class Mode(StrEnum):
    """What exports them, and how."""

    NONE = "none"
    FLOOR = "floor"
    INFLUXDB_V1 = "influxdb v1"
    INFLUXDB_V2 = "influxdb v2"
    SPLUNK = "splunk"
    TOKEN = "token"  # noqa: S105 - a way to log in, no secret
    ACCOUNT = "account"
    MQTT = "mqtt"

    @property
    def is_ours(self) -> bool:
        """Return whether it is this integration."""
        return self in (Mode.TOKEN, Mode.ACCOUNT, Mode.MQTT)

    @property
    def is_peer(self) -> bool:
        """Return whether it is one of Home Assistant's own exporters."""
        return self in (Mode.INFLUXDB_V1, Mode.INFLUXDB_V2, Mode.SPLUNK)

    @property
    def exports(self) -> bool:
        """Return whether it exports anything."""
        return self.is_ours or self.is_peer

    @property
    def sends_newest_alone(self) -> bool:
        """Return whether a newer number takes the place of one that waits."""
        return self is Mode.TOKEN


def mode_named(name: str) -> Mode:
    """Return the mode that a command line names.

    Raises:
        argparse.ArgumentTypeError: there is none of this name.
    """
    try:
        return Mode(name.strip())
    except ValueError:
        known = ", ".join(Mode)
        raise argparse.ArgumentTypeError(
            f"there is no {name.strip()!r}; take some of {known}"
        ) from None
