"""Put a board's settings together and check them with the board's own rules."""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import json
from pathlib import Path
import re
from typing import Any

from .errors import Exit, ProvisionError
from .rules import device_module

TOKEN_VARIABLE = "SENSORVISION_TOKEN"  # noqa: S105
PASSWORD_VARIABLE = "SENSORVISION_WIFI_PASSWORD"  # noqa: S105

SECRETS = {
    "token": TOKEN_VARIABLE,
    "wifi.password": PASSWORD_VARIABLE,
    "mqtt.password": "SENSORVISION_MQTT_PASSWORD",
    "update.key": "SENSORVISION_UPDATE_KEY",
}
"""The settings that never stand on a command line, and the variables that hold them."""

_ROM_DIGITS = 16


def read_file(path: Path) -> dict[str, Any]:
    """Read a settings file of the host.

    Raises:
        ProvisionError: it can't be read or is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise ProvisionError(
            Exit.SETTINGS, f"{path} can't be read: {err.strerror}"
        ) from err
    return parse(text, str(path))


def parse(text: str, name: str) -> dict[str, Any]:
    """Read settings from JSON text.

    Raises:
        ProvisionError: it is no JSON object.
    """
    try:
        raw = json.loads(text)
    except ValueError as err:
        line = getattr(err, "lineno", 1)
        raise ProvisionError(
            Exit.SETTINGS,
            f"{name} is not JSON: line {line} can't be read. Look there for a missing quote, "
            "comma or bracket",
        ) from None
    if not isinstance(raw, dict):
        raise ProvisionError(
            Exit.SETTINGS, f"{name} is not an object. Write it in braces"
        )
    return raw


def parse_sensor(text: str) -> dict[str, Any]:
    """Read a sensor from the command line, such as `bme280:sda=21,scl=22`.

    Raises:
        ProvisionError: an option is no `key=value`.
    """
    type_, _, rest = text.partition(":")
    sensor: dict[str, Any] = {"type": type_}
    for option in rest.split(",") if rest else ():
        key, _, value = option.partition("=")
        try:
            # The id in a chip's ROM begins with a digit, but is longer than any number.
            is_number = value[:1].isdigit() and len(value) < _ROM_DIGITS
            sensor[key] = int(value, 0) if is_number else value
        except ValueError:
            value = ""
        if not value:
            raise ProvisionError(
                Exit.SETTINGS,
                f"--sensor {text}: {option!r} can't be read. "
                "Write it like bme280:sda=21,scl=22",
            )
    return sensor


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """Read any setting from the command line, such as `store.kb=32`.

    Returns:
        The keys on the way to the setting, and its value: what JSON makes of it, else text.

    Raises:
        ProvisionError: it is no `key=value`, or a secret.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ProvisionError(
            Exit.SETTINGS,
            f"--set {text!r} can't be read. Write it like --set interval_s=60",
        )
    keys = key.split(".")
    # An object could hold a secret, too.
    for secret, variable in SECRETS.items():
        if secret == key or (secret.startswith(key + ".") and "{" in value):
            raise ProvisionError(
                Exit.SETTINGS,
                f"--set {key}: a command line is no place for {secret}, as others can read "
                f"it. Put it into the environment as {variable}",
            )
    try:
        return keys, json.loads(value)
    except ValueError:
        return keys, value


def assign(settings: dict[str, Any], keys: list[str], value: object) -> None:
    """Change one setting, and make the objects on the way to it.

    Args:
        settings: is changed.
        keys: the names on the way, the setting's own last.
        value: what it becomes.
    """
    *parents, last = keys
    for key in parents:
        below = settings.get(key)
        settings[key] = dict(below) if isinstance(below, dict) else {}
        settings = settings[key]
    settings[last] = value


def combine(
    base: Mapping[str, Any], flags: Mapping[str, Any], wifi: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay what was given on the command line over settings from a file."""
    settings = {**base, **{key: value for key, value in flags.items() if value}}
    given = {key: value for key, value in wifi.items() if value}
    if given:
        settings["wifi"] = _with_network(settings.get("wifi"), given)
    return settings


def _with_network(before: object, given: dict[str, Any]) -> object:
    """Change the network that is there, or of several the one of this name."""
    if not isinstance(before, list):
        return {**(before if isinstance(before, dict) else {}), **given}
    networks = [network for network in before if isinstance(network, dict)]
    name = given.get("ssid", networks[0].get("ssid") if networks else None)
    if all(network.get("ssid") != name for network in networks):
        return [*networks, given]
    return [
        {**network, **given} if network.get("ssid") == name else network
        for network in networks
    ]


def check(settings: Mapping[str, Any]) -> None:
    """Check settings as the board will.

    Raises:
        ProvisionError: the board would refuse them; the message names key and remedy.
    """
    rules = device_module("settings")
    try:
        rules.check(dict(settings))
    except rules.ValidationError as err:
        raise ProvisionError(
            Exit.SETTINGS, f"Settings: {_with_suggestion(str(err))}"
        ) from None


def add_sensor(path: Path) -> None:
    """Let a sensor of one's own stand in settings, as those of the port do.

    Raises:
        ProvisionError: the file holds none.
    """
    sensors = device_module("sensors")
    name = path.stem
    problem = ""
    if path.suffix != ".py" or not name.isidentifier() or not path.is_file():
        problem = "is no file of Python"
    elif name in sensors.TYPES:
        problem = "has the name of one of the port's sensors"
    else:
        sensors.__path__.append(str(path.resolve().parent))
        try:
            dict(sensors.find(name).OPTIONS)
        except (SyntaxError, ImportError, AttributeError, TypeError) as err:
            problem = f"can't be used: {err}"
    if problem:
        raise ProvisionError(
            Exit.SETTINGS,
            f"--own-sensor {path} {problem}. Give a file such as soil.py that has a class "
            f"{name.upper()} with OPTIONS",
        )
    sensors.TYPES.append(name)


def _with_suggestion(problem: str) -> str:
    """Name the one of the known words that an unknown one resembles, if one does."""
    unknown = re.match(
        r"(.*?([^.'\s]+)'? is unknown\.) .*[Cc]hoose one of (.+)", problem
    )
    near = unknown and difflib.get_close_matches(unknown[2], unknown[3].split(", "), 1)
    return f"{unknown[1]} Did you mean {near[0]}?" if unknown and near else problem
