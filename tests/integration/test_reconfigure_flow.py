"""A connection that changes, and all that stays as it is."""

import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client import ACCOUNT, DEVICE_TOKEN, USER_KEY
from custom_components.sensorvision.const import (
    CONF_AUTHORITY,
    CONF_CREDENTIAL,
    CONF_PREFIX,
    DOMAIN,
)
from sandbox import Sandbox

from .conftest import (
    ALICE,
    ALICE_KEY,
    ALICE_PASSWORD,
    PREFIX,
    TOKEN,
    SetUp,
    connection,
)
from .house import House, mirror, numbers, until
from .tls import TlsServer

UNKNOWN_TOKEN = "99999999-9999-4999-8999-999999999999"
NOWHERE = "http://127.0.0.1:1"


async def _form(
    hass: HomeAssistant, entry: MockConfigEntry, credential: str
) -> ConfigFlowResult:
    """Choose a credential in the menu of an entry."""
    menu = await entry.start_reconfigure_flow(hass)
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "reconfigure")
    form = await hass.config_entries.flow.async_configure(
        menu["flow_id"], {"next_step_id": f"reconfigure_{credential}"}
    )
    assert form["step_id"] == f"reconfigure_{credential}"
    return form


async def _change(
    hass: HomeAssistant, entry: MockConfigEntry, entered: dict[str, Any]
) -> ConfigFlowResult:
    """Open the form of the credential and send it."""
    form = await _form(hass, entry, "account" if CONF_USERNAME in entered else "key")
    return await hass.config_entries.flow.async_configure(form["flow_id"], entered)


async def test_what_waited_goes_to_the_new_address(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The same entry goes on with the same mirror, and its page leads to the server."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]), url=NOWHERE)
    runtime = entry.runtime_data
    await until(lambda: runtime.status.is_connected is False)
    subentries = dict(entry.subentries)
    done = await _change(
        hass, entry, {CONF_URL: f"{sandbox.url}/", CONF_VERIFY_SSL: True}
    )
    assert (done["type"], done["reason"]) == (
        FlowResultType.ABORT,
        "reconfigure_successful",
    )
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert entry.data == connection(sandbox.url) | {CONF_CREDENTIAL: DEVICE_TOKEN}
    assert entry.unique_id == f"{sandbox.url.removeprefix('http://')}/#{PREFIX}"
    assert entry.runtime_data is runtime
    assert dict(entry.subentries) == subentries
    [service] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert service.configuration_url == sandbox.url


async def test_credential_changes_its_kind_or_stays(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is left empty stays, and nothing of what was before is left behind."""
    caplog.set_level(logging.DEBUG)
    entry = await set_up()
    rest = {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True}
    for entered, stored in (
        (
            {CONF_API_KEY: ALICE_KEY},
            {CONF_API_KEY: ALICE_KEY, CONF_CREDENTIAL: USER_KEY},
        ),
        ({}, {CONF_API_KEY: ALICE_KEY, CONF_CREDENTIAL: USER_KEY}),
        (ALICE, ALICE | {CONF_CREDENTIAL: ACCOUNT}),
        ({CONF_USERNAME: "alice"}, ALICE | {CONF_CREDENTIAL: ACCOUNT}),
        ({CONF_API_KEY: TOKEN}, {CONF_API_KEY: TOKEN, CONF_CREDENTIAL: DEVICE_TOKEN}),
    ):
        done = await _change(hass, entry, rest | entered)
        assert done["reason"] == "reconfigure_successful"
        assert entry.data == rest | stored | {CONF_PREFIX: PREFIX}
        await hass.async_block_till_done()
        await until(lambda: entry.runtime_data.status.is_connected)
    for secret in (TOKEN, ALICE_KEY, ALICE_PASSWORD):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("entered", "errors"),
    [
        ({CONF_URL: "sensors"}, {CONF_URL: "invalid_url"}),
        ({CONF_URL: NOWHERE}, {CONF_URL: "cannot_connect"}),
        ({CONF_API_KEY: "secret"}, {CONF_API_KEY: "invalid_key"}),
        ({CONF_API_KEY: UNKNOWN_TOKEN}, {CONF_API_KEY: "invalid_auth"}),
        ({CONF_AUTHORITY: "mine"}, {CONF_AUTHORITY: "invalid_authority"}),
        ({CONF_USERNAME: "alice"}, {CONF_PASSWORD: "password_missing"}),
        (ALICE | {CONF_PASSWORD: "wrong"}, {CONF_PASSWORD: "invalid_login"}),
    ],
)
async def test_what_is_wrong_changes_nothing_and_can_be_corrected(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    entered: dict[str, str],
    errors: dict[str, str],
) -> None:
    """The entry goes on as it was until the new connection works."""
    entry = await set_up()
    right = {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True}
    form = await _change(hass, entry, right | entered)
    assert form["errors"] == errors
    assert entry.data == connection(sandbox.url)
    correct = right | (ALICE if CONF_USERNAME in entered else {})
    done = await hass.config_entries.flow.async_configure(form["flow_id"], correct)
    assert done["reason"] == "reconfigure_successful"


async def test_form_shows_what_there_is_but_no_secret(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up(**ALICE)
    form = await _form(hass, entry, "account")
    assert form["data_schema"]
    assert {
        str(key): key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key.description
    } == {CONF_URL: sandbox.url, CONF_USERNAME: "alice", CONF_VERIFY_SSL: True}


async def test_two_entries_never_mean_the_same_server_and_prefix(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Two would send everything twice."""
    host = sandbox.url.removeprefix("http://")
    MockConfigEntry(domain=DOMAIN, unique_id=f"{host}/#{PREFIX}").add_to_hass(hass)
    entry = await set_up(url=NOWHERE)
    done = await _change(hass, entry, {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True})
    assert done["reason"] == "already_configured"
    assert entry.data[CONF_URL] == NOWHERE


@pytest.mark.parametrize(
    ("title", "after"), [("old.invalid", "127.0.0.1"), ("My server", "My server")]
)
async def test_title_follows_the_host_unless_a_person_gave_it(
    hass: HomeAssistant, sandbox: Sandbox, title: str, after: str
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN, title=title, data=connection("https://old.invalid")
    )
    entry.add_to_hass(hass)
    done = await _change(hass, entry, {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True})
    assert done["reason"] == "reconfigure_successful"
    assert entry.title == after


@pytest.mark.parametrize("credential", [{CONF_API_KEY: TOKEN}, ALICE])
async def test_clear_text_to_a_strange_network_is_asked_about(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, credential: dict[str, str]
) -> None:
    """The way back leads to the form, with what was entered."""
    entry = await set_up()
    flows = hass.config_entries.flow
    abroad = {CONF_URL: "http://nowhere.invalid", CONF_VERIFY_SSL: False} | credential
    menu = await _change(hass, entry, abroad)
    assert menu["step_id"] == "clear_text"
    back = f"reconfigure_{'account' if CONF_USERNAME in credential else 'key'}"
    assert menu["menu_options"] == [back, "clear_text_accepted"]
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": back})
    assert form["data_schema"]
    assert {
        str(key): key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key.description
    } == abroad
    menu = await flows.async_configure(form["flow_id"], abroad)
    form = await flows.async_configure(
        menu["flow_id"], {"next_step_id": "clear_text_accepted"}
    )
    assert form["errors"] == {CONF_URL: "host_not_found"}
    done = await flows.async_configure(
        form["flow_id"], {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True} | credential
    )
    assert done["reason"] == "reconfigure_successful"


async def test_own_authority_is_added_and_taken_away(
    hass: HomeAssistant, set_up: SetUp, tls: TlsServer
) -> None:
    """It takes effect at once."""
    entry = await set_up(url=tls.url)
    await until(lambda: entry.runtime_data.status.is_connected is False)
    rest = {CONF_URL: tls.url, CONF_VERIFY_SSL: True}
    await _change(hass, entry, rest | {CONF_AUTHORITY: tls.authority})
    await until(lambda: entry.runtime_data.status.is_connected)
    await _change(hass, entry, rest | {CONF_VERIFY_SSL: False})
    assert CONF_AUTHORITY not in entry.data
    await until(lambda: entry.runtime_data.status.is_connected)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_entry_that_is_not_loaded_can_be_changed(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """It takes effect when it is loaded."""
    entry = await set_up(credential=DEVICE_TOKEN)
    assert await hass.config_entries.async_unload(entry.entry_id)
    done = await _change(hass, entry, {CONF_URL: sandbox.url, CONF_VERIFY_SSL: True})
    assert done["reason"] == "reconfigure_successful"
    assert entry.state is ConfigEntryState.NOT_LOADED
