"""One table of settings, read by the same file on MicroPython and on CPython."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from micropython.provision.rules import device_module

from .conftest import TOKEN, run_program

_GOOD: dict[str, Any] = {
    "url": "http://192.168.1.5:8080/sensorvision/",
    "token": TOKEN,
    "device_id": "greenhouse",
    "wifi": {"ssid": "home", "password": "very-secret"},
    "sensors": [{"type": "bme280"}],
}
_ABSENT = object()


def changed(**changes: object) -> str:
    """Return good settings as JSON text, with changes; `_ABSENT` leaves a key out."""
    settings = {**_GOOD, **changes}
    return json.dumps(
        {key: value for key, value in settings.items() if value is not _ABSENT}
    )


_REFUSED = {
    "no url": (
        changed(url=_ABSENT),
        'settings \'url\' is missing. Write it like "url": "https://sensorvision.example"',
    ),
    "url without scheme": (
        changed(url="sensorvision.example"),
        (
            "url 'sensorvision.example' is no server address. Write it like "
            "https://sensorvision.example or mqtts://broker.example"
        ),
    ),
    "url with a password": (
        changed(url="http://me:secret@host"),
        (
            "url '***' is no server address. Write it like "
            "https://sensorvision.example or mqtts://broker.example"
        ),
    ),
    "url of another kind": (
        changed(url=5),
        'url 5 does not fit. Write it like "url": "https://sensorvision.example"',
    ),
    "https without an authority": (
        changed(url="https://sensorvision.example"),
        "ca_file None is missing. TLS needs the authority's certificate",
    ),
    "malformed token": (
        changed(token="secret-token"),
        (
            "device token '***' is not a UUID in lower case. Copy it again from the device's page "
            "in SensorVision"
        ),
    ),
    "token of another kind": (
        changed(token=12345),
        'token \'***\' does not fit. Write it like "token": "***"',
    ),
    "device id with a slash": (
        changed(device_id="green/house"),
        (
            "device id 'green/house' cannot be used. Take 1 to 64 letters, digits, dots, "
            "underscores or hyphens"
        ),
    ),
    "number in quotes": (
        changed(interval_s="60"),
        "interval_s '60' does not fit. Write it like \"interval_s\": 60",
    ),
    "true for a number": (
        changed(interval_s=True),
        'interval_s True does not fit. Write it like "interval_s": 60',
    ),
    "number out of range": (
        changed(interval_s=0),
        'interval_s 0 is not between 1 and 86400. Write it like "interval_s": 60',
    ),
    "mistyped key": (
        changed(intervall=5),
        (
            "settings 'intervall' is unknown. Choose one of ca_file, device_id, health_s, "
            "interval_s, led, mqtt, ntp, sensors, sleep, store, timeout_s, token, update, url, "
            "watchdog_s, wifi"
        ),
    ),
    "wifi without ssid": (
        changed(wifi={"password": "very-secret"}),
        'wifi[0] \'ssid\' is missing. Write it like "ssid": "home"',
    ),
    "wifi password of another kind": (
        changed(wifi={"ssid": "home", "password": 12345678}),
        'wifi[0].password \'***\' does not fit. Write it like "password": "***"',
    ),
    "mistyped wifi key": (
        changed(wifi={"sid": "home"}),
        (
            "wifi[0] 'sid' is unknown. Choose one of address, country, dns, gateway, netmask, "
            "password, ssid"
        ),
    ),
    "wifi as text": (
        changed(wifi="home"),
        "wifi[0] '***' is not an object. Write it in braces",
    ),
    "second network without ssid": (
        changed(wifi=[{"ssid": "home"}, {"password": "very-secret"}]),
        'wifi[1] \'ssid\' is missing. Write it like "ssid": "home"',
    ),
    "empty ssid": (
        changed(wifi={"ssid": ""}),
        'wifi[0].ssid \'\' does not fit. Write it like "ssid": "home"',
    ),
    "static address that is none": (
        changed(wifi={"ssid": "home", "address": "192.168.1.256"}),
        (
            "wifi[0] ['192.168.1.256', '', '', ''] does not fit. Write address, netmask, "
            "gateway, dns all like 192.168.1.77"
        ),
    ),
    "static address without its gateway": (
        changed(
            wifi={"ssid": "home", "address": "10.0.0.9", "netmask": "255.0.0.0"},
        ),
        (
            "wifi[0] ['10.0.0.9', '255.0.0.0', '', ''] does not fit. Write address, "
            "netmask, gateway, dns all like 192.168.1.77"
        ),
    ),
    "gateway without an address": (
        changed(wifi={"ssid": "home", "gateway": "10.0.0.1"}),
        (
            "wifi[0] ['', '', '10.0.0.1', ''] does not fit. Write address, netmask, "
            "gateway, dns all like 192.168.1.77"
        ),
    ),
    "strange sleep": (
        changed(sleep="long"),
        "sleep 'long' is unknown. Choose one of light, deep",
    ),
    "pin of no board": (
        changed(led=49),
        'led 49 is not between 0 and 48. Write it like "led": 2',
    ),
    "small store": (
        changed(store={"kb": 1}),
        'store.kb 1 is not between 8 and 16384. Write it like "kb": 64',
    ),
    "mqtt password of another kind": (
        changed(mqtt={"password": 12345}),
        'mqtt.password \'***\' does not fit. Write it like "password": "***"',
    ),
    "time server as a number": (
        changed(ntp=[5]),
        'ntp [5] does not fit. Write it like "ntp": ["pool.ntp.org"]',
    ),
    "one time server without a list": (
        changed(ntp="pool.ntp.org"),
        'ntp \'pool.ntp.org\' does not fit. Write it like "ntp": ["pool.ntp.org"]',
    ),
    "update from nowhere": (
        changed(update={"url": "board"}),
        (
            "url 'board' is no server address. Write it like "
            "https://sensorvision.example or mqtts://broker.example"
        ),
    ),
    "update by https without an authority": (
        changed(update={"url": "https://host"}),
        "ca_file None is missing. TLS needs the authority's certificate",
    ),
    "update key of another kind": (
        changed(update={"url": "http://host", "key": 12345}),
        'update.key \'***\' does not fit. Write it like "key": "***"',
    ),
    "no sensors": (
        changed(sensors=_ABSENT),
        'settings \'sensors\' is missing. Write it like "sensors": [{"type": "bme280"}]',
    ),
    "empty sensors": (
        changed(sensors=[]),
        'sensors [] does not fit. Write it like "sensors": [{"type": "bme280"}]',
    ),
    "sensor as text": (
        changed(sensors=["bme280"]),
        'sensors [\'bme280\'] does not fit. Write it like "sensors": [{"type": "bme280"}]',
    ),
    "unknown sensor": (
        changed(sensors=[{"type": "bme28"}]),
        "sensors[0].type 'bme28' is unknown. Choose one of bme280, board, dht11, dht22, ds18b20",
    ),
    "sensor without type": (
        changed(sensors=[{"sda": 4}]),
        "sensors[0].type None is unknown. Choose one of bme280, board, dht11, dht22, ds18b20",
    ),
    "pin out of range": (
        changed(sensors=[{"type": "dht22", "pin": 99}]),
        'sensors[0].pin 99 is not between 0 and 48. Write it like "pin": 4',
    ),
    "option of another sensor": (
        changed(sensors=[{"type": "dht22", "sda": 1}]),
        "sensors[0] 'sda' is unknown. Choose one of name, pin, type",
    ),
    "two sensors without names": (
        changed(sensors=[{"type": "bme280"}, {"type": "dht22"}]),
        "sensors[1].name '' is used twice. Choose another",
    ),
    "list": ("[]", "settings '***' is not an object. Write it in braces"),
    "unclosed": (
        '{\n  "url": "http://host",\n  "token": ',
        (
            "settings '/settings.json' is not JSON in line 3. Look for a missing quote, "
            "comma or bracket"
        ),
    ),
    "word without quotes": (
        '{\n  "url": "http://host",\n  "token": abc\n}',
        (
            "settings '/settings.json' is not JSON in line 3. Look for a missing quote, "
            "comma or bracket"
        ),
    ),
}

_NETWORK = {"ssid": "home", "password": "", "country": None, "static": False}
_STATIC = {
    "address": "192.168.1.77",
    "netmask": "255.255.255.0",
    "gateway": "192.168.1.1",
    "dns": "1.1.1.1",
}
_ALL = {
    "url": "mqtt://host",
    "wifi": [{"ssid": "home"}, {"ssid": "shed", **_STATIC}],
    "mqtt": {"user": "me"},
    "store": {},
    "sleep": "deep",
    "led": 2,
    "ntp": ["time.example"],
    "update": {"url": "http://host/board", "key": "abc"},
    "health_s": 0,
}
_NOTHING = dict.fromkeys(("ca_file", "led", "mqtt", "ntp", "sleep", "store", "update"))
_GIVEN = {
    "good": (
        changed(),
        {**_GOOD, **_NOTHING, "wifi": [{**_NETWORK, "password": "very-secret"}]},
    ),
    "small": (changed(wifi=_ABSENT), {**_GOOD, **_NOTHING, "wifi": []}),
    "everything": (
        changed(**_ALL),
        {
            **_GOOD,
            **_ALL,
            "ca_file": None,
            "wifi": [
                _NETWORK,
                {**_NETWORK, "ssid": "shed", "static": list(_STATIC.values())},
            ],
            "mqtt": {"user": "me", "password": "", "prefix": "indcloud"},
            "store": {"kb": 64, "every": 10, "every_s": 60},
            "update": {"url": "http://host/board", "key": "abc", "every_s": 86400},
        },
    ),
    "mqtt without more": (
        changed(url="mqtt://host"),
        {
            **_GOOD,
            **_NOTHING,
            "url": "mqtt://host",
            "wifi": [{**_NETWORK, "password": "very-secret"}],
            "mqtt": {"user": "", "password": "", "prefix": "indcloud"},
        },
    ),
}
_DEFAULTS = {
    "interval_s": 60,
    "timeout_s": 20,
    "watchdog_s": 8,
    "health_s": 3600,
}
_BME280 = {"type": "bme280", "name": "", "sda": 21, "scl": 22, "address": None}

_LOAD = """
from sensorvision.protocol import ValidationError
from sensorvision.settings import load
outcomes = []
for text in texts:
    with open("/settings.json", "w") as file:
        file.write(text)
    try:
        outcomes.append(load("/settings.json"))
    except ValidationError as err:
        outcomes.append(str(err))
say(outcomes)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what MicroPython makes of each row."""
    texts = {name: row[0] for name, row in (*_REFUSED.items(), *_GIVEN.items())}
    said = asyncio.run(
        run_program(
            tmp_path_factory.mktemp("settings"), _LOAD, texts=list(texts.values())
        )
    )
    return dict(zip(texts, said, strict=True))


@pytest.mark.parametrize("name", _REFUSED)
def test_board_names_the_key_and_the_remedy(
    outcomes: dict[str, Any], name: str
) -> None:
    assert outcomes[name] == _REFUSED[name][1]


# CPython's parser reads on behind a mistake; the host's commands tell the line themselves.
@pytest.mark.parametrize("name", sorted(_REFUSED.keys() - {"word without quotes"}))
def test_host_says_the_same(tmp_path: Path, name: str) -> None:
    text, message = _REFUSED[name]
    file = tmp_path / "settings.json"
    file.write_text(text, encoding="utf-8")
    settings = device_module("settings")
    with pytest.raises(settings.ValidationError) as caught:
        settings.load(str(file))
    assert str(caught.value).replace(str(file), "/settings.json") == message


@pytest.mark.parametrize("name", _REFUSED)
def test_no_message_holds_a_secret(outcomes: dict[str, Any], name: str) -> None:
    for secret in (TOKEN, "secret", "12345"):
        assert secret not in outcomes[name]


@pytest.mark.parametrize("name", _GIVEN)
def test_good_settings_are_completed_with_defaults(
    outcomes: dict[str, Any], name: str
) -> None:
    assert outcomes[name] == {**_DEFAULTS, **_GIVEN[name][1], "sensors": [_BME280]}


def test_missing_file_is_named() -> None:
    settings = device_module("settings")
    with pytest.raises(
        settings.ValidationError, match=r"'/nowhere\.json' is missing\. Flash it"
    ):
        settings.load("/nowhere.json")


def test_example_file_is_good() -> None:
    example = Path(device_module("settings").__file__ or "").parent.parent
    settings = device_module("settings")
    loaded = settings.load(str(example / "settings.example.json"))
    assert [sensor["type"] for sensor in loaded["sensors"]] == ["bme280", "dht22"]
