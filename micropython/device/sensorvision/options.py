"""Check the settings that not every board has."""

from .protocol import ValidationError
from .settings import REQUIRED, SettingsError, take
from .url import split_url

_RULES = {
    "led": (int, 2, None, 0, 48),
    "mqtt": (dict, {"user": "board", "password": "..."}, None),
    "ntp": (list, ["pool.ntp.org"], None),
    "sleep": (str, "deep", None),
    "store": (dict, {"kb": 64}, None),
    "update": (dict, {"url": "https://sensorvision.example/board"}, None),
    "wifi": (object, {"ssid": "home", "password": "..."}, None),
}
_PARTS = {
    "mqtt": {
        "user": (str, "board", ""),
        "password": (str, "...", ""),
        "prefix": (str, "indcloud", "indcloud"),
    },
    "store": {
        "kb": (int, 64, 64, 8, 16384),
        "every": (int, 10, 10, 1, 1000),
        "every_s": (int, 60, 60, 1, 86400),
    },
    "update": {
        "url": (str, "https://sensorvision.example/board", REQUIRED),
        "key": (str, "...", None),
        "every_s": (int, 86400, 86400, 60, 604800),
    },
}
_STATIC = ("address", "netmask", "gateway", "dns")
_NETWORK = {
    "ssid": (str, "home", REQUIRED),
    "password": (str, "...", ""),
    "country": (str, "DE", None),
    "address": (str, "192.168.1.77", None),
    "netmask": (str, "255.255.255.0", None),
    "gateway": (str, "192.168.1.1", None),
    "dns": (str, "192.168.1.1", None),
}


def complete(settings: dict) -> None:
    """Check these settings and put their defaults in; `wifi` becomes a list of networks.

    Raises:
        SettingsError: one can't be used; see `settings.load`.
    """
    options = take("", {key: settings[key] for key in _RULES}, _RULES)
    is_mqtt = settings["url"].startswith("mqtt")
    if is_mqtt and not options["mqtt"]:
        options["mqtt"] = {}
    for key, rules in _PARTS.items():
        if options[key] is not None:
            options[key] = take(key + ".", options[key], rules)
    if not is_mqtt:
        # None tells everybody that HTTP is spoken.
        options["mqtt"] = None
    if options["sleep"] not in (None, "light", "deep"):
        raise SettingsError(f"sleep {options['sleep']!r} is unknown. Choose light or deep")
    for host in options["ntp"] or ():
        if not isinstance(host, str):
            raise SettingsError(f"ntp {host!r} is not text. Write host names in quotes")
    if options["update"]:
        try:
            split_url(options["update"]["url"])
        except ValidationError as err:
            raise SettingsError(f"update.{err}") from None
    options["wifi"] = _take_networks(options["wifi"])
    settings.update(options)


def _take_networks(raw):
    if raw is None:
        return None
    if not isinstance(raw, list):
        return [_take_network("wifi", raw)]
    return [
        _take_network(f"wifi[{number}]", network) for number, network in enumerate(raw or [None])
    ]


def _take_network(where, raw):
    network = take(where + ".", raw, _NETWORK)
    for key in _STATIC:
        # One address without the others is no way into a network.
        value = network[key]
        if (network["address"] and not _is_address(value)) or (value and not network["address"]):
            raise SettingsError(
                f"{where}.{key} {value!r} is no address. Write {', '.join(_STATIC)} all like "
                "192.168.1.77, or none of them"
            )
    return network


def _is_address(text):
    parts = (text or "").split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
