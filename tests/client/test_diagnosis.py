"""The doctor finds what is wrong on a reading's way, says what to do, and tells no secret."""

import datetime as dt
from email.utils import formatdate
from pathlib import Path
import socket
import ssl
import sys
import time
from typing import Any

import pytest
import trustme

from custom_components.sensorvision.client import (
    Config,
    Finding,
    Secret,
    build_info,
    diagnose,
    load_config,
)
from sandbox import Mode, Sandbox, Settings
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD
from tests.brokers import PASSWORD, Mosquitto, free_port

from .servers import TOKEN, http_answer, scripted, server_context, silence

SERVER_CHECKS = ["server", "clock", "credential", "age", "capabilities"]


async def found(config: Config) -> dict[str, Finding]:
    """Return what each check found, by its name."""
    findings = await diagnose(config)
    by_name = {finding.check: finding for finding in findings}
    assert len(by_name) == len(findings)
    return by_name


def config_of(sandbox: Sandbox, **settings: object) -> Config:
    """Return settings for a server of this machine."""
    given: dict[str, Any] = {"url": sandbox.url, **settings}
    return load_config(environ={}, **given)


def failed(findings: dict[str, Finding]) -> list[str]:
    """Return the names of the checks that failed; each tells what to do."""
    assert all(one.remedy for one in findings.values() if one.is_ok is False)
    return [name for name, one in findings.items() if one.is_ok is False]


def untried(findings: dict[str, Finding]) -> list[str]:
    """Return the names of the checks that another one was needed for."""
    return [name for name, one in findings.items() if one.text.startswith("Not tried")]


async def test_all_is_well_with_a_device_token(sandbox: Sandbox) -> None:
    findings = await found(config_of(sandbox, api_key=TOKEN, device_id="dev-a"))
    assert list(findings) == [
        "build",
        "settings",
        "url",
        "dns",
        "connection",
        "tls",
        *SERVER_CHECKS,
        "broker",
    ]
    assert failed(findings) == untried(findings) == []
    assert build_info().version in findings["build"].text
    assert findings["settings"].text == "url, api_key, device_id from an argument"
    assert findings["dns"].text == "127.0.0.1 is 127.0.0.1"
    assert findings["server"].text == (
        "It is a SensorVision server of 2025-12-28 or later"
    )
    assert findings["credential"].text == (
        "The server takes a device token for the device dev-a"
    )
    assert findings["capabilities"].text == "With a device token you can send"
    assert findings["tls"].is_ok is findings["broker"].is_ok is None
    assert sandbox.store.values("dev-a") == []


@pytest.mark.parametrize(
    ("credential", "kind", "can"),
    [
        ({"user_key": ALICE_KEY}, "a user key", "make devices"),
        (
            {"username": "alice", "password": ALICE_PASSWORD},
            "user name and password",
            "make devices, read values, name variables",
        ),
    ],
)
async def test_credential_of_a_user_can_do_more(
    sandbox: Sandbox, credential: dict[str, str], kind: str, can: str
) -> None:
    findings = await found(config_of(sandbox, **credential))
    assert failed(findings) == []
    assert findings["credential"].text == f"The server takes {kind}"
    assert findings["capabilities"].text == (
        f"With {kind} you can send, send times, send many readings at once, {can}"
    )
    assert sandbox.store.device("sensorvision-doctor") is None


async def test_nothing_is_tried_without_a_url() -> None:
    findings = await found(Config())
    assert failed(findings) == ["url"]
    assert untried(findings) == ["dns", "connection", "tls", *SERVER_CHECKS]
    assert findings["settings"].is_ok is None
    assert "SENSORVISION_URL" in findings["url"].remedy


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".invalid"])
async def test_host_that_does_not_exist_is_told(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server is asked by tests, so this says what one would."""

    def unknown(host: str, *_args: object, **_kwargs: object) -> None:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    findings = await found(Config(url=f"http://{host}"))
    assert failed(findings) == ["dns"]
    assert untried(findings) == ["connection", "tls", *SERVER_CHECKS]
    assert findings["dns"].text == f"There is no host named {host}"
    assert findings["server"].text == "Not tried, for dns failed"


async def test_port_where_nobody_listens_is_told() -> None:
    findings = await found(Config(url=f"http://127.0.0.1:{free_port()}"))
    assert failed(findings) == ["connection"]
    assert "Check the port" in findings["connection"].remedy


async def test_port_that_swallows_connections_is_not_waited_for() -> None:
    """As a firewall does; here a queue of connections that nobody takes is full."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        first.connect(("127.0.0.1", port))
        findings = await found(Config(url=f"http://127.0.0.1:{port}", timeout_s=0.2))
    assert failed(findings) == ["connection"]
    assert findings["connection"].text.endswith("did not answer in 0.2 seconds")


async def test_server_that_is_silent_is_not_waited_for() -> None:
    async with scripted(silence) as server:
        findings = await found(Config(url=server.url, timeout_s=0.2))
    assert failed(findings) == ["server"]
    assert findings["server"].text == "127.0.0.1 did not answer in time"


async def test_tls_that_does_not_begin_is_not_waited_for() -> None:
    """The listener takes connections, and never says a word."""
    async with scripted(silence) as server:
        url = server.url.replace("http:", "https:")
        findings = await found(Config(url=url, timeout_s=0.2))
    assert failed(findings) == ["tls"]
    assert untried(findings) == SERVER_CHECKS


async def test_server_without_tls_is_told(sandbox: Sandbox) -> None:
    url = sandbox.url.replace("http:", "https:")
    findings = await found(config_of(sandbox, url=url))
    assert failed(findings) == ["tls"]
    assert "does not speak TLS" in findings["tls"].text


async def test_certificate_that_is_not_trusted_is_told_with_the_reason() -> None:
    settings = Settings(fixtures="contract", ssl_context=server_context(trustme.CA()))
    async with Sandbox(settings) as sandbox:
        findings = await found(config_of(sandbox, api_key=TOKEN))
        assert failed(findings) == ["tls"]
        assert "127.0.0.1 is not trusted: " in findings["tls"].text
        assert "ca_file" in findings["tls"].remedy
        careless = await found(config_of(sandbox, api_key=TOKEN, verify_tls=False))
    assert failed(careless) == []
    assert careless["tls"].is_ok is None
    assert "anybody could pose" in careless["tls"].text
    assert "certificate" not in careless


def _ending(authority: trustme.CA, days: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(days=days, hours=1)
    authority.issue_cert("127.0.0.1", not_after=moment).configure_cert(context)
    return context


@pytest.mark.parametrize(("days", "is_ok"), [(90, True), (3, False)])
async def test_certificate_that_ends_soon_is_told_and_stops_nothing(
    tmp_path: Path, days: int, is_ok: bool
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = Settings(fixtures="contract", ssl_context=_ending(authority, days))
    async with Sandbox(settings) as sandbox:
        findings = await found(
            config_of(sandbox, api_key=TOKEN, ca_file=tmp_path / "ca.pem")
        )
    assert findings["tls"].text == "The certificate of 127.0.0.1 is trusted"
    assert findings["certificate"].text == f"The certificate ends in {days} days"
    assert findings["certificate"].is_ok is is_ok
    assert findings["capabilities"].is_ok


async def test_certificate_that_has_ended_is_told(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = Settings(fixtures="contract", ssl_context=_ending(authority, -2))
    async with Sandbox(settings) as sandbox:
        findings = await found(config_of(sandbox, ca_file=tmp_path / "ca.pem"))
    assert "certificate has expired" in findings["tls"].text


async def test_file_without_an_authority_is_told(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    findings = await found(
        config_of(
            sandbox,
            ca_file=tmp_path / "ca.pem",
            mqtt_host="127.0.0.1",
            mqtt_tls=True,
        )
    )
    assert failed(findings) == ["tls", "broker_tls"]
    assert "PEM" in findings["tls"].remedy


async def test_another_server_is_told(sandbox: Sandbox) -> None:
    sandbox.faults.set("html_200")
    findings = await found(config_of(sandbox, api_key=TOKEN))
    assert failed(findings) == ["server"]
    assert untried(findings) == SERVER_CHECKS[1:]
    assert findings["server"].remedy == "Check host, port and path of the URL"


@pytest.mark.parametrize(("ahead_s", "way"), [(63, "behind"), (-63, "ahead of")])
async def test_clock_that_is_wrong_is_told(ahead_s: int, way: str) -> None:
    date = formatdate(time.time() + ahead_s, usegmt=True)
    async with scripted(http_answer(200, b"{}", Date=date)) as server:
        findings = await found(Config(url=server.url))
    assert findings["clock"].is_ok is False
    assert f" s {way} the server's" in findings["clock"].text
    assert "NTP" in findings["clock"].remedy


async def test_clock_of_a_server_that_tells_no_time_is_not_judged() -> None:
    async with scripted(http_answer(200, b"{}")) as server:
        findings = await found(Config(url=server.url))
    assert findings["clock"].is_ok is None


async def test_credential_that_is_missing_is_told(sandbox: Sandbox) -> None:
    findings = await found(config_of(sandbox))
    assert failed(findings) == ["credential"]
    assert untried(findings) == ["age", "capabilities"]
    assert "SENSORVISION_API_KEY" in findings["credential"].remedy


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"api_key": TOKEN.replace("1", "3")}, "Invalid API key"),
        ({"api_key": "not-a-token-but-secret"}, "is not a UUID"),
        ({"username": "alice"}, "is missing"),
        ({"username": "alice", "password": "wrong"}, "refused this user name"),
        ({"api_key": TOKEN, "device_id": "dev-b"}, "different organization"),
    ],
)
async def test_credential_that_is_refused_is_told(
    sandbox: Sandbox, settings: dict[str, str], told: str
) -> None:
    findings = await found(config_of(sandbox, **settings))
    assert failed(findings) == ["credential"]
    assert told in findings["credential"].text


async def test_refusal_says_which_request_the_servers_log_is_of(
    sandbox: Sandbox,
) -> None:
    findings = await found(config_of(sandbox, api_key=TOKEN.replace("1", "3")))
    assert "; the server's log names the request " in findings["credential"].text


@pytest.mark.parametrize(
    ("modes", "settings", "told"),
    [
        ({Mode.BEFORE_2025_12_06}, {"user_key": ALICE_KEY}, "6 December 2025"),
        ({Mode.BEFORE_2026_01_18}, {"api_key": TOKEN}, "18 January 2026"),
    ],
)
async def test_server_that_loses_readings_for_its_age_is_told(
    modes: set[Mode], settings: dict[str, str], told: str
) -> None:
    async with Sandbox(
        Settings(fixtures="contract", modes=frozenset(modes))
    ) as sandbox:
        findings = await found(config_of(sandbox, **settings))
    assert failed(findings) == ["age"]
    assert told in findings["age"].text


async def test_each_further_address_is_tried(sandbox: Sandbox) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    config = config_of(sandbox, api_key=TOKEN, fallback_urls=[sandbox.url, nobody])
    findings = [one for one in await diagnose(config) if one.check == "fallback_url"]
    assert [one.is_ok for one in findings] == [True, False]
    assert findings[0].text == f"A SensorVision server is at {sandbox.url}"


def _at(broker: Mosquitto, **settings: object) -> dict[str, Any]:
    return {"mqtt_host": "127.0.0.1", "mqtt_port": broker.port, **settings}


async def test_broker_is_tried_by_a_login(sandbox: Sandbox, guarded: Mosquitto) -> None:
    login = {"mqtt_username": "ha", "mqtt_password": PASSWORD}
    findings = await found(config_of(sandbox, api_key=TOKEN, **_at(guarded, **login)))
    assert failed(findings) == []
    assert findings["broker_login"].text == "The broker lets in ha"
    assert findings["broker_prefix"].text == (
        "The server reads topics that begin with indcloud/"
    )


async def test_login_that_the_broker_refuses_is_told(
    sandbox: Sandbox, guarded: Mosquitto
) -> None:
    findings = await found(config_of(sandbox, api_key=TOKEN, **_at(guarded)))
    assert failed(findings) == ["broker_login"]
    assert findings["broker_login"].remedy == (
        "Check user name and password of the broker"
    )


async def test_prefix_that_the_server_does_not_read_is_told(
    sandbox: Sandbox, guarded: Mosquitto
) -> None:
    """It would acknowledge nothing, and say nothing."""
    settings = _at(
        guarded,
        mqtt_username="ha",
        mqtt_password=PASSWORD,
        mqtt_prefix="sensorvision",
    )
    findings = await found(config_of(sandbox, api_key=TOKEN, **settings))
    assert failed(findings) == ["broker_prefix"]
    assert findings["broker_prefix"].remedy == "Set mqtt_prefix to indcloud"


async def test_broker_is_tried_without_a_server(guarded: Mosquitto) -> None:
    config = load_config(environ={}, **_at(guarded, mqtt_username="ha"))
    findings = await found(config)
    assert failed(findings) == ["url", "broker_login"]
    assert findings["broker_prefix"].is_ok is None
    assert "was not reached" in findings["broker_prefix"].text


async def test_prefix_that_the_server_does_not_tell_is_asked_for(
    guarded: Mosquitto,
) -> None:
    """Its metrics may be shut off."""
    async with scripted(http_answer(200, b"{}")) as server:
        config = load_config(environ={}, url=server.url, **_at(guarded))
        findings = await found(config)
    assert findings["broker_prefix"].is_ok is None
    assert "28 December 2025" in findings["broker_prefix"].remedy


async def test_broker_that_is_not_there_is_told() -> None:
    config = Config(mqtt_host="127.0.0.1", mqtt_port=free_port())
    findings = await found(config)
    assert failed(findings) == ["url", "broker_connection"]
    assert findings["broker_login"].text == "Not tried, for broker_connection failed"


async def test_broker_with_tls_is_trusted_by_its_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    lines = (
        "allow_anonymous true",
        f"certfile {tmp_path / 'server.pem'}",
        f"keyfile {tmp_path / 'server.key'}",
    )
    broker = Mosquitto(tmp_path, lines)
    await broker.start()
    settings = _at(broker, mqtt_tls=True, ca_file=tmp_path / "ca.pem")
    findings = await found(load_config(environ={}, **settings))
    await broker.stop()
    assert findings["broker_tls"].is_ok
    assert findings["broker_certificate"].is_ok
    assert findings["broker_login"].text == "The broker lets in everybody"


async def test_library_for_mqtt_that_is_missing_is_told(
    guarded: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who installs the client without it gets every other check."""
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    # Those that have it already would hide that it is gone.
    for name in list(sys.modules):
        if name.startswith("custom_components.sensorvision.client.mqtt"):
            monkeypatch.delitem(sys.modules, name)
    findings = await found(load_config(environ={}, **_at(guarded)))
    assert findings["broker_login"].is_ok is None
    assert findings["broker_login"].remedy == 'Run: pip install "sensorvision[mqtt]"'


async def test_no_finding_holds_a_secret() -> None:
    """Even where a server repeats what it was sent."""
    body = b'{"success":false,"message":"No user has %s"}' % PASSWORD.encode()
    async with scripted(http_answer(400, body)) as server:
        config = load_config(
            environ={}, url=server.url, username="alice", password=PASSWORD
        )
        findings = await diagnose(config)
    assert any(b"login" in request for request in server.requests)
    assert PASSWORD not in repr(findings)
    assert Secret(PASSWORD) == config.password
