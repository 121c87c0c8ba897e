"""Complete a board's settings: from options, the environment, and the person's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import sys
from typing import Any

from . import settings as rules
from .errors import Exit, ProvisionError
from .telling import ask


@dataclass(frozen=True)
class Given:
    """What was said about settings on the command line.

    Attributes:
        settings: those of a file to begin with, or None to begin with the board's.
        flags: single settings, None where nothing was said.
        sensors: texts as `parse_sensor` reads them.
        wifi: name and country of a network, None where nothing was said.
        assignments: texts as `parse_assignment` reads them.
        own_sensors: files of sensors that are not the port's.
    """

    settings: dict[str, Any] | None
    flags: Mapping[str, Any]
    sensors: Sequence[str]
    wifi: Mapping[str, Any]
    assignments: Sequence[str]
    own_sensors: Sequence[Path] = ()


def complete(base: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """Lay options and secrets over settings, and ask for what is missing but the token.

    Raises:
        ProvisionError: an option can't be read.
    """
    flags = {
        **given.flags,
        "token": os.environ.get(rules.TOKEN_VARIABLE),
        "sensors": [rules.parse_sensor(text) for text in given.sensors],
    }
    wifi = {**given.wifi, "password": os.environ.get(rules.PASSWORD_VARIABLE)}
    chosen = rules.combine(base, flags, wifi)
    for text in given.assignments:
        rules.assign(chosen, *rules.parse_assignment(text))
    for secret in ("mqtt.password", "update.key"):
        if value := os.environ.get(rules.SECRETS[secret]):
            rules.assign(chosen, secret.split("."), value)
    if sys.stdin.isatty():
        _ask(chosen, given)
    return chosen


def ask_secret(what: str, variable: str) -> str:
    """Return a secret from the environment, or ask for it without showing it.

    Raises:
        ProvisionError: it is not there, and nobody can be asked.
    """
    if value := os.environ.get(variable):
        return value
    if not sys.stdin.isatty():
        raise ProvisionError(
            Exit.SETTINGS,
            f"Settings: {what} is missing. Put it into the environment as {variable}",
        )
    return ask(f"{what} (not shown)", hide_input=True)


def _ask(chosen: dict[str, Any], given: Given) -> None:
    """Ask the person at the terminal for what a first flash needs."""
    is_new = not chosen.get("sensors")
    if not chosen.get("url"):
        chosen["url"] = ask("The server's URL")
    if not chosen.get("device_id"):
        chosen["device_id"] = ask("The device's id on the server")
    if is_new:
        text = ask("Sensor with its pins, such as bme280:sda=21,scl=22")
        chosen["sensors"] = [rules.parse_sensor(text)]
    if is_new and not chosen.get("wifi"):
        name = ask(
            "Name of the Wi-Fi network, nothing for a cable",
            default="",
            show_default=False,
        )
        if name:
            chosen["wifi"] = {"ssid": name}
    network = chosen.get("wifi")
    is_asked_for = given.wifi.get("ssid") or is_new
    if is_asked_for and isinstance(network, dict) and "password" not in network:
        network["password"] = ask(
            f"Password of {network['ssid']} (not shown)",
            hide_input=True,
            default="",
            show_default=False,
        )
