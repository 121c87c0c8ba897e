"""Choosing how a mirror delivers, and the token of its only device."""

from dataclasses import replace
from typing import Any

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client import USER_KEY
from custom_components.sensorvision.const import (
    CONF_CREDENTIAL,
    CONF_DELIVER_OVER,
    CONF_SENDING,
    OVER_HTTP,
    SUBENTRY_TYPE_MIRROR,
)
from custom_components.sensorvision.tokens import load_tokens
from sandbox import Sandbox, Settings

from .brokers import (
    BROKER_ID,
    MIRROR_ID,
    TANK_TOKEN,
    Mosquitto,
    add_tank,
    broker,
    choice_over,
    mirror_over,
)
from .conftest import ALICE, ALICE_KEY, SETTINGS, SetUp
from .house import House, numbers, until
from .test_mirror_flow import suggested
from .test_problems import shown_issues

_NAMED = {CONF_NAME: "Tank"}
_ONE_DEVICE = _NAMED | choice_over(BROKER_ID, "mirror", entity_id=["sensor.tank"])
_MANY_DEVICES = _NAMED | choice_over(BROKER_ID, "device", entity_id=["sensor.tank"])

type Credential = dict[str, str]

_KEYS: list[Credential] = [{}, {"api_key": ALICE_KEY, CONF_CREDENTIAL: USER_KEY}]


@pytest.fixture
def settings(mosquitto: Mosquitto) -> Settings:
    """Return how a server is made that checks the tokens of messages."""
    return replace(SETTINGS, broker=mosquitto.url)


@pytest.fixture(autouse=True)
def _tank(house: House) -> None:
    """Have an entity that is mirrored."""
    house.entity("sensor.tank", "70")


async def _open(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )


async def _enter(
    hass: HomeAssistant, form: SubentryFlowResult, entered: dict[str, Any]
) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_configure(
        form["flow_id"], entered
    )


async def _save(hass: HomeAssistant, menu: SubentryFlowResult) -> SubentryFlowResult:
    assert menu["type"] is FlowResultType.MENU
    return await _enter(hass, menu, {"next_step_id": "save"})


@pytest.mark.parametrize("credential", _KEYS, ids=["token", "user key"])
async def test_mirror_without_account_is_one_device_whose_token_is_asked_for(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    credential: Credential,
) -> None:
    """Of exactly the device that is shown; and what it sends arrives with it."""
    add_tank(sandbox)
    entry = await set_up(broker(mosquitto.port), **credential)
    form = await _open(hass, entry)
    form = await _enter(hass, form, _MANY_DEVICES)
    assert form["errors"] == {CONF_SENDING: "one_device_only"}
    form = await _save(hass, await _enter(hass, form, _ONE_DEVICE))
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "token")
    assert form["description_placeholders"] == {"device": "home.tank"}
    form = await _enter(hass, form, {"token": "not a token"})
    assert form["errors"] == {"token": "invalid_token"}
    created = await _enter(hass, form, {"token": TANK_TOKEN})
    assert created["type"] is FlowResultType.CREATE_ENTRY
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert not shown_issues(hass)
    assert TANK_TOKEN not in str(entry.as_dict())


async def test_known_token_is_kept_where_it_is_left_empty(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """And replaced where another one is entered."""
    add_tank(sandbox)
    over = mirror_over(title="Tank", formed_by="mirror", entity_id=["sensor.tank"])
    entry = await set_up(broker(mosquitto.port), over)
    await until(lambda: shown_issues(hass))
    for entered, kept in (
        ({"token": TANK_TOKEN}, TANK_TOKEN),
        ({}, TANK_TOKEN),
        ({"token": TANK_TOKEN.replace("3", "4")}, TANK_TOKEN.replace("3", "4")),
    ):
        form = await entry.start_subentry_reconfigure_flow(hass, MIRROR_ID)
        form = await _save(hass, await _enter(hass, form, _ONE_DEVICE))
        assert form["step_id"] == "token"
        done = await _enter(hass, form, entered)
        assert done["reason"] == "reconfigure_successful"
        assert entry.runtime_data.tokens.of("home.tank") == kept
        assert not shown_issues(hass)


async def test_token_is_kept_for_an_entry_that_is_not_loaded(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """It is read when the entry is."""
    entry = await set_up(broker(mosquitto.port))
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await _save(hass, await _enter(hass, await _open(hass, entry), _ONE_DEVICE))
    created = await _enter(hass, form, {"token": TANK_TOKEN})
    assert created["type"] is FlowResultType.CREATE_ENTRY
    tokens = await load_tokens(hass, entry.entry_id)
    assert tokens.of("home.tank") == TANK_TOKEN


async def test_token_is_asked_for_later_where_nothing_has_a_number_yet(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Nobody knows then which device it will be."""
    hass.states.async_set("sensor.tank", "unknown")
    entry = await set_up(broker(mosquitto.port))
    menu = await _enter(hass, await _open(hass, entry), _ONE_DEVICE)
    assert menu["step_id"] == "preview_empty"
    created = await _save(hass, menu)
    assert created["type"] is FlowResultType.CREATE_ENTRY
    hass.states.async_set("sensor.tank", "70")
    await until(lambda: shown_issues(hass))
    assert shown_issues(hass)[0][1]["device"] == "home.tank"


@pytest.mark.parametrize(
    ("credential", "are_checked"), [(ALICE, True), ({}, False)], ids=["account", "off"]
)
async def test_nothing_is_asked_where_tokens_are_given_or_not_wanted(
    hass: HomeAssistant,
    sandbox: Sandbox,
    mosquitto: Mosquitto,
    set_up: SetUp,
    credential: Credential,
    are_checked: bool,
) -> None:
    """A mirror may have as many devices as it likes then."""
    entry = await set_up(
        broker(mosquitto.port, checks_tokens=are_checked), **credential
    )
    menu = await _enter(hass, await _open(hass, entry), _MANY_DEVICES)
    created = await _save(hass, menu)
    assert created["type"] is FlowResultType.CREATE_ENTRY
    [route] = entry.runtime_data.ways.brokers.routes.values()
    await until(lambda: route.figures.delivered == 1)


async def test_way_is_asked_for_only_where_there_are_two(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up()
    form = await _open(hass, entry)
    assert form["data_schema"]
    sending = form["data_schema"].schema[CONF_SENDING].schema.schema
    assert CONF_DELIVER_OVER not in sending


async def test_form_of_a_mirror_without_its_broker_offers_what_there_is(
    hass: HomeAssistant, sandbox: Sandbox, mosquitto: Mosquitto, set_up: SetUp
) -> None:
    """Or it could not be saved."""
    over = mirror_over("gone", entity_id=["sensor.tank"])
    entry = await set_up(broker(mosquitto.port), over)
    form = await entry.start_subentry_reconfigure_flow(hass, MIRROR_ID)
    assert form["data_schema"]
    sending = form["data_schema"].schema[CONF_SENDING].schema
    assert suggested(sending)[CONF_DELIVER_OVER] == OVER_HTTP
