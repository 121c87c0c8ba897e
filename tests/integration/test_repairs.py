"""Repair issues that Home Assistant mends itself, once a person has said so."""

from dataclasses import replace
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components import sensorvision
from custom_components.sensorvision.const import (
    CONF_DOMAINS,
    CONF_MORE,
    CONF_TARGET,
    DOMAIN,
)
from sandbox import Sandbox

from .conftest import Ask, SetUp
from .house import House, mirror, mirror_of, numbers, until
from .test_problems import delete_device, give_to_others, shown_issues
from .test_translations import TEXTS


async def _open(hass: HomeAssistant, ask: Ask) -> dict[str, Any]:
    """Open the fix of the only issue."""
    [issue] = [
        issue for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN
    ]
    assert issue.is_fixable
    shown = await ask("", {"handler": DOMAIN, "issue_id": issue.issue_id})
    texts = TEXTS["issues"][issue.translation_key]["fix_flow"]
    if shown["type"] == "abort":
        text = texts["abort"][shown["reason"]]
        assert "{" not in text.format(**shown["description_placeholders"] or {})
    else:
        assert "{" not in texts["step"][shown["step_id"]]["description"].format(
            **shown["description_placeholders"]
        )
    return shown


def _subentry(entry: MockConfigEntry) -> ConfigSubentry:
    subentries: list[ConfigSubentry] = list(entry.subentries.values())
    [subentry] = subentries
    return subentry


async def test_missing_things_are_taken_out_of_the_mirror(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, ask: Ask
) -> None:
    """And nothing else, not even what has the same name and another kind."""
    house.entity("sensor.tank", "70")
    ar.async_get(hass).async_create("Attic")
    entry = await set_up(
        mirror(
            "Water",
            entity_id=["sensor.tank", "sensor.well"],
            area_id=["attic"],
            label_id=["attic", "wet"],
            device_id=["d0"],
        )
    )
    form = await _open(hass, ask)
    assert form["step_id"] == "confirm"
    assert form["description_placeholders"] == {
        "entry": "127.0.0.1",
        "mirror": "Water",
        "missing": "attic, d0, sensor.well, wet",
    }
    assert len(_subentry(entry).data[CONF_TARGET]) == 4
    done = await ask(f"/{form['flow_id']}", {})
    assert done["type"] == "create_entry"
    assert _subentry(entry).data[CONF_TARGET] == {
        "entity_id": ["sensor.tank"],
        "area_id": ["attic"],
    }
    assert _subentry(entry).title == "Water"
    await until(lambda: not shown_issues(hass))
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [71])


@pytest.mark.usefixtures("sandbox")
async def test_mirror_that_goes_on_by_domain_may_lose_its_target(
    hass: HomeAssistant, set_up: SetUp, ask: Ask
) -> None:
    chosen = {
        CONF_TARGET: {"entity_id": ["sensor.gone"]},
        CONF_MORE: {CONF_DOMAINS: ["sensor"]},
    }
    entry = await set_up(mirror_of(chosen))
    form = await _open(hass, ask)
    await ask(f"/{form['flow_id']}", {})
    assert _subentry(entry).data == chosen | {CONF_TARGET: {}}
    await until(lambda: not shown_issues(hass))


@pytest.mark.usefixtures("sandbox")
async def test_mirror_that_would_be_left_empty_stays_as_it_is(
    hass: HomeAssistant, set_up: SetUp, ask: Ask
) -> None:
    """The person is told where to choose something else."""
    entry = await set_up(mirror("Wells", entity_id=["sensor.gone"]))
    ended = await _open(hass, ask)
    assert (ended["type"], ended["reason"]) == ("abort", "nothing_left")
    assert ended["description_placeholders"]["mirror"] == "Wells"
    assert _subentry(entry).data[CONF_TARGET] == {"entity_id": ["sensor.gone"]}
    assert shown_issues(hass)


@pytest.mark.usefixtures("sandbox")
async def test_mirror_that_was_removed_meanwhile_needs_no_mending(
    hass: HomeAssistant, set_up: SetUp, house: House, ask: Ask
) -> None:
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.gone"]))
    form = await _open(hass, ask)
    hass.config_entries.async_remove_subentry(entry, _subentry(entry).subentry_id)
    ended = await ask(f"/{form['flow_id']}", {})
    assert (ended["type"], ended["reason"]) == ("abort", "mirror_gone")


async def test_refused_device_is_tried_again_at_once(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The notice comes back while it is still refused, and goes with the first yes."""
    patient = replace(sensorvision.PACE, refused_device_s=3600)
    monkeypatch.setattr(sensorvision, "PACE", patient)
    give_to_others(sandbox, "home.tank")
    house.entity("sensor.tank", "70")
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: shown_issues(hass))
    posts = len(sandbox.requests)
    form = await _open(hass, ask)
    assert form["description_placeholders"]["device"] == "home.tank"
    assert (await ask(f"/{form['flow_id']}", {}))["type"] == "create_entry"
    await until(lambda: len(sandbox.requests) > posts and shown_issues(hass))

    delete_device(sandbox, "home.tank")
    form = await _open(hass, ask)
    await ask(f"/{form['flow_id']}", {})
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: not shown_issues(hass))


async def test_nothing_is_tried_while_mirroring_is_off(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House, ask: Ask
) -> None:
    """Or once the entry is no longer loaded."""
    give_to_others(sandbox, "home.tank")
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: shown_issues(hass))
    forms = [await _open(hass, ask) for _ in range(2)]
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    ended = await ask(f"/{forms[0]['flow_id']}", {})
    assert (ended["type"], ended["reason"]) == ("abort", "not_running")
    assert await hass.config_entries.async_unload(entry.entry_id)
    ended = await ask(f"/{forms[1]['flow_id']}", {})
    assert ended["reason"] == "not_running"


async def test_notice_that_only_tells_is_dismissed(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, ask: Ask
) -> None:
    """Nothing is to be mended when a unit has changed."""
    hass.states.async_set("sensor.tank", "20", {"unit_of_measurement": "°C"})
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [20])
    hass.states.async_set("sensor.tank", "68", {"unit_of_measurement": "°F"})
    await until(lambda: shown_issues(hass))
    form = await _open(hass, ask)
    assert form["description_placeholders"]["new_unit"] == "°F"
    done = await ask(f"/{form['flow_id']}", {})
    assert done["type"] == "create_entry"
    assert not shown_issues(hass)
