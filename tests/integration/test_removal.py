"""A removed mirror's devices stay on the server, unless a person wants them deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client import USER_KEY
from custom_components.sensorvision.const import (
    CONF_CREDENTIAL,
    CONF_FORMED_BY,
    CONF_SENDING,
    CONF_TARGET,
    DOMAIN,
)
from sandbox import Sandbox

from .conftest import ALICE, ALICE_KEY, SETTINGS, TOKEN, Ask, SetUp
from .house import House, add_mirror, mirror, mirror_of, numbers, until
from .test_translations import TEXTS

FIX_FLOW: dict[str, Any] = TEXTS["issues"]["mirror_removed"]["fix_flow"]

type Fix = Callable[..., Awaitable[dict[str, Any]]]


def _issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    """Return the offers that stand."""
    return [
        issue
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue.translation_key == "mirror_removed"
    ]


def _offered(hass: HomeAssistant) -> list[tuple[str, list[str]]]:
    """Return the mirrors that were removed, with the devices that are offered."""
    return [
        (str(issue.data["mirror"]), str(issue.data["devices"]).split())
        for issue in _issues(hass)
        if issue.data
    ]


def _there(sandbox: Sandbox) -> set[str]:
    """Return the devices of this house that the server has."""
    return {
        device.external_id
        for device in sandbox.store.devices()
        if device.external_id.startswith("home.")
    }


def _remove_mirror(hass: HomeAssistant, entry: MockConfigEntry, title: str) -> None:
    [subentry_id] = [
        subentry.subentry_id
        for subentry in entry.subentries.values()
        if subentry.title == title
    ]
    hass.config_entries.async_remove_subentry(entry, subentry_id)


@pytest.fixture
async def fix(hass: HomeAssistant, ask: Ask) -> Fix:
    """Return a function that opens the offer, and answers what it asks."""

    async def fix(*answers: dict[str, Any]) -> dict[str, Any]:
        [issue] = _issues(hass)
        shown = await ask("", {"handler": DOMAIN, "issue_id": issue.issue_id})
        for answer in answers:
            shown = await ask(f"/{shown['flow_id']}", answer)
        if "step_id" in shown:
            step = FIX_FLOW["step"][shown["step_id"]]
            for text in (step["title"], step["description"]):
                assert "{" not in text.format(**shown["description_placeholders"])
        return shown

    return fix


KEEP: dict[str, Any] = {"next_step_id": "keep"}
DELETE: dict[str, Any] = {"next_step_id": "delete"}
CONFIRM: dict[str, Any] = {}


@pytest.fixture
async def waters(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> MockConfigEntry:
    """Mirror two tanks and a well, of which the first tank is in both mirrors."""
    for name in ("tank", "tub", "well"):
        house.entity(f"sensor.{name}", "1")
    entry = await set_up(
        mirror("Tanks", entity_id=["sensor.tank", "sensor.tub"]),
        mirror("Wells", entity_id=["sensor.tank", "sensor.well"]),
        **ALICE,
    )
    await until(lambda: entry.runtime_data.status.delivered == 3)
    assert _there(sandbox) == {"home.tank", "home.tub", "home.well"}
    return entry


@pytest.mark.usefixtures("waters")
async def test_offer_shows_what_it_is_about(
    hass: HomeAssistant, waters: MockConfigEntry, fix: Fix
) -> None:
    """What another mirror sends to is no part of it; keeping comes first."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    assert _offered(hass) == [("Tanks", ["home.tub"])]
    [issue] = _issues(hass)
    assert (issue.is_fixable, issue.is_persistent) == (True, True)
    title = TEXTS["issues"]["mirror_removed"]["title"]
    assert "{" not in title.format(**issue.translation_placeholders or {})
    menu = await fix()
    assert menu["type"] == FlowResultType.MENU
    assert menu["menu_options"] == ["keep", "delete"]
    assert set(menu["menu_options"]) == FIX_FLOW["step"]["init"]["menu_options"].keys()
    placeholders = menu["description_placeholders"]
    assert (placeholders["mirror"], placeholders["count"]) == ("Tanks", "1")
    assert placeholders["devices"] == "- home.tub"


async def test_devices_are_kept_by_default(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """Whoever says so is not asked again."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    assert (await fix(KEEP))["type"] == FlowResultType.CREATE_ENTRY
    assert not _issues(hass)
    assert await hass.config_entries.async_reload(waters.entry_id)
    await until(lambda: waters.runtime_data.status.delivered >= 2)
    assert not _issues(hass)
    assert _there(sandbox) == {"home.tank", "home.tub", "home.well"}


async def test_devices_are_deleted_once_that_is_confirmed(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """With their data, for good; mirrored again, they begin anew."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    form = await fix(DELETE)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "delete")
    assert "home.tub" in _there(sandbox)
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    assert _there(sandbox) == {"home.tank", "home.well"}
    assert not _issues(hass)
    names = waters.runtime_data.stored_names()
    assert set(names["devices"].values()) == {"home.tank", "home.well"}

    er.async_get(hass).async_update_entity("sensor.tub", name="Bath")
    add_mirror(hass, waters, mirror("Baths", entity_id=["sensor.tub"]))
    await until(lambda: numbers(sandbox, "home.bath", "bath") == [1])


async def test_devices_of_the_last_mirror_are_offered(
    hass: HomeAssistant, waters: MockConfigEntry
) -> None:
    """What both sent to is the second one's alone by then."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: len(_issues(hass)) == 1)
    _remove_mirror(hass, waters, "Wells")
    await until(lambda: len(_issues(hass)) == 2)
    assert _offered(hass)[1] == ("Wells", ["home.tank", "home.well"])


async def test_device_that_is_mirrored_again_is_not_deleted(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """Also if its entity shows nothing at the time."""
    _remove_mirror(hass, waters, "Tanks")
    _remove_mirror(hass, waters, "Wells")
    await until(lambda: len(_issues(hass)) == 2)
    assert sorted(_offered(hass)) == [
        ("Tanks", ["home.tub"]),
        ("Wells", ["home.tank", "home.well"]),
    ]
    hass.states.async_set("sensor.well", "unavailable")
    add_mirror(hass, waters, mirror("Again", entity_id=["sensor.well"]))
    await hass.async_block_till_done()
    [tanks, _] = _issues(hass)
    ir.async_delete_issue(hass, DOMAIN, tanks.issue_id)
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    assert _there(sandbox) == {"home.tub", "home.well"}


async def test_what_can_not_be_deleted_is_said_and_can_be_tried_again(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """First the server is away, then a device is another organisation's."""
    _remove_mirror(hass, waters, "Tanks")
    _remove_mirror(hass, waters, "Wells")
    await until(lambda: len(_issues(hass)) == 2)
    ir.async_delete_issue(hass, DOMAIN, _issues(hass)[0].issue_id)
    sandbox.faults.set("http_503", path="/api/v1/devices/home.")
    form = await fix(DELETE, CONFIRM)
    assert form["errors"] == {"base": "not_deleted"}
    assert set(FIX_FLOW["error"]) == {"not_deleted", "not_loaded"}
    placeholders = form["description_placeholders"]
    assert "503" in FIX_FLOW["error"]["not_deleted"].format(**placeholders)
    assert placeholders["devices"] == "- home.tank\n- home.well"

    sandbox.faults.clear()
    device = sandbox.store.device("home.tank")
    assert device
    others = sandbox.store.organization_id("Organization B")
    sandbox.store.update_device(device, organization_id=others)
    form = await fix(DELETE, CONFIRM)
    assert form["errors"] == {"base": "not_deleted"}
    assert form["description_placeholders"]["devices"] == "- home.tank"
    assert "Access denied" in form["description_placeholders"]["message"]
    assert "home.well" not in _there(sandbox)

    device = sandbox.store.device("home.tank")
    assert device
    sandbox.store.delete_device(device)
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    assert _there(sandbox) == {"home.tub"}


async def test_nothing_is_deleted_while_the_entry_is_not_loaded(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """The offer stands meanwhile."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    assert await hass.config_entries.async_unload(waters.entry_id)
    assert waters.state is ConfigEntryState.NOT_LOADED
    assert _issues(hass)
    form = await fix(DELETE, CONFIRM)
    assert form["errors"] == {"base": "not_loaded"}
    assert "home.tub" in _there(sandbox)
    assert await hass.config_entries.async_setup(waters.entry_id)
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    await until(lambda: "home.tub" not in _there(sandbox))


async def test_waiting_readings_do_not_bring_a_deleted_device_back(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """They are let go of with it."""
    sandbox.faults.set("http_503", path="/api/v1/data")
    hass.states.async_set("sensor.tub", "2")
    await until(lambda: waters.runtime_data.status.is_connected is False)
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    sandbox.faults.clear()
    hass.states.async_set("sensor.well", "2")
    await until(lambda: numbers(sandbox, "home.well", "well") == [1, 2])
    await until(lambda: not waters.runtime_data.outbox)
    assert _there(sandbox) == {"home.tank", "home.well"}


async def test_many_devices_are_counted_and_the_first_are_named(
    hass: HomeAssistant, set_up: SetUp, house: House, fix: Fix
) -> None:
    """The list stays short enough to be read."""
    chosen = [f"sensor.tank_{number:02}" for number in range(25)]
    for entity_id in chosen:
        house.entity(entity_id, "1")
    entry = await set_up(mirror("Tanks", entity_id=chosen), **ALICE)
    await until(lambda: entry.runtime_data.status.delivered == 25)
    _remove_mirror(hass, entry, "Tanks")
    await until(lambda: _issues(hass))
    placeholders = (await fix())["description_placeholders"]
    lines = placeholders["devices"].splitlines()
    assert placeholders["count"] == "25"
    assert (len(lines), lines[19], lines[20]) == (21, "- home.tank_19", "- …")


async def test_user_key_can_delete_too(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, fix: Fix
) -> None:
    """It opens all devices of the organisation."""
    house.entity("sensor.tank", "1")
    entry = await set_up(
        mirror("Tanks", entity_id=["sensor.tank"]),
        api_key=ALICE_KEY,
        credential=USER_KEY,
    )
    await until(lambda: entry.runtime_data.status.delivered == 1)
    _remove_mirror(hass, entry, "Tanks")
    await until(lambda: _issues(hass))
    assert (await fix(DELETE, CONFIRM))["type"] == FlowResultType.CREATE_ENTRY
    assert not _there(sandbox)


async def test_device_token_is_offered_nothing(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """It can't delete, not even later as an account: then it is long decided."""
    house.entity("sensor.tank", "1")
    entry = await set_up(mirror("Tanks", entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    _remove_mirror(hass, entry, "Tanks")
    await hass.async_block_till_done()
    assert not _issues(hass)
    data = {key: value for key, value in entry.data.items() if key != CONF_API_KEY}
    hass.config_entries.async_update_entry(entry, data=data | ALICE)
    await until(lambda: entry.runtime_data.status.capabilities)
    await hass.async_block_till_done()
    assert not _issues(hass)
    assert _there(sandbox) == {"home.tank"}


async def test_credential_that_can_no_longer_delete_says_so(
    hass: HomeAssistant, sandbox: Sandbox, waters: MockConfigEntry, fix: Fix
) -> None:
    """The offer is older than the token."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    hass.config_entries.async_update_entry(
        waters,
        data={CONF_API_KEY: TOKEN, CONF_CREDENTIAL: "device_token"}
        | {key: value for key, value in waters.data.items() if key not in ALICE},
    )
    await hass.async_block_till_done()
    form = await fix(DELETE, CONFIRM)
    assert form["errors"] == {"base": "not_deleted"}
    assert "user name and password" in form["description_placeholders"]["message"]
    assert "home.tub" in _there(sandbox)


async def test_mirror_that_is_removed_while_the_entry_is_off_is_noticed(
    hass: HomeAssistant, waters: MockConfigEntry
) -> None:
    """When it is on again, and what the credential can do is known."""
    registration = waters.runtime_data.registration
    await until(lambda: not registration.due and not registration._wake.is_set())
    assert await hass.config_entries.async_unload(waters.entry_id)
    _remove_mirror(hass, waters, "Tanks")
    assert not _issues(hass)
    assert await hass.config_entries.async_setup(waters.entry_id)
    await until(lambda: _issues(hass))
    assert _offered(hass) == [("Tanks", ["home.tub"])]


async def test_loop_gets_its_turn_while_the_devices_of_a_mirror_are_found(
    hass: HomeAssistant, waters: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two mirrors that are removed at once are told apart all the same."""
    monkeypatch.setattr("custom_components.sensorvision.removal._NAMES_AT_ONCE", 1)
    _remove_mirror(hass, waters, "Tanks")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not _issues(hass)
    _remove_mirror(hass, waters, "Wells")
    await until(lambda: len(_issues(hass)) == 2)
    assert sorted(_offered(hass)) == [
        ("Tanks", ["home.tub"]),
        ("Wells", ["home.tank", "home.well"]),
    ]


@pytest.mark.parametrize("stage", ["unload", "stop"])
async def test_what_a_removed_mirror_sent_to_is_known_although_the_entry_ends_at_once(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    hass_storage: dict[str, Any],
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the server is away, the registration has noted none of it."""
    # So busy is the loop that nothing is found until then.
    monkeypatch.setattr("custom_components.sensorvision.removal._NAMES_AT_ONCE", 0)
    sandbox.faults.set("http_503")
    house.entity("sensor.tank", "1")
    entry = await set_up(mirror("Tanks", entity_id=["sensor.tank"]), **ALICE)
    await until(lambda: len(entry.runtime_data.outbox) == 1)
    _remove_mirror(hass, entry, "Tanks")
    if stage == "stop":
        hass.bus.async_fire("homeassistant_stop")
        await hass.async_block_till_done()
        hass.bus.async_fire("homeassistant_final_write")
        await hass.async_block_till_done()
    else:
        assert await hass.config_entries.async_unload(entry.entry_id)
    kept = hass_storage[f"{DOMAIN}.{entry.entry_id}.ledger"]["data"]
    [title] = kept["mirrors"].values()
    assert title == "Tanks"
    assert [*kept["mirrors"]] == kept["devices"]["home.tank"]["mirrors"]


async def test_device_of_a_mirror_is_offered_although_its_entities_go_on_elsewhere(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """As another mirror forms another device of them."""
    house.entity("sensor.tank", "1")
    chosen = {CONF_TARGET: {"entity_id": ["sensor.tank"]}}
    as_one = {CONF_SENDING: {CONF_FORMED_BY: "mirror"}}
    entry = await set_up(mirror_of(chosen | as_one, "One"), **ALICE)
    await until(lambda: entry.runtime_data.status.delivered == 1)
    add_mirror(hass, entry, mirror_of(chosen, "Each"))
    await hass.async_block_till_done()
    _remove_mirror(hass, entry, "One")
    await until(lambda: _issues(hass))
    assert _offered(hass) == [("One", ["home.one"])]
    await until(lambda: _there(sandbox) == {"home.one", "home.tank"})


async def test_other_server_is_asked_to_delete_nothing(
    hass: HomeAssistant, waters: MockConfigEntry
) -> None:
    """The devices that were offered are not there, or are others."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    async with Sandbox(SETTINGS) as other:
        hass.config_entries.async_update_entry(
            waters, data={**waters.data, CONF_URL: other.url}
        )
        await until(lambda: not _issues(hass))
        assert await hass.config_entries.async_unload(waters.entry_id)


async def test_removed_entry_takes_its_offers_along(
    hass: HomeAssistant,
    sandbox: Sandbox,
    waters: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """The devices stay on the server, and nothing is left in Home Assistant."""
    _remove_mirror(hass, waters, "Tanks")
    await until(lambda: _issues(hass))
    await hass.config_entries.async_remove(waters.entry_id)
    assert not _issues(hass)
    assert not [key for key in hass_storage if key.startswith(f"{DOMAIN}.")]
    assert _there(sandbox) == {"home.tank", "home.tub", "home.well"}
