"""Read the board's settings and say clearly what is wrong with them."""

import json

from .protocol import ValidationError, check_device_id, check_token
from .sensors import TYPES, find
from .url import split_url

_REQUIRED = object()

# Each key's type, an example, its default, and for numbers the smallest and the largest.
_NODE = {
    "url": (str, "https://sensorvision.example", _REQUIRED),
    "token": (str, "11111111-2222-4333-8444-555555555555", _REQUIRED),
    "device_id": (str, "greenhouse", _REQUIRED),
    "sensors": (list, [{"type": "bme280"}], _REQUIRED),
    "wifi": (dict, {"ssid": "home", "password": "..."}, None),
    "ca_file": (str, "/ca.der", None),
    "interval_s": (int, 60, 60, 1, 86400),
    "timeout_s": (int, 20, 20, 1, 120),
    "watchdog_s": (int, 8, 8, 0, 8),
}
_WIFI = {
    "ssid": (str, "home", _REQUIRED),
    "password": (str, "...", ""),
    "country": (str, "DE", None),
}
_SENSOR = {
    "type": (str, TYPES[0], _REQUIRED),
    "name": (str, "outdoor", ""),
}
_TYPE_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
_SECRETS = ("token", "password")


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
            line = getattr(err, "lineno", 0) or _line_at(file, file.tell())
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
    settings = _take("", raw, _NODE)
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
    if settings["wifi"] is not None:
        settings["wifi"] = _take("wifi.", settings["wifi"], _WIFI)
    settings["sensors"] = _check_sensors(settings["sensors"])
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
        sensor = _take(where + ".", options, rules)
        name = sensor["name"]
        if name in names:
            raise SettingsError(
                f"{where}.name {name!r} is used twice. Give each sensor its own name"
            )
        names.append(name)
        sensors.append(sensor)
    return sensors


def _take(prefix, raw, rules):
    if not isinstance(raw, dict):
        where = prefix[:-1] or "settings"
        raise SettingsError(f"{where} is not an object. Write it in braces")
    for key in raw:
        if key not in rules:
            near = min(rules, key=lambda rule: _distance(rule, key))
            is_near = 2 * _distance(near, key) <= len(key)
            remedy = f"Did you mean {near}?" if is_near else "Remove it"
            raise SettingsError(f"{prefix}{key} is unknown. {remedy}")
    taken = {}
    for key, rule in rules.items():
        value = taken[key] = raw.get(key, rule[2])
        problem = _problem(value, rule)
        if problem:
            if value is not _REQUIRED:
                shown = "***" if key in _SECRETS else repr(value)
                problem = f"{shown} {problem}"
            raise SettingsError(
                f'{prefix}{key} {problem}. Write it like "{key}": {json.dumps(rule[1])}'
            )
    return taken


def _problem(value, rule):
    if value is _REQUIRED:
        return "is missing"
    if value is rule[2]:
        return None
    if not isinstance(value, rule[0]) or isinstance(value, bool):
        return "is not " + _TYPE_NAMES[rule[0]]
    if rule[0] is int and not rule[3] <= value <= rule[4]:
        return f"is not between {rule[3]} and {rule[4]}"
    return "is empty" if value == [] else None


def _line_at(file, position):
    file.seek(0)
    return file.read(position).count("\n") + 1


def _distance(one, other):
    row = list(range(len(other) + 1))
    for i, char in enumerate(one):
        diagonal, row[0] = row[0], i + 1
        for j in range(len(other)):
            diagonal, row[j + 1] = (
                row[j + 1],
                min(row[j] + 1, row[j + 1] + 1, diagonal + (char != other[j])),
            )
    return row[-1]
