"""Read the board's settings and say clearly what is wrong with them."""

import json

from .protocol import ValidationError, check_device_id, check_token
from .sensors import TYPES, find
from .url import split_url

_STATIC = ("address", "netmask", "gateway", "dns")
_NETWORK = {
    "ssid": (str, "home", ...),
    "password": (str, "***", ""),
    "country": (str, "DE", None),
}
for key in _STATIC:
    _NETWORK[key] = (str, "192.168.1.77", "")
# Each key's type, an example, its default, and for numbers the smallest and the largest. A
# default of `...` stands for none, `***` for an example of a secret; an object has rules.
_NODE = {
    "url": (str, "https://sensorvision.example", ...),
    "token": (str, "***", ...),
    "device_id": (str, "board", ...),
    "sensors": (list, [{"type": "bme280"}], ...),
    "ca_file": (str, "/ca.der", None),
    "interval_s": (int, 60, 60, 1, 86400),
    "timeout_s": (int, 20, 20, 1, 120),
    "watchdog_s": (int, 8, 8, 0, 8),
    "health_s": (int, 3600, 3600, 0, 86400),
    "led": (int, 2, None, 0, 48),
    "mqtt": (
        dict,
        {
            "user": (str, "board", ""),
            "password": (str, "***", ""),
            "prefix": (str, "indcloud", "indcloud"),
        },
        {},
    ),
    "ntp": (list, ["pool.ntp.org"], None),
    "sleep": (str, "deep", None),
    "store": (
        dict,
        {
            "kb": (int, 64, 64, 8, 16384),
            "every": (int, 10, 10, 1, 1000),
            "every_s": (int, 60, 60, 1, 86400),
        },
        None,
    ),
    "update": (
        dict,
        {
            "url": (str, "https://sensorvision.example", ...),
            "key": (str, "***", None),
            "every_s": (int, 86400, 86400, 60, 604800),
        },
        None,
    ),
    # An object or a list of them.
    "wifi": (object, None, None),
}


def load(path: str) -> dict:
    """Read and check the settings file.

    Returns:
        The settings by key, complete with the defaults of those that are not in the file.

    Raises:
        ValidationError: the file is missing or malformed, or a setting can't be used; the
            message says which, why, and what to do.
    """
    try:
        file = open(path)
    except OSError:
        raise ValidationError("settings", path, "is missing", "Flash it") from None
    with file:
        try:
            raw = json.load(file)
        except ValueError:
            # MicroPython's parser stops reading where it finds a mistake.
            position = file.tell()
            file.seek(0)
            line = file.read(position).count("\n") + 1
            raise ValidationError(
                "settings",
                path,
                f"is not JSON in line {line}",
                "Look for a missing quote, comma or bracket",
            ) from None
    return check(raw)


def check(raw: object) -> dict:
    """Check settings as they stand in the file.

    Returns:
        See `load`; `mqtt` is None over HTTP, `wifi` a list of networks, none of them with a
        cable, and each network's `static` what `ifconfig` takes, if anything.

    Raises:
        ValidationError: see `load`.
    """
    settings = take("", raw, _NODE)
    settings["token"] = check_token(settings["token"])
    check_device_id(settings["device_id"])
    for part in (settings, settings["update"]):
        if part and split_url(part["url"])[0] and not settings["ca_file"]:
            raise ValidationError(
                "ca_file", None, "is missing", "TLS needs the authority's certificate"
            )
    if settings["url"][0] != "m":
        settings["mqtt"] = None
    _choose("sleep", settings["sleep"] or "deep", ("light", "deep"))
    sensors = settings["sensors"]
    names = []
    for number in range(len(sensors)):
        prefix = f"sensors[{number}]."
        type_ = sensors[number].get("type")
        _choose(prefix + "type", type_, TYPES)
        rules = dict(find(type_).OPTIONS, type=(str, "", ""), name=(str, "home", ""))
        sensor = sensors[number] = take(prefix, sensors[number], rules)
        name = sensor["name"]
        if name in names:
            raise ValidationError(prefix + "name", name, "is used twice", "Choose another")
        names.append(name)
    networks = settings["wifi"] or []
    if not isinstance(networks, list):
        networks = [networks]
    for number in range(len(networks)):
        prefix = f"wifi[{number}]."
        network = networks[number] = take(prefix, networks[number], _NETWORK)
        static = [network.pop(key) for key in _STATIC]
        network["static"] = any(static) and static
        # Four addresses of four numbers.
        parts = ".".join(static).split(".")
        good = [part for part in parts if part.isdigit() and int(part) < 256]
        if any(static) and (good != parts or len(good) != 16):
            known = ", ".join(_STATIC)
            remedy = f"Write {known} all like 192.168.1.77"
            raise ValidationError(prefix[:-1], static, "does not fit", remedy)
    settings["wifi"] = networks
    return settings


def take(prefix: str, raw: object, rules: dict) -> dict:
    """Take what the rules know, complete with defaults.

    Args:
        prefix: where this part stands in the settings, for messages.
        raw: the part as it stands in the file.
        rules: see `_NODE`.

    Raises:
        ValidationError: see `load`.
    """
    where = prefix[:-1] or "settings"
    if not isinstance(raw, dict):
        raise ValidationError(where, "***", "is not an object", "Write it in braces")
    for key in raw:
        _choose(where, key, sorted(rules))
    taken = {}
    for key, rule in rules.items():
        kind, example, default, *bounds = rule
        value = raw.get(key, default)
        if kind is dict and value is not None:
            value = take(key + ".", value, example)
        elif kind is not object and (value is not default or value is ...):
            remedy = f'Write it like "{key}": {json.dumps(example)}'
            if value is ...:
                raise ValidationError(where, key, "is missing", remedy)
            problem = None
            if (
                type(value) is not kind
                or (default is ... and not value)
                or (kind is list and set(map(type, value)) != {type(example[0])})
            ):
                problem = "does not fit"
            elif bounds and not bounds[0] <= value <= bounds[1]:
                problem = "is not between {} and {}".format(*bounds)
            if problem:
                shown = example if example == "***" else value
                raise ValidationError(prefix + key, shown, problem, remedy)
        taken[key] = value
    return taken


def _choose(field, value, choices):
    if value not in choices:
        known = ", ".join(choices)
        raise ValidationError(field, value, "is unknown", "Choose one of " + known)
