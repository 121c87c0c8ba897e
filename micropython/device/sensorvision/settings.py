"""Read the board's settings and say clearly what is wrong with them."""

import json

from .protocol import ValidationError, check_device_id, check_token
from .sensors import TYPES, find
from .url import split_url

REQUIRED = object()

# Each key's type, an example, its default, and for numbers the smallest and the largest.
_NODE = {
    "url": (str, "https://sensorvision.example", REQUIRED),
    "token": (str, "11111111-2222-4333-8444-555555555555", REQUIRED),
    "device_id": (str, "greenhouse", REQUIRED),
    "sensors": (list, [{"type": "bme280"}], REQUIRED),
    "ca_file": (str, "/ca.der", None),
    "interval_s": (int, 60, 60, 1, 86400),
    "timeout_s": (int, 20, 20, 1, 120),
    "watchdog_s": (int, 8, 8, 0, 8),
    "health_s": (int, 3600, 3600, 0, 86400),
}
# What not every board has; the rules are in options.py, loaded only where one is used.
_OPTIONAL = ("led", "mqtt", "ntp", "sleep", "store", "update", "wifi")
for key in _OPTIONAL:
    _NODE[key] = (object, None, None)
_SENSOR = {
    "type": (str, TYPES[0], REQUIRED),
    "name": (str, "outdoor", ""),
}
_TYPE_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
_SECRETS = ("token", "password", "key")


class SettingsError(Exception):
    """The settings can't be used; the message says which, why, and what to do."""


def load(path: str) -> dict:
    """Read and check the settings file.

    Returns:
        The settings by key, complete with the defaults of those that are not in the file.

    Raises:
        SettingsError: the file is missing or malformed, or a setting can't be used.
    """
    try:
        file = open(path)
    except OSError:
        raise SettingsError(f"{path} is missing. Put one there with the flash command") from None
    with file:
        try:
            raw = json.load(file)
        except ValueError as err:
            # CPython's error knows the line; MicroPython's parser stops reading there.
            position = file.tell()
            file.seek(0)
            line = getattr(err, "lineno", 0) or file.read(position).count("\n") + 1
            raise SettingsError(
                f"{path} is not JSON: line {line} can't be read. Look there for a missing quote, "
                "comma or bracket"
            ) from None
    return check(raw)


def check(raw: object) -> dict:
    """Check settings as they stand in the file.

    Raises:
        SettingsError: see `load`.
    """
    settings = take("", raw, _NODE)
    try:
        tls = split_url(settings["url"])[0]
        settings["token"] = check_token(settings["token"])
        check_device_id(settings["device_id"])
    except ValidationError as err:
        raise SettingsError(str(err)) from None
    if tls and not settings["ca_file"]:
        raise SettingsError(
            "ca_file is missing. With https the board needs the certificate of the authority "
            "that vouches for the server, as a DER file"
        )
    settings["sensors"] = _check_sensors(settings["sensors"])
    for key in _OPTIONAL:
        if settings[key] is not None or settings["url"].startswith("mqtt"):
            from .options import complete

            complete(settings)
            break
    return settings


def _check_sensors(raw):
    sensors = []
    names = []
    for number, options in enumerate(raw):
        where = f"sensors[{number}]"
        type_ = options.get("type") if isinstance(options, dict) else TYPES[0]
        if type_ not in TYPES:
            known = ", ".join(TYPES)
            raise SettingsError(f"{where}.type {type_!r} is unknown. Choose one of {known}")
        rules = dict(_SENSOR)
        rules.update(find(type_).OPTIONS)
        sensor = take(where + ".", options, rules)
        name = sensor["name"]
        if name in names:
            raise SettingsError(
                f"{where}.name {name!r} is used twice. Give each sensor its own name"
            )
        names.append(name)
        sensors.append(sensor)
    return sensors


def take(prefix: str, raw: object, rules: dict) -> dict:
    """Take what the rules know, complete with defaults.

    Args:
        prefix: where this part stands in the settings, for messages.
        raw: the part as it stands in the file.
        rules: by key: type, example, default or `REQUIRED`, and for numbers the bounds.

    Raises:
        SettingsError: see `load`.
    """
    if not isinstance(raw, dict):
        where = prefix[:-1] or "settings"
        raise SettingsError(f"{where} is not an object. Write it in braces")
    for key in raw:
        if key not in rules:
            known = ", ".join(sorted(rules))
            raise SettingsError(f"{prefix}{key} is unknown. Remove it, or choose one of {known}")
    taken = {}
    for key, rule in rules.items():
        value = taken[key] = raw.get(key, rule[2])
        problem = _problem(value, rule)
        if problem:
            if value is not REQUIRED:
                shown = "***" if key in _SECRETS else repr(value)
                problem = f"{shown} {problem}"
            raise SettingsError(
                f'{prefix}{key} {problem}. Write it like "{key}": {json.dumps(rule[1])}'
            )
    return taken


def _problem(value, rule):
    if value is REQUIRED:
        return "is missing"
    if value is rule[2]:
        return None
    if not isinstance(value, rule[0]) or isinstance(value, bool):
        return "is not " + _TYPE_NAMES[rule[0]]
    if rule[0] is int and not rule[3] <= value <= rule[4]:
        return f"is not between {rule[3]} and {rule[4]}"
    return "is empty" if rule[2] is REQUIRED and not value else None
