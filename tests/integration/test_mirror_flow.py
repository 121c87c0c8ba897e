"""Choosing what to mirror."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
import voluptuous as vol

from custom_components.sensorvision.const import CONF_TARGET, SUBENTRY_TYPE_MIRROR
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, choose, mirror, numbers, until
from .test_translations import MIRROR

_EMPTY_TARGETS: list[dict[str, Any]] = [
    {},
    {"entity_id": []},
    {"entity_id": [], "area_id": [], "label_id": []},
]


@pytest.mark.parametrize("empty", _EMPTY_TARGETS)
async def test_new_mirror_needs_a_target(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    empty: dict[str, Any],
) -> None:
    """An empty one is said to be empty, and the same form takes a full one."""
    house.entity("sensor.tank", "70")
    entry = await set_up()
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    assert not form["errors"]
    form = await hass.config_entries.subentries.async_configure(
        form["flow_id"], {CONF_NAME: "Tanks", CONF_TARGET: empty}
    )
    assert form["errors"] == {CONF_TARGET: "target_empty"}
    created = await choose(
        hass,
        form["flow_id"],
        {CONF_NAME: "Tanks", CONF_TARGET: {"entity_id": "sensor.tank"}},
    )
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["title"] == "Tanks"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


@pytest.mark.parametrize(
    "odd",
    [
        {"entity_id": "all"},
        {"entity_id": "{{ states.sensor }}"},
        {"entity_id": ["{{ states.sensor }}", "sensor.tank"]},
        {"area_id": "none", "entity_id": ["sensor.tank"]},
        {"label_id": ["{{ 1 }}"]},
    ],
)
async def test_only_things_that_have_a_name_can_be_followed(
    hass: HomeAssistant, set_up: SetUp, odd: dict[str, Any]
) -> None:
    """The selector lets templates through, which no file can keep."""
    entry = await set_up()
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    form = await hass.config_entries.subentries.async_configure(
        form["flow_id"], {CONF_NAME: "Odd", CONF_TARGET: odd}
    )
    assert form["type"] is FlowResultType.FORM
    assert form["errors"] == {CONF_TARGET: "target_unnamed"}
    assert form["data_schema"]
    assert suggested(form["data_schema"]) == {
        CONF_NAME: "Odd",
        "diagnostics": False,
    }
    created = await choose(
        hass, form["flow_id"], {CONF_NAME: "Odd", CONF_TARGET: {"area_id": ["attic"]}}
    )
    assert created["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("empty", _EMPTY_TARGETS)
async def test_mirror_can_be_changed(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    empty: dict[str, Any],
) -> None:
    """The form shows how it is now, refuses to empty it, and what it gets is followed."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    entry = await set_up(mirror("Tanks", entity_id=["sensor.tank"]))
    [subentry_id] = entry.subentries
    form = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reconfigure")
    assert suggested(form["data_schema"]) == {
        CONF_NAME: "Tanks",
        CONF_TARGET: {"entity_id": ["sensor.tank"]},
    }
    form = await hass.config_entries.subentries.async_configure(
        form["flow_id"], {CONF_NAME: "Water", CONF_TARGET: empty}
    )
    assert form["errors"] == {CONF_TARGET: "target_empty"}
    done = await choose(
        hass,
        form["flow_id"],
        {CONF_NAME: "Water", CONF_TARGET: {"entity_id": ["sensor.well"]}},
    )
    assert done["type"] is FlowResultType.ABORT
    assert done["reason"] == "reconfigure_successful"
    assert [sub.title for sub in entry.subentries.values()] == ["Water"]
    await until(lambda: numbers(sandbox, "home.well", "well") == [5])


@pytest.mark.parametrize(
    ("choice", "errors", "globs"),
    [
        ({"more": {"globs": ["Küche*"]}}, {"more": "invalid_glob"}, "Küche*"),
        (
            {"more": {"domains": ["sensor"]}, "leave_out": {"globs": ["a b", "*"]}},
            {"leave_out": "invalid_glob"},
            "a b",
        ),
        (
            {
                "target": {"entity_id": ["sensor.tank"]},
                "leave_out": {"target": {"entity_id": "all"}},
            },
            {"leave_out": "target_unnamed"},
            "",
        ),
        (
            {
                "more": {"domains": ["sensor"]},
                "values": {"texts": ["heat = 2", "cool"]},
            },
            {"values": "invalid_text"},
            "",
        ),
        ({"more": {"domains": [], "globs": []}}, {"target": "target_empty"}, ""),
        ({"leave_out": {"domains": ["sensor"]}}, {"target": "target_empty"}, ""),
    ],
)
async def test_error_is_said_beside_its_field(
    hass: HomeAssistant,
    set_up: SetUp,
    choice: dict[str, Any],
    errors: dict[str, str],
    globs: str,
) -> None:
    """And the same form then takes domains and patterns alone."""
    hass.states.async_set("sensor.tank", "70")
    hass.states.async_set("light.lamp", "on")
    entry = await set_up()
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    form = await hass.config_entries.subentries.async_configure(
        form["flow_id"], {CONF_NAME: "Pattern", **choice}
    )
    assert form["errors"] == errors
    assert form["description_placeholders"] == {"globs": globs}
    assert form["data_schema"]
    [domains] = [
        selector.config["options"]
        for key, selector in form["data_schema"].schema["more"].schema.schema.items()
        if key == "domains"
    ]
    assert {"light", "sensor"} <= set(domains)
    good = {
        "more": {"domains": ["sensor"], "globs": ["light.l*"]},
        "leave_out": {"globs": ["*.sensorvision_*"]},
        "diagnostics": True,
    }
    created = await choose(hass, form["flow_id"], {CONF_NAME: "Pattern", **good})
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["data"] == {"target": {}, **good}
    await hass.async_block_till_done()
    [followed] = entry.runtime_data.mirrors.values()
    assert followed.entity_ids == {"sensor.tank", "light.lamp"}


async def test_preview_leads_back_to_the_form_with_what_was_entered(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """As often as one likes, and nothing is sent before it is saved."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "dry")
    entry = await set_up()
    flows = hass.config_entries.subentries
    form = await flows.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    first = {CONF_NAME: "Tanks", CONF_TARGET: {"entity_id": ["sensor.well"]}}
    preview = await flows.async_configure(form["flow_id"], first)
    assert preview["type"] is FlowResultType.MENU
    assert preview["step_id"] == "preview_empty"
    assert preview["menu_options"] == ["save", "user"]
    _assert_is_told(preview)
    # The frontend asks again when its dialog is opened anew.
    again = await flows.async_configure(form["flow_id"])
    assert again["step_id"] == "preview_empty"

    form = await flows.async_configure(form["flow_id"], {"next_step_id": "user"})
    assert form["type"] is FlowResultType.FORM
    assert form["data_schema"]
    assert suggested(form["data_schema"]) == first | {"diagnostics": False}
    second = {CONF_NAME: "Tank", CONF_TARGET: {"entity_id": ["sensor.tank"]}}
    preview = await flows.async_configure(form["flow_id"], second)
    assert preview["step_id"] == "preview"
    _assert_is_told(preview)
    placeholders = preview["description_placeholders"]
    assert placeholders
    assert placeholders["name"] == "Tank"
    assert (placeholders["entities"], placeholders["readings"]) == ("1", "1")
    assert not entry.subentries
    assert numbers(sandbox, "home.tank", "tank") == []

    created = await flows.async_configure(form["flow_id"], {"next_step_id": "save"})
    assert created["type"] is FlowResultType.CREATE_ENTRY
    assert created["title"] == "Tank"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


async def test_preview_of_a_change_leads_back_to_its_form(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """The mirror itself is not in its own way."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(mirror("Tanks", entity_id=["sensor.tank"]))
    [subentry_id] = entry.subentries
    flows = hass.config_entries.subentries
    form = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    changed = {CONF_NAME: "Water", CONF_TARGET: {"entity_id": ["sensor.tank"]}}
    preview = await flows.async_configure(form["flow_id"], changed)
    assert (preview["step_id"], preview["menu_options"]) == (
        "preview",
        ["save", "reconfigure"],
    )
    _assert_is_told(preview)
    form = await flows.async_configure(form["flow_id"], {"next_step_id": "reconfigure"})
    assert form["data_schema"]
    assert suggested(form["data_schema"])[CONF_NAME] == "Water"
    assert [subentry.title for subentry in entry.subentries.values()] == ["Tanks"]


def _assert_is_told(menu: SubentryFlowResult) -> None:
    """See that a menu has all its texts, and that nothing in them is left open."""
    step = MIRROR["step"][menu["step_id"]]
    assert step.keys() == {"title", "description", "menu_options"}
    options = menu["menu_options"]
    assert isinstance(options, list)
    assert set(options) < step["menu_options"].keys()
    given = menu["description_placeholders"]
    assert given
    assert (step["title"] + step["description"]).format(**given)


def suggested(schema: vol.Schema | None) -> dict[str, Any]:
    """Return what a form shows before anything is entered."""
    assert schema
    return {
        str(key): key.description["suggested_value"]
        for key in schema.schema
        if key.description
    }
