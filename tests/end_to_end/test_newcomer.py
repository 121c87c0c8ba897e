"""A newcomer's path, and what follows, work in the real frontend in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path
import re

from playwright.async_api import Browser, expect
import pytest

from demo import newcomer as walk, upkeep
from demo.browser import DESK, Album, chromium, open_page
from demo.home_assistant import HomeAssistantApi, home_assistant
from demo.house import CHANGING, LABEL, LABELLED, RUNNING
from demo.newcomer import Newcomer
from demo.server import Server, server

_MIRRORED = (*CHANGING, *LABELLED)
_NUMBERS = {"on": "1", "off": "0"}


@pytest.fixture
async def sensorvision(tmp_path: Path) -> AsyncIterator[Server]:
    """Run a server with an account and a device."""
    async with server(tmp_path) as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[HomeAssistantApi]:
    """Run a Home Assistant in which people live."""
    async with home_assistant(tmp_path) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Run a Chromium."""
    async with chromium() as running:
        yield running


async def test_a_newcomer_sees_home_assistants_values_on_the_server(
    sensorvision: Server, house: HomeAssistantApi, browser: Browser, tmp_path: Path
) -> None:
    await house.label(LABEL, _MIRRORED)
    page = await open_page(browser, DESK)
    newcomer = Newcomer(page, house, Album(tmp_path / "pictures"))
    await walk.log_in(newcomer)
    await walk.find_integration(newcomer)
    await walk.be_warned_of_clear_text(newcomer)
    await walk.enter_wrong_token(newcomer, sensorvision)
    await walk.enter_right_token(newcomer, sensorvision)
    await walk.choose_by_label(newcomer, len(_MIRRORED))
    preview = {row.variable: row for row in await walk.look_at_preview(newcomer)}
    await walk.finish(newcomer)
    await walk.look_at_integration(newcomer)
    await walk.look_at_service(newcomer)

    # From here on the states stay as they are.
    await house.call_action("input_boolean", "turn_off", RUNNING)
    states = await walk.read_states(newcomer, _MIRRORED)
    server_page = await open_page(browser, DESK)
    await walk.look_at_server(server_page, sensorvision)
    for entity_id, state in states.items():
        row = preview[entity_id.partition(".")[2]]
        shown = walk.value_on_server(server_page, row.device_id, row.variable)
        await expect(shown).to_have_text(_NUMBERS.get(state) or f"{float(state):,.10g}")
    # Nobody has moved it between the preview and now.
    steady = preview["target_temperature"]
    assert (steady.name, steady.value) == ("Target temperature", "20.0")
    assert _complaints((tmp_path / "homeassistant.log").read_text()) == []


async def test_what_a_person_does_later_works_too(
    sensorvision: Server, house: HomeAssistantApi, browser: Browser, tmp_path: Path
) -> None:
    label_id = await house.label(LABEL, _MIRRORED)
    await house.add_integration(
        {
            "url": sensorvision.url,
            "api_key": sensorvision.token,
            "prefix": "home",
            "verify_ssl": True,
        },
        {"name": walk.MIRROR, "target": {"label_id": [label_id]}},
    )
    page = await open_page(browser, DESK)
    person = Newcomer(page, house, Album(tmp_path / "pictures"))
    await walk.log_in(person)
    await upkeep.look_at_connection(person)
    await upkeep.look_at_mirror(person)
    await upkeep.connect_broker(person, sensorvision)
    await upkeep.choose_options(person)
    await upkeep.look_at_status(person)
    await upkeep.look_at_system_information(person)
    await upkeep.replace_token(person, sensorvision)

    await upkeep.send(person, "garden", {"soil_moisture": 42.5})
    server_page = await open_page(browser, DESK)
    await walk.look_at_server(server_page, sensorvision)
    shown = walk.value_on_server(server_page, "garden", "soil_moisture")
    await expect(shown).to_have_text("42.5")

    await upkeep.repair_mirror(person)


def _complaints(log: str) -> list[str]:
    """Return what Home Assistant's log holds against the integration."""
    return [
        line
        for line in log.splitlines()
        if re.search(
            "custom_components[./]sensorvision|integration '?sensorvision", line
        )
        # What each custom integration is told.
        and "has not been tested by Home Assistant" not in line
        and " INFO " not in line
    ]
