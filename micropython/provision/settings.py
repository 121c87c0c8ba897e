"""Put a board's settings together and check them with the board's own rules."""

from collections.abc import Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
import json
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

from micropython.manifest import device_files
from micropython.provision.errors import Exit, ProvisionError

TOKEN_VARIABLE = "SENSORVISION_TOKEN"  # noqa: S105
PASSWORD_VARIABLE = "SENSORVISION_WIFI_PASSWORD"  # noqa: S105

_DEVICE_PACKAGE = "sensorvision_device"
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


def combine(
    base: Mapping[str, Any], flags: Mapping[str, Any], wifi: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay what was given on the command line over settings from a file."""
    settings = {**base, **{key: value for key, value in flags.items() if value}}
    given = {key: value for key, value in wifi.items() if value}
    if given:
        before = settings.get("wifi")
        settings["wifi"] = {**(before if isinstance(before, dict) else {}), **given}
    return settings


def check(settings: Mapping[str, Any]) -> None:
    """Check settings as the board will.

    Raises:
        ProvisionError: the board would refuse them; the message names key and remedy.
    """
    rules = device_module("settings")
    try:
        rules.check(dict(settings))
    except rules.SettingsError as err:
        raise ProvisionError(Exit.SETTINGS, f"Settings: {err}") from None


def device_module(name: str) -> ModuleType:
    """Import a module of the board's package, which here is spread over two directories."""
    if _DEVICE_PACKAGE not in sys.modules:
        spec = ModuleSpec(_DEVICE_PACKAGE, None, is_package=True)
        files = device_files()
        spec.submodule_search_locations = [
            str(files["sensorvision/settings.py"].parent),
            str(files["sensorvision/protocol.py"].parent),
        ]
        sys.modules[_DEVICE_PACKAGE] = module_from_spec(spec)
    return import_module(f"{_DEVICE_PACKAGE}.{name}")
