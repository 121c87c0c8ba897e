"""Connecting a broker: what is wrong is said beside its field, and can be mended."""

import asyncio
from dataclasses import replace
from pathlib import Path
import socket
import tempfile
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.const import (
    CONF_HOST,
    CONF_NAME,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import trustme

from custom_components.sensorvision.client import Timeouts
from custom_components.sensorvision.const import (
    CONF_AUTHORITY,
    CONF_CLIENT_CERTIFICATE,
    CONF_CLIENT_KEY,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
    SUBENTRY_TYPE_BROKER,
)
from sandbox import Mode, Sandbox, Settings

from .brokers import (
    BROKER_ID,
    BROKER_LOGIN,
    HOST,
    Mosquitto,
    broker,
    free_port,
    mirror_over,
    password_listener,
    settings_of,
)
from .conftest import ALICE, SETTINGS, SetUp
from .house import until
from .test_mirror_flow import suggested

_NAMED = {CONF_NAME: "Mosquitto"}


@pytest.fixture
def modes() -> frozenset[Mode]:
    """Return what is old about the server."""
    return frozenset()


@pytest.fixture
def settings(mosquitto: Mosquitto, modes: frozenset[Mode]) -> Settings:
    """Return how a server is made that listens to a broker."""
    return replace(SETTINGS, broker=mosquitto.url, modes=modes)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names have no address, as where there is a network; the plugin has none."""
    look_up = socket.getaddrinfo

    def get(host: str, *args: object, **kwargs: object) -> object:
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", get)


def _pem_files() -> set[Path]:
    """Return what lies where keys are for a moment."""
    return set(Path(tempfile.gettempdir()).glob("*.pem"))


class Certificates:
    """An authority with what it has signed, for a broker and for who connects to it."""

    def __init__(self, folder: Path) -> None:
        """Write down what a broker reads from files."""
        authority = trustme.CA()
        server = authority.issue_cert(HOST)
        client = authority.issue_cert("house@example.org", common_name="house")
        self.authority = authority.cert_pem.bytes().decode()
        self.certificate = client.cert_chain_pems[0].bytes().decode()
        self.key = client.private_key_pem.bytes().decode()
        files = {
            "cafile": authority.cert_pem,
            "certfile": server.cert_chain_pems[0],
            "keyfile": server.private_key_pem,
        }
        self.listener = ["allow_anonymous true"]
        for name, blob in files.items():
            path = folder / f"{name}.pem"
            blob.write_to_path(str(path))
            self.listener.append(f"{name} {path}")

    @property
    def strict_listener(self) -> list[str]:
        """Return what a listener is told that wants a certificate of its clients."""
        return [*self.listener, "require_certificate true"]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Return certificates that are new."""
    return Certificates(tmp_path)


async def _open(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_BROKER), context={"source": SOURCE_USER}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    return form


async def _enter(
    hass: HomeAssistant, form: SubentryFlowResult, entered: dict[str, Any]
) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_configure(
        form["flow_id"], entered
    )


async def test_broker_is_tried_and_saved_and_can_be_delivered_over(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(mirror_over(entity_id=["sensor.tank"]), **ALICE)
    form = await _open(hass, entry)
    created = await _enter(
        hass, form, _NAMED | settings_of(mosquitto.port) | {CONF_HOST: f" {HOST} "}
    )
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["title"] == "Mosquitto"
    assert created["data"] == settings_of(mosquitto.port)
    await hass.async_block_till_done()
    [route] = entry.runtime_data.ways.brokers.routes.values()
    await until(lambda: route.status.is_connected)


@pytest.mark.parametrize(
    ("modes", "prefix"),
    [
        (frozenset(), "indcloud"),
        (frozenset({Mode.BEFORE_2025_12_06}), "sensorvision"),
    ],
)
async def test_topics_aresuggested_as_the_server_tells_them(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, prefix: str
) -> None:
    entry = await set_up()
    form = await _open(hass, entry)
    assert suggested(form["data_schema"])[CONF_TOPIC_PREFIX] == prefix


@pytest.mark.parametrize("fault", ["reset", "html_200"])
async def test_form_opens_without_the_server(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, fault: str
) -> None:
    """Nothing is suggested then."""
    sandbox.faults.set(fault)
    entry = await set_up()
    form = await _open(hass, entry)
    assert CONF_TOPIC_PREFIX not in suggested(form["data_schema"])


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({CONF_HOST: "mqtt://127.0.0.1"}, {CONF_HOST: "invalid_host"}),
        ({CONF_HOST: " "}, {CONF_HOST: "invalid_host"}),
        ({CONF_HOST: "nowhere.invalid", CONF_TLS: True}, {CONF_HOST: "host_not_found"}),
        ({CONF_PORT: free_port()}, {CONF_HOST: "cannot_connect"}),
        ({CONF_PASSWORD: "x"}, {CONF_USERNAME: "username_missing"}),
        ({CONF_CLIENT_CERTIFICATE: "x"}, {CONF_CLIENT_KEY: "client_key_missing"}),
        (
            {CONF_CLIENT_KEY: "x"},
            {CONF_CLIENT_CERTIFICATE: "client_certificate_missing"},
        ),
        (
            {CONF_TLS: True, CONF_AUTHORITY: "x"},
            {CONF_AUTHORITY: "invalid_certificate"},
        ),
        (
            {CONF_TLS: True, CONF_CLIENT_CERTIFICATE: "x", CONF_CLIENT_KEY: "x"},
            {CONF_CLIENT_CERTIFICATE: "invalid_certificate"},
        ),
    ],
)
@pytest.mark.usefixtures("dns")
async def test_wrong_field_is_named_and_can_be_corrected(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    wrong: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """No secret is shown again."""
    entry = await set_up()
    form = await _open(hass, entry)
    right = _NAMED | settings_of(mosquitto.port)
    form = await _enter(hass, form, right | wrong)
    assert form["errors"] == errors
    shown = suggested(form["data_schema"])
    assert not shown.keys() & {CONF_PASSWORD, CONF_CLIENT_KEY}
    created = await _enter(hass, form, right)
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_broker_that_says_nothing_is_given_up(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What answers there may be anything."""
    monkeypatch.setattr(
        "custom_components.sensorvision.broker_connection._TIMEOUTS",
        Timeouts(connect_s=0.2, read_s=0.2, total_s=0.2),
    )
    # Kept, or their connections would be closed.
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(
        lambda _, writer: callers.append(writer), HOST, 0
    )
    port = silent.sockets[0].getsockname()[1]
    entry = await set_up()
    form = await _open(hass, entry)
    form = await _enter(hass, form, _NAMED | settings_of(port))
    assert form["errors"] == {CONF_HOST: "timeout"}
    silent.close()
    silent.close_clients()
    await until(
        lambda: not [task for task in asyncio.all_tasks() if "leave" in repr(task)]
    )
    created = await _enter(hass, form, _NAMED | settings_of(mosquitto.port))
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_login_that_the_broker_refuses_can_be_corrected(
    hass: HomeAssistant, sandbox: Sandbox, tmp_path: Path, set_up: SetUp
) -> None:
    """Also where it wants one at all."""
    entry = await set_up()
    form = await _open(hass, entry)
    async with Mosquitto(tmp_path, password_listener(tmp_path)) as strict:
        given = _NAMED | settings_of(strict.port)
        for wrong in ({}, BROKER_LOGIN | {CONF_PASSWORD: "wrong"}):
            form = await _enter(hass, form, given | wrong)
            assert form["errors"] == {CONF_USERNAME: "refused"}
        created = await _enter(hass, form, given | BROKER_LOGIN)
        assert created["type"] is FlowResultType.CREATE_ENTRY
        assert created["data"] == settings_of(strict.port, **BROKER_LOGIN)
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_other_refusal_is_said_in_the_brokers_words(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Mosquitto has no reason for one, so that something else plays it."""

    async def refuse(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(100)
        # CONNACK: server unavailable.
        writer.write(b"\x20\x02\x00\x03")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    entry = await set_up()
    form = await _open(hass, entry)
    form = await _enter(hass, form, _NAMED | settings_of(port))
    assert form["errors"] == {CONF_HOST: "cannot_connect"}
    server.close()
    created = await _enter(hass, form, _NAMED | settings_of(mosquitto.port))
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_own_authority_is_trusted_and_no_other(
    hass: HomeAssistant,
    sandbox: Sandbox,
    tmp_path: Path,
    set_up: SetUp,
    certificates: Certificates,
) -> None:
    """Without it the certificate is not, unless that is switched off."""
    entry = await set_up()
    async with Mosquitto(tmp_path, certificates.listener) as encrypted:
        given = _NAMED | settings_of(encrypted.port, **{CONF_TLS: True})
        form = await _open(hass, entry)
        form = await _enter(hass, form, given)
        assert form["errors"] == {CONF_VERIFY_SSL: "certificate"}
        stranger = trustme.CA().cert_pem.bytes().decode()
        form = await _enter(hass, form, given | {CONF_AUTHORITY: stranger})
        assert form["errors"] == {CONF_VERIFY_SSL: "certificate"}
        created = await _enter(
            hass, form, given | {CONF_AUTHORITY: certificates.authority}
        )
        assert created["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        [route] = entry.runtime_data.ways.brokers.routes.values()
        await until(lambda: route.status.is_connected)
        form = await _open(hass, entry)
        created = await _enter(hass, form, given | {CONF_VERIFY_SSL: False})
        assert created["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(entry.entry_id)


def _locked(key: str) -> str:
    """Return a key that can't be read without a password."""
    private = load_pem_private_key(key.encode(), None)
    locked = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    return locked.decode()


async def test_client_certificate_opens_a_broker_that_wants_one(
    hass: HomeAssistant,
    sandbox: Sandbox,
    tmp_path: Path,
    set_up: SetUp,
    certificates: Certificates,
) -> None:
    """And its key must be the right one, and open."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(**ALICE)
    lying_about = await hass.async_add_executor_job(_pem_files)
    other_key = trustme.CA().issue_cert("x@y.z").private_key_pem.bytes().decode()
    async with Mosquitto(tmp_path, certificates.strict_listener) as strict:
        given = _NAMED | settings_of(
            strict.port, **{CONF_TLS: True, CONF_AUTHORITY: certificates.authority}
        )
        form = await _open(hass, entry)
        form = await _enter(hass, form, given)
        assert form["errors"]
        given |= {CONF_CLIENT_CERTIFICATE: certificates.certificate}
        for wrong in (other_key, _locked(certificates.key), certificates.certificate):
            form = await _enter(hass, form, given | {CONF_CLIENT_KEY: wrong})
            assert form["errors"] == {CONF_CLIENT_KEY: "invalid_client_key"}
        created = await _enter(hass, form, given | {CONF_CLIENT_KEY: certificates.key})
        assert created["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        [route] = entry.runtime_data.ways.brokers.routes.values()
        await until(lambda: route.status.is_connected)
        assert await hass.async_add_executor_job(_pem_files) <= lying_about
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("dns")
async def test_clear_text_to_a_strange_network_is_asked_about(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Before anything is sent; the other way leads back to the form."""
    entry = await set_up()
    form = await _open(hass, entry)
    given = _NAMED | settings_of(mosquitto.port)
    strange = {CONF_HOST: "broker.invalid"}
    menu = await _enter(hass, form, given | strange)
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "clear_text")
    assert menu["menu_options"] == ["user", "clear_text_accepted"]
    assert menu["description_placeholders"] == strange
    form = await _enter(hass, menu, {"next_step_id": "user"})
    assert suggested(form["data_schema"])[CONF_HOST] == "broker.invalid"
    menu = await _enter(hass, form, given | strange)
    form = await _enter(hass, menu, {"next_step_id": "clear_text_accepted"})
    assert form["errors"] == {CONF_HOST: "host_not_found"}
    form = await _enter(hass, form, given | strange)
    assert form["errors"] == {CONF_HOST: "host_not_found"}
    created = await _enter(hass, form, given)
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_broker_is_changed_and_keeps_the_secrets_that_are_left_empty(
    hass: HomeAssistant, sandbox: Sandbox, tmp_path: Path, set_up: SetUp
) -> None:
    """One goes with its user name; and what waits leaves by the changed broker."""
    async with Mosquitto(tmp_path, password_listener(tmp_path)) as strict:
        entry = await set_up(broker(strict.port, **BROKER_LOGIN))
        form = await entry.start_subentry_reconfigure_flow(hass, BROKER_ID)
        assert form["step_id"] == "reconfigure"
        shown = suggested(form["data_schema"])
        assert shown[CONF_NAME] == "Mosquitto"
        assert shown[CONF_USERNAME] == BROKER_LOGIN[CONF_USERNAME]
        assert CONF_PASSWORD not in shown
        given = {CONF_NAME: "Renamed"} | settings_of(strict.port)
        form = await _enter(hass, form, given)
        assert form["errors"] == {CONF_USERNAME: "refused"}
        menu = await _enter(
            hass, form, given | {CONF_HOST: "a.b", CONF_USERNAME: "house"}
        )
        assert menu["menu_options"] == ["reconfigure", "clear_text_accepted"]
        form = await _enter(hass, menu, {"next_step_id": "reconfigure"})
        assert suggested(form["data_schema"])[CONF_HOST] == "a.b"
        done = await _enter(hass, form, given | {CONF_USERNAME: "house"})
        assert (done["type"], done["reason"]) == (
            FlowResultType.ABORT,
            "reconfigure_successful",
        )
        subentry = entry.subentries[BROKER_ID]
        assert subentry.title == "Renamed"
        assert subentry.data == settings_of(strict.port, **BROKER_LOGIN)
        await hass.async_block_till_done()
        [route] = entry.runtime_data.ways.brokers.routes.values()
        await until(lambda: route.status.is_connected)
        assert await hass.config_entries.async_unload(entry.entry_id)
