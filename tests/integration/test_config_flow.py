"""Connecting a server: what a person enters, and what is wrong with it."""

from collections.abc import Callable
import logging
import socket
from typing import Any
from unittest.mock import ANY

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowResult,
    FlowType,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_NAME,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision import connection as connecting
from custom_components.sensorvision.client import (
    ACCOUNT,
    DEVICE_TOKEN,
    USER_KEY,
    Timeouts,
)
from custom_components.sensorvision.config_flow import _unique_id
from custom_components.sensorvision.const import (
    CONF_AUTHORITY,
    CONF_CREDENTIAL,
    CONF_PREFIX,
    CONF_TARGET,
    DOMAIN,
)
from custom_components.sensorvision.system_health import _info
from sandbox import Mode, Sandbox

from .conftest import (
    ALICE,
    ALICE_KEY,
    ALICE_PASSWORD,
    PREFIX,
    SETTINGS,
    TOKEN,
    account,
    connection,
)
from .house import House, choose, numbers, read_on, until
from .test_translations import CONFIG
from .tls import TlsServer

UNKNOWN_TOKEN = "99999999-9999-4999-8999-999999999999"


async def _submit(hass: HomeAssistant, user_input: dict[str, Any]) -> ConfigFlowResult:
    """Open the form of the credential, send it, and take note of what it can do."""
    return await read_on(hass, await _try(hass, user_input))


async def _try(hass: HomeAssistant, user_input: dict[str, Any]) -> ConfigFlowResult:
    """Open the form of the credential and send it, and stop there."""
    form = await _form(hass, _step_of(user_input))
    return await hass.config_entries.flow.async_configure(form["flow_id"], user_input)


def _step_of(user_input: dict[str, Any]) -> str:
    return "account" if CONF_USERNAME in user_input else "key"


async def _form(hass: HomeAssistant, credential: str) -> ConfigFlowResult:
    """Choose a credential in the menu."""
    menu = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "user")
    assert menu["menu_options"] == ["key", "account"]
    form = await hass.config_entries.flow.async_configure(
        menu["flow_id"], {"next_step_id": credential}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, credential)
    assert not form["errors"]
    return form


async def _correct(
    hass: HomeAssistant, form: ConfigFlowResult, user_input: dict[str, Any]
) -> None:
    """Send the same form once more, as it should be."""
    assert form["type"] is FlowResultType.FORM
    connected = await hass.config_entries.flow.async_configure(
        form["flow_id"], user_input
    )
    created = await read_on(hass, connected)
    assert created["type"] is FlowResultType.CREATE_ENTRY
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED


async def test_newcomer_connects_a_server_and_adds_a_mirror(
    hass: HomeAssistant, sandbox: Sandbox, house: House
) -> None:
    """The form leads to the entry, the entry to the first mirror, that to readings."""
    house.entity("sensor.tank", "70")
    created = await _submit(hass, connection(f"{sandbox.url}/"))
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["title"] == "127.0.0.1"
    assert created["data"] == connection(sandbox.url) | {CONF_CREDENTIAL: DEVICE_TOKEN}
    assert not sandbox.store.values("home")

    flow_type, flow_id = created["next_flow"]
    assert flow_type is FlowType.CONFIG_SUBENTRIES_FLOW
    mirrored = await choose(
        hass, flow_id, {CONF_NAME: "Tanks", CONF_TARGET: {"entity_id": ["sensor.tank"]}}
    )
    assert mirrored["type"] is FlowResultType.CREATE_ENTRY
    [entry] = hass.config_entries.async_entries(DOMAIN)
    [subentry] = entry.subentries.values()
    assert (subentry.title, dict(subentry.data)) == (
        "Tanks",
        {CONF_TARGET: {"entity_id": ["sensor.tank"]}, "diagnostics": False},
    )
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


@pytest.mark.parametrize(
    ("credential", "step_id", "title"),
    [
        (
            {CONF_API_KEY: TOKEN},
            "connected_device_token",
            "Connected with a device token",
        ),
        ({CONF_API_KEY: ALICE_KEY}, "connected_user_key", "Connected with a user key"),
        (ALICE, "connected_account", "Connected with an account"),
    ],
)
async def test_connection_ends_with_what_the_credential_can_do(
    hass: HomeAssistant,
    sandbox: Sandbox,
    credential: dict[str, str],
    step_id: str,
    title: str,
) -> None:
    """Nothing is connected before that has been read."""
    rest = {CONF_URL: sandbox.url, CONF_PREFIX: PREFIX, CONF_VERIFY_SSL: True}
    form = await _try(hass, rest | credential)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, step_id)
    assert not form["errors"]
    assert not hass.config_entries.async_entries(DOMAIN)
    texts = CONFIG["step"][step_id]
    assert texts["title"] == title
    assert form["description_placeholders"]
    assert "{" not in texts["description"].format(**form["description_placeholders"])
    created = await read_on(hass, form)
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["title"] == form["description_placeholders"]["name"]


@pytest.mark.parametrize(
    ("mode", "entered", "error", "needed"),
    [
        (Mode.NO_CONNECTIVITY, connection, "server_too_old", "2026-01-18"),
        (Mode.BEFORE_2025_12_06, account, "server_too_old", "2025-12-06"),
        (
            Mode.BEFORE_2026_01_18,
            connection,
            "server_too_old_for_tokens",
            "2026-01-18",
        ),
    ],
)
async def test_server_that_is_too_old_is_named_before_anything_is_lost(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mode: Mode,
    entered: Callable[[str], dict[str, Any]],
    error: str,
    needed: str,
) -> None:
    """It can be connected all the same: it may be updated any time."""
    sandbox.context.switch_modes(frozenset({mode}))
    form = await _try(hass, entered(sandbox.url))
    assert form["errors"] == {"base": error}
    assert form["description_placeholders"]
    assert form["description_placeholders"]["needed"] == needed
    assert needed in CONFIG["error"][error].format(**form["description_placeholders"])
    created = await read_on(hass, form)
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_server_that_was_connected_meanwhile_is_not_connected_twice(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """Two browsers may show what the same credential can do."""
    form = await _try(hass, connection(sandbox.url))
    MockConfigEntry(
        domain=DOMAIN, unique_id=_unique_id(connection(sandbox.url))
    ).add_to_hass(hass)
    ended = await read_on(hass, form)
    assert ended["type"] is FlowResultType.ABORT
    assert ended["reason"] == "already_configured"


@pytest.mark.parametrize(
    ("location_name", "begins_with"),
    [
        ("Test home", "test-home-"),
        ("家" * 100, "jia"),
        ("🏠", "unknown-"),
        ("", "home-"),
    ],
)
async def test_suggested_prefix_can_be_taken_as_it_is(
    hass: HomeAssistant, sandbox: Sandbox, location_name: str, begins_with: str
) -> None:
    """It is the home's name with a tail of its own, and always the same."""
    await hass.config.async_update(location_name=location_name)
    suggested = [await _suggested_prefix(hass) for _ in range(2)]
    assert suggested[0] == suggested[1]
    assert suggested[0].startswith(begins_with)
    created = await _submit(hass, connection(sandbox.url) | {CONF_PREFIX: suggested[0]})
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def _suggested_prefix(hass: HomeAssistant) -> str:
    form = await _form(hass, "key")
    assert form["data_schema"]
    [suggested] = [
        key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key == CONF_PREFIX
    ]
    assert isinstance(suggested, str)
    return suggested


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        *(
            ({CONF_URL: url}, {CONF_URL: "invalid_url"})
            for url in (
                "",
                "sensors.example",
                "ftp://sensors.example",
                "http://",
                "http://[::1",
                "http://sensors.example:99999",
                "http://sensors.example/?q=1",
                "http://sensors.example/#top",
                "http://user:secret@sensors.example",
            )
        ),
        *(
            ({CONF_API_KEY: token}, {CONF_API_KEY: "invalid_key"})
            for token in ("", "secret", TOKEN[:-1], "G" + TOKEN[1:], f"{TOKEN} {TOKEN}")
        ),
        *(
            ({CONF_PREFIX: prefix}, {CONF_PREFIX: "invalid_prefix"})
            for prefix in ("", "a b", "a.b", "ä", "home\n", "x" * 25)
        ),
        (
            {CONF_URL: "x", CONF_API_KEY: "x", CONF_PREFIX: "."},
            {
                CONF_URL: "invalid_url",
                CONF_API_KEY: "invalid_key",
                CONF_PREFIX: "invalid_prefix",
            },
        ),
        (
            {CONF_URL: "https://nowhere.invalid"},
            {CONF_URL: "host_not_found"},
        ),
        ({CONF_API_KEY: UNKNOWN_TOKEN}, {CONF_API_KEY: "invalid_auth"}),
        ({CONF_PREFIX: "dev-b"}, {CONF_PREFIX: "prefix_taken"}),
    ],
)
async def test_wrong_field_is_named_and_can_be_corrected(
    hass: HomeAssistant,
    sandbox: Sandbox,
    changes: dict[str, str],
    errors: dict[str, str],
) -> None:
    """Each mistake has its own message beside its own field."""
    right = connection(sandbox.url)
    form = await _submit(hass, right | changes)
    assert form["errors"] == errors
    await _correct(hass, form, right)


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        ("html_200", {CONF_URL: "not_sensorvision"}),
        ("http_301", {CONF_URL: "redirect"}),
        ("reset", {CONF_URL: "cannot_connect"}),
        ("http_429", {"base": "server_error"}),
        ("http_500", {"base": "server_error"}),
        ("http_503", {"base": "server_error"}),
    ],
)
async def test_odd_answer_is_explained_and_can_be_retried(
    hass: HomeAssistant, sandbox: Sandbox, fault: str, errors: dict[str, str]
) -> None:
    """What stands between here and the server is told from a mistake."""
    sandbox.faults.set(fault)
    form = await _submit(hass, connection(sandbox.url))
    assert form["errors"] == errors
    sandbox.faults.clear()
    await _correct(hass, form, connection(sandbox.url))


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        ({CONF_API_KEY: TOKEN}, DEVICE_TOKEN),
        ({CONF_API_KEY: f" {ALICE_KEY} "}, USER_KEY),
        (ALICE | {CONF_USERNAME: " alice "}, ACCOUNT),
    ],
)
async def test_each_credential_delivers_and_is_kept_with_its_kind(
    hass: HomeAssistant,
    sandbox: Sandbox,
    house: House,
    credential: dict[str, str],
    kind: str,
) -> None:
    """Nobody has to know which kind of key it is: the server tells."""
    house.entity("sensor.tank", "70")
    rest = {CONF_URL: sandbox.url, CONF_PREFIX: PREFIX, CONF_VERIFY_SSL: True}
    created = await _submit(hass, rest | credential)
    assert created["type"] is FlowResultType.CREATE_ENTRY
    tidy = {name: text.strip() for name, text in credential.items()}
    assert created["data"] == rest | tidy | {CONF_CREDENTIAL: kind}
    await choose(
        hass,
        created["next_flow"][1],
        {CONF_NAME: "Tanks", CONF_TARGET: {"entity_id": ["sensor.tank"]}},
    )
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({CONF_USERNAME: " "}, {CONF_USERNAME: "username_missing"}),
        ({CONF_PASSWORD: ""}, {CONF_PASSWORD: "password_missing"}),
        ({CONF_PASSWORD: "wrong"}, {CONF_PASSWORD: "invalid_login"}),
        ({CONF_USERNAME: "nobody"}, {CONF_PASSWORD: "invalid_login"}),
        ({CONF_PREFIX: "dev-b"}, {CONF_PREFIX: "prefix_taken"}),
        ({CONF_URL: "https://nowhere.invalid"}, {CONF_URL: "host_not_found"}),
    ],
)
async def test_wrong_field_of_an_account_is_named_and_can_be_corrected(
    hass: HomeAssistant,
    sandbox: Sandbox,
    changes: dict[str, str],
    errors: dict[str, str],
) -> None:
    """A wrong user name is not told from a wrong password, by no server."""
    right = account(sandbox.url)
    form = await _submit(hass, right | changes)
    assert form["errors"] == errors
    await _correct(hass, form, right)


@pytest.mark.parametrize("entered", [connection, account])
async def test_clear_text_to_a_strange_network_is_asked_about(
    hass: HomeAssistant, sandbox: Sandbox, entered: Callable[[str], dict[str, Any]]
) -> None:
    """Once for each URL, and before the credential is sent."""
    flows = hass.config_entries.flow
    menu = await _submit(hass, entered("http://nowhere.invalid"))
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "clear_text")
    accept, back = "clear_text_accepted", _step_of(entered("x"))
    assert menu["menu_options"] == [back, accept]
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": back})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, back)
    menu = await flows.async_configure(
        form["flow_id"], entered("http://nowhere.invalid/path/")
    )
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": accept})
    assert form["errors"] == {CONF_URL: "host_not_found"}
    form = await flows.async_configure(
        form["flow_id"], entered("http://nowhere.invalid/path")
    )
    assert form["errors"] == {CONF_URL: "host_not_found"}
    menu = await flows.async_configure(
        form["flow_id"], entered("http://another.invalid")
    )
    assert menu["step_id"] == "clear_text"
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": back})
    await _correct(hass, form, entered(sandbox.url))


@pytest.mark.parametrize(
    ("url", "is_overheard"),
    [
        ("https://sensors.example", False),
        ("http://sensors.example", True),
        ("http://sensors.example.", True),
        ("http://93.184.216.34", True),
        ("http://[2606:2800:220:1::1]", True),
        ("http://100.64.0.1", True),
        ("http://local.example", True),
        ("http://localhost:8080", False),
        ("http://nas", False),
        ("http://nas.local", False),
        ("http://NAS.LOCAL.", False),
        ("http://127.0.0.1", False),
        ("http://192.168.1.2", False),
        ("http://10.0.0.1", False),
        ("http://172.31.0.1", False),
        ("http://169.254.1.1", False),
        ("http://[::1]", False),
        ("http://[fd00::1]", False),
        ("http://[fe80::1]", False),
    ],
)
def test_own_network_is_told_from_strange_ones(url: str, is_overheard: bool) -> None:
    """By the address or the name alone."""
    assert connecting.is_overheard(url) is is_overheard


async def test_login_that_is_not_taken_just_now_is_no_wrong_password(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """The proxy before the server lets few logins through."""
    sandbox.faults.set("http_503", path="/api/v1/auth/login")
    form = await _submit(hass, account(sandbox.url))
    assert form["errors"] == {"base": "login_limit"}
    sandbox.faults.clear()
    await _correct(hass, form, account(sandbox.url))


async def test_key_that_the_server_may_only_ignore_is_not_called_wrong(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """In upper case it can only be a user's, and those are ignored after ten failures."""
    sandbox.context.limits.keys.failed("127.0.0.1", 10)
    key = "ABCDEFAB-2222-4222-8222-222222222222"
    form = await _submit(hass, connection(sandbox.url) | {CONF_API_KEY: key})
    assert form["errors"] == {CONF_API_KEY: "key_locked"}
    await _correct(hass, form, connection(sandbox.url))


async def test_servers_own_trouble_is_repeated_in_its_words(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """The text of the error has a place for what the server said."""
    sandbox.faults.set("http_503")
    form = await _submit(hass, connection(sandbox.url))
    assert form["description_placeholders"] == {"message": ANY}
    assert "503" in form["description_placeholders"]["message"]


async def test_path_that_leads_elsewhere_is_not_a_sensorvision_server(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """The host is right, the path is not."""
    form = await _submit(hass, connection(f"{sandbox.url}/elsewhere"))
    assert form["errors"] == {CONF_URL: "not_sensorvision"}
    await _correct(hass, form, connection(sandbox.url))


async def test_server_that_is_off_cannot_be_connected(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """Nothing listens at the port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    form = await _submit(hass, connection(f"http://127.0.0.1:{port}"))
    assert form["errors"] == {CONF_URL: "cannot_connect"}
    await _correct(hass, form, connection(sandbox.url))


async def test_https_where_there_is_only_http_is_told_from_silence(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """Somebody is at home, but the URL begins with the wrong word."""
    form = await _submit(hass, connection(sandbox.url.replace("http://", "https://")))
    assert form["errors"] == {CONF_URL: "not_http"}
    await _correct(hass, form, connection(sandbox.url))


async def test_server_that_says_nothing_times_out(
    hass: HomeAssistant, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form does not hang for ever."""
    sandbox.faults.set("latency", seconds=30)
    with monkeypatch.context() as patience:
        patience.setattr(connecting, "_TIMEOUTS", Timeouts(total_s=0.1))
        form = await _submit(hass, connection(sandbox.url))
    assert form["errors"] == {CONF_URL: "timeout"}
    sandbox.faults.clear()
    await _correct(hass, form, connection(sandbox.url))


async def test_self_signed_certificate_needs_verification_off(
    hass: HomeAssistant, tls: TlsServer
) -> None:
    """It is refused at first; then set-up and delivery both do as they were told."""
    user_input = connection(tls.url)
    form = await _submit(hass, user_input)
    assert form["errors"] == {CONF_VERIFY_SSL: "certificate"}
    await _correct(hass, form, user_input | {CONF_VERIFY_SSL: False})
    [entry] = hass.config_entries.async_entries(DOMAIN)
    await until(lambda: entry.runtime_data.status.is_connected)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("kind", ["authority", "own_certificate"])
async def test_own_authority_is_trusted(
    hass: HomeAssistant, tls: TlsServer, kind: str
) -> None:
    """Verification stays on; set-up, delivery and system information all know it."""
    entered = connection(tls.url)
    form = await _submit(hass, entered | {CONF_AUTHORITY: TlsServer.STRANGE_AUTHORITY})
    assert form["errors"] == {CONF_VERIFY_SSL: "certificate"}
    await _correct(hass, form, entered | {CONF_AUTHORITY: getattr(tls, kind)})
    [entry] = hass.config_entries.async_entries(DOMAIN)
    await until(lambda: entry.runtime_data.status.is_connected)
    assert (await (await _info(hass))["reachable"]) == "ok"
    # Also after a restart.
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: entry.runtime_data.status.is_connected)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    "authority",
    ["no certificate", "ä", TlsServer.STRANGE_AUTHORITY[:100], TlsServer.STRANGE_KEY],
)
async def test_bad_certificate_of_an_authority_is_named_and_can_be_corrected(
    hass: HomeAssistant, sandbox: Sandbox, authority: str
) -> None:
    """Nothing is sent before it is right; an empty one is none."""
    right = connection(sandbox.url)
    form = await _submit(hass, right | {CONF_AUTHORITY: authority})
    assert form["errors"] == {CONF_AUTHORITY: "invalid_authority"}
    assert not sandbox.requests
    await _correct(hass, form, right | {CONF_AUTHORITY: " \n"})
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert CONF_AUTHORITY not in entry.data


async def test_server_without_a_connectivity_check_can_be_connected(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """Servers before December 2025 have none."""
    sandbox.context.state.modes = frozenset({Mode.NO_CONNECTIVITY})
    created = await _submit(hass, connection(sandbox.url))
    assert created["type"] is FlowResultType.CREATE_ENTRY


async def test_same_server_and_prefix_cannot_be_connected_twice(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """However the URL is spelled; with another prefix it can."""
    url = sandbox.url
    created = await _submit(hass, connection(url))
    assert created["type"] is FlowResultType.CREATE_ENTRY
    before = len(sandbox.requests)
    for same in (url, f"{url}/", f" {url.upper()} "):
        again = await _submit(hass, connection(same) | {CONF_API_KEY: UNKNOWN_TOKEN})
        assert again["type"] is FlowResultType.ABORT
        assert again["reason"] == "already_configured"
    assert UNKNOWN_TOKEN not in str(list(sandbox.requests)[before:])

    other = await _submit(hass, connection(url) | {CONF_PREFIX: "cabin"})
    assert other["type"] is FlowResultType.CREATE_ENTRY
    titles = [entry.title for entry in hass.config_entries.async_entries(DOMAIN)]
    assert titles == ["127.0.0.1", "127.0.0.1 (cabin)"]


@pytest.mark.parametrize(
    "url",
    [
        "https://sensors.example",
        "https://sensors.example/",
        "https://sensors.example:443",
        "HTTPS://Sensors.Example:443/",
    ],
)
async def test_default_port_is_the_same_written_or_not(
    hass: HomeAssistant, url: str
) -> None:
    """As it was saved with one of the spellings, so it is found with the others."""
    MockConfigEntry(domain=DOMAIN, unique_id="sensors.example:443/#home").add_to_hass(
        hass
    )
    again = await _submit(hass, connection(url))
    assert again["type"] is FlowResultType.ABORT
    assert again["reason"] == "already_configured"


async def test_form_left_open_elsewhere_does_not_stand_in_the_way(
    hass: HomeAssistant, sandbox: Sandbox
) -> None:
    """A browser that was closed over an error leaves its flow behind."""
    left_open = await _submit(
        hass, connection(sandbox.url) | {CONF_API_KEY: UNKNOWN_TOKEN}
    )
    assert left_open["errors"] == {CONF_API_KEY: "invalid_auth"}
    created = await _submit(hass, connection(sandbox.url))
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1
    assert left_open["flow_id"] not in {
        flow["flow_id"] for flow in hass.config_entries.flow.async_progress()
    }


@pytest.mark.parametrize(
    ("entered", "secret"), [(connection, TOKEN), (account, ALICE_PASSWORD)]
)
async def test_secret_is_shown_nowhere(
    hass: HomeAssistant,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    entered: Callable[[str], dict[str, Any]],
    secret: str,
) -> None:
    """Not in the log, not in a title, not in what a form says."""
    caplog.set_level(logging.DEBUG)
    for fault in ("http_503", "reset", "html_200", "http_301"):
        sandbox.faults.set(fault)
        form = await _submit(hass, entered(sandbox.url))
        assert secret not in str(form["description_placeholders"])
        sandbox.faults.clear()
    created = await _submit(hass, entered(sandbox.url))
    [entry] = hass.config_entries.async_entries(DOMAIN)
    await until(lambda: entry.runtime_data.status.is_connected)
    assert secret not in f"{entry.title} {entry.unique_id} {created['title']}"
    assert sandbox.requests
    assert "sensorvision" in caplog.text
    assert secret not in caplog.text


def test_prefix_and_settings_of_the_tests_are_valid() -> None:
    """The right input is right because it is, not because nothing is checked."""
    assert connecting.malformed_fields(connection("http://127.0.0.1")) == {}
    assert (PREFIX, SETTINGS.fixtures) == ("home", "contract")
