"""Settings come from arguments, else the environment, else a file, each by itself."""

from pathlib import Path
import ssl
import traceback
from typing import Any

import pytest
import trustme

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    Config,
    ConfigError,
    Secret,
    load_config,
)
from custom_components.sensorvision.client.config import SETTINGS
from sandbox import Sandbox, Settings

from .servers import TOKEN, server_context

URL = "https://sensors.example.org"
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in an empty folder, as a user who has configured nothing."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def _told(err: ConfigError) -> str:
    """Return all that a log or a debugger would show of an error and its causes."""
    links: list[BaseException] = []
    link: BaseException | None = err
    while link is not None:
        links.append(link)
        link = link.__context__
    shown = [repr((link, vars(link))) for link in links]
    return "\n".join([*shown, *traceback.format_exception(err)])


def test_nothing_is_needed() -> None:
    assert load_config(environ={}) == Config()


def test_each_setting_comes_from_where_it_is_nearest(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "mine.toml",
        'url = "http://file"\ndevice_id = "file"\nretries = 1\nmqtt_port = 1884\n',
    )
    environ = {
        "SENSORVISION_URL": "http://environment",
        "SENSORVISION_DEVICE_ID": "environment",
        "SENSORVISION_RETRIES": "2",
    }
    config = load_config(file, environ=environ, url="http://argument", retries=None)
    assert config.url == "http://argument"
    assert config.device_id == "environment"
    assert config.retries == 2
    assert config.mqtt_port == 1884
    assert config.origins == {
        "url": "an argument",
        "device_id": "the variable SENSORVISION_DEVICE_ID",
        "retries": "the variable SENSORVISION_RETRIES",
        "mqtt_port": f"the file {file}",
    }


WHOLE: dict[str, Any] = {
    "url": URL,
    "fallback_urls": ("https://second.example.org", "https://third.example.org"),
    "username": "alice",
    "password": Secret(PASSWORD),
    "device_id": "greenhouse",
    "verify_tls": False,
    "timeout_s": 2.5,
    "retries": 5,
    "rate_limit": 0.0,
    "mqtt_host": "broker.example.org",
    "mqtt_port": 8883,
    "mqtt_username": "bob",
    "mqtt_password": Secret("hunter2"),
    "mqtt_tls": True,
    "mqtt_prefix": "sensorvision",
    "outbox": Path("/var/lib/readings.db"),
}


def test_file_can_hold_every_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    file = _write(
        tmp_path / "sensorvision.toml",
        f"""
        url = "{URL}/"
        fallback_urls = ["https://second.example.org", "https://third.example.org"]
        username = "alice"
        password = "{PASSWORD}"
        device_id = "greenhouse"
        verify_tls = false
        ca_file = "ca.pem"
        timeout_s = 2.5
        retries = 5
        rate_limit = 0
        mqtt_host = "broker.example.org"
        mqtt_port = 8883
        mqtt_username = "bob"
        mqtt_password = "hunter2"
        mqtt_tls = true
        mqtt_prefix = "sensorvision"
        outbox = "/var/lib/readings.db"
        """,
    )
    expected = Config(**WHOLE, ca_file=tmp_path / "ca.pem")
    assert load_config(file, environ={}) == expected


def test_environment_can_hold_every_setting(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    texts = {
        **{name: str(value) for name, value in WHOLE.items()},
        "fallback_urls": "https://second.example.org, https://third.example.org/",
        "password": PASSWORD,
        "mqtt_password": "hunter2",
        "ca_file": str(ca_file),
    }
    environ = {f"SENSORVISION_{name.upper()}": text for name, text in texts.items()}
    assert load_config(environ=environ) == Config(**WHOLE, ca_file=ca_file)
    assert set(SETTINGS) - set(texts) == {"api_key", "user_key"}


def test_environment_is_the_processs_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENSORVISION_DEVICE_ID", "boiler")
    assert load_config().device_id == "boiler"
    assert load_config(environ={}).device_id is None


def test_empty_variable_counts_for_nothing() -> None:
    """Compose files pass on those that nobody has set."""
    assert load_config(environ={"SENSORVISION_API_KEY": ""}).api_key is None


@pytest.mark.parametrize(
    "place",
    [
        "here/sensorvision.toml",
        "home/.config/sensorvision/sensorvision.toml",
        "xdg/sensorvision/sensorvision.toml",
        "named.toml",
    ],
)
def test_file_is_found_where_it_usually_is(tmp_path: Path, place: str) -> None:
    _write(tmp_path / place, 'device_id = "found"')
    environ = {}
    if place.startswith("xdg"):
        environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    if place.startswith("named"):
        environ["SENSORVISION_CONFIG"] = str(tmp_path / "named.toml")
    assert load_config(environ=environ).device_id == "found"


def test_file_of_the_folder_comes_before_that_of_the_user(tmp_path: Path) -> None:
    _write(tmp_path / "here/sensorvision.toml", 'device_id = "here"')
    _write(
        tmp_path / "home/.config/sensorvision/sensorvision.toml", 'device_id = "home"'
    )
    assert load_config(environ={}).device_id == "here"


def test_paths_of_a_file_begin_at_its_folder(tmp_path: Path) -> None:
    """It may be read from any other."""
    file = _write(tmp_path / "etc/mine.toml", 'outbox = "readings.db"')
    assert load_config(file, environ={}).outbox == tmp_path / "etc/readings.db"


def test_paths_of_a_file_stay_where_they_are_when_the_folder_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be named by a part of its path, or be that of the folder."""
    _write(tmp_path / "here/sensorvision.toml", 'outbox = "readings.db"')
    by_usage = load_config(environ={})
    by_name = load_config("sensorvision.toml", environ={})
    monkeypatch.chdir(tmp_path)
    assert by_usage.outbox == by_name.outbox == tmp_path / "here/readings.db"


def test_tilde_is_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = _write(tmp_path / "etc/mine.toml", 'outbox = "~/readings.db"')
    assert load_config(file, environ={}).outbox == tmp_path / "home/readings.db"
    environ = {"SENSORVISION_OUTBOX": "~/other.db"}
    assert load_config(environ=environ).outbox == tmp_path / "home/other.db"


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON"])
def test_yes_is_said_in_many_ways(text: str) -> None:
    assert load_config(environ={"SENSORVISION_MQTT_TLS": text}).mqtt_tls is True


@pytest.mark.parametrize("text", ["0", "False", "no", "off"])
def test_no_is_said_in_many_ways(text: str) -> None:
    assert load_config(environ={"SENSORVISION_VERIFY_TLS": text}).verify_tls is False


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("fallback_urls", "ftp://x", "fallback_urls '***' from the variable"),
        ("device_id", "a/b", "device_id 'a/b' from the variable"),
        ("verify_tls", "perhaps", "is neither yes nor no. Give true or false"),
        ("ca_file", "none.pem", "is no file. Check the path"),
        ("timeout_s", "0", "is not a time. Give seconds"),
        ("timeout_s", "inf", "is not a time"),
        ("retries", "1.5", "retries '1.5' from the variable SENSORVISION_RETRIES"),
        ("retries", "-1", "is not a number of times"),
        ("rate_limit", "nan", "is not a rate. Give requests a second, or 0"),
        ("mqtt_port", "0", "is not a port. Give a number from 1 to 65535"),
        ("mqtt_port", "mqtt", "mqtt_port 'mqtt' from the variable"),
        ("mqtt_host", "mqtt://u:pw@h", "mqtt_host '***' from the variable"),
        ("mqtt_prefix", "home", "Choose one of indcloud, sensorvision"),
    ],
)
def test_unfit_setting_is_told_with_origin_and_remedy(
    name: str, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(environ={f"SENSORVISION_{name.upper()}": text})
    assert told in str(caught.value)
    assert caught.value.field == name
    assert caught.value.origin == f"the variable SENSORVISION_{name.upper()}"


@pytest.mark.parametrize(
    "line",
    [
        "url = 5",
        "fallback_urls = 5",
        "fallback_urls = [5]",
        "username = 5",
        'mqtt_username = " "',
        "password = 5",
        "device_id = 5",
        "verify_tls = 5",
        "timeout_s = true",
        "retries = [1]",
        "mqtt_host = 5",
        "outbox = 5",
    ],
)
def test_value_of_another_type_is_refused_with_key_and_file(
    tmp_path: Path, line: str
) -> None:
    file = _write(tmp_path / "mine.toml", line)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert caught.value.field == line.partition(" ")[0]
    assert caught.value.origin == f"the file {file}"


def test_url_with_a_password_is_not_repeated() -> None:
    environ = {"SENSORVISION_URL": f"https://alice:{PASSWORD}@sensors.example.org"}
    with pytest.raises(ConfigError, match=r"Write it like https://") as caught:
        load_config(environ=environ)
    assert PASSWORD not in _told(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [("api_ky", "Did you mean api_key?"), ("colour", "Known are url, fallback_urls")],
)
def test_unknown_key_is_told_with_the_nearest(
    tmp_path: Path, name: str, told: str
) -> None:
    file = _write(tmp_path / "mine.toml", f'{name} = "{PASSWORD}"')
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert told in str(caught.value)
    assert caught.value.origin == str(file)
    assert PASSWORD not in _told(caught.value)


def test_unknown_argument_is_told_too() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean timeout_s\?"):
        load_config(environ={}, timeout=5)


def test_named_file_must_be_there(tmp_path: Path) -> None:
    name = str(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="an argument is not there"):
        load_config(name, environ={})
    with pytest.raises(ConfigError, match="the variable SENSORVISION_CONFIG is not"):
        load_config(environ={"SENSORVISION_CONFIG": name})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f'password = "{PASSWORD}"\nurl = \n'.encode(), "is no TOML: .*line 2"),
        (f'password = "{PASSWORD}\xff"'.encode("latin-1"), "is not in UTF-8"),
    ],
)
def test_file_that_is_no_toml_is_told_without_its_secrets(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(file, environ={})
    assert PASSWORD not in _told(caught.value)


def test_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    """Who runs the tests may be root, who may read everything but a file of memory."""
    with pytest.raises(ConfigError, match="can't be read: "):
        load_config("/proc/self/mem", environ={})


def test_file_with_secrets_that_others_can_read_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = _write(tmp_path / "mine.toml", f'password = "{PASSWORD}"\nusername = "a"')
    load_config(file, environ={})
    assert not caplog.records
    file.chmod(0o644)
    load_config(file, environ={})
    load_config(file, environ={})
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} holds secrets and can be read by others. Run: chmod 600 {file}"
    ]


def test_file_without_secrets_may_be_read_by_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = _write(tmp_path / "mine.toml", f'url = "{URL}"')
    file.chmod(0o644)
    load_config(file, environ={})
    assert not caplog.records


def test_nearer_credential_hides_one_of_another_kind(tmp_path: Path) -> None:
    """Who sets a key for once need not unset what the file has."""
    file = _write(tmp_path / "mine.toml", 'username = "alice"\npassword = "secret"')
    config = load_config(file, environ={"SENSORVISION_API_KEY": TOKEN})
    assert config.credential() == {"api_key": TOKEN}


def test_password_may_come_from_elsewhere_than_the_user_name(tmp_path: Path) -> None:
    file = _write(tmp_path / "mine.toml", 'username = "alice"')
    config = load_config(file, environ={"SENSORVISION_PASSWORD": PASSWORD})
    assert config.credential() == {"username": "alice", "password": PASSWORD}


def test_two_credentials_of_one_place_are_refused() -> None:
    environ = {
        "SENSORVISION_API_KEY": TOKEN,
        "SENSORVISION_USERNAME": "alice",
        "SENSORVISION_PASSWORD": PASSWORD,
    }
    with pytest.raises(ConfigError, match=r"api_key from the variable .*Keep one"):
        load_config(environ=environ)
    with pytest.raises(ConfigError, match="user_key from an argument"):
        Config(api_key=Secret(TOKEN), user_key=Secret(TOKEN))


def test_what_is_missing_is_told_with_where_to_set_it() -> None:
    with pytest.raises(ConfigError, match=r"url is missing. Set SENSORVISION_URL"):
        Config().require("url")
    assert Config(url=URL).require("url") == URL
    with pytest.raises(ConfigError, match="Set SENSORVISION_API_KEY to a device token"):
        Config().credential()


def test_no_secret_is_in_its_repr() -> None:
    environ = {
        "SENSORVISION_USERNAME": "alice",
        "SENSORVISION_PASSWORD": PASSWORD,
        "SENSORVISION_MQTT_PASSWORD": "hunter2",
    }
    shown = repr(load_config(environ=environ))
    assert "alice" in shown
    assert PASSWORD not in shown
    assert "hunter2" not in shown


def test_secret_that_is_given_as_a_text_becomes_one() -> None:
    config = Config(api_key=TOKEN)  # type: ignore[arg-type]
    assert TOKEN not in repr(config)
    assert config.credential() == {"api_key": TOKEN}


async def test_its_own_authority_is_trusted_and_no_other(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    settings = Settings(fixtures="contract", ssl_context=server_context(authority))
    async with Sandbox(settings) as sandbox:
        config = load_config(
            environ={}, url=sandbox.url, api_key=TOKEN, ca_file=ca_file
        )
        async with AsyncSensorVisionClient(
            config.require("url"), **config.credential(), ssl=config.ssl_context()
        ) as client:
            await client.send_data("dev-a", {"a": 1})
        assert len(sandbox.store.values("dev-a")) == 1


def test_certificates_are_verified_unless_that_is_turned_off() -> None:
    assert Config().ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert Config().ssl_context().check_hostname
    careless = Config(verify_tls=False).ssl_context()
    assert careless.verify_mode is ssl.CERT_NONE
    assert not careless.check_hostname


def test_file_without_an_authority_is_told(tmp_path: Path) -> None:
    ca_file = _write(tmp_path / "ca.pem", "nothing")
    config = load_config(environ={}, ca_file=ca_file)
    with pytest.raises(ConfigError, match=r"holds no certificate. Give a file in PEM"):
        config.ssl_context()
