"""Numbers in another unit go to another variable, and a person is told."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.sensorvision.const import DOMAIN
from custom_components.sensorvision.names import Address, Described, Names
from custom_components.sensorvision.selection import describe
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, mirror_of, numbers, until


def _show(hass: HomeAssistant, number: float, unit: str | None) -> None:
    attributes = {"unit_of_measurement": unit} if unit else {}
    hass.states.async_set("sensor.tank", str(number), attributes)


def _changes(hass: HomeAssistant) -> list[dict[str, str] | None]:
    return [
        issue.translation_placeholders
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.translation_key == "unit_changed"
    ]


async def test_numbers_in_another_unit_go_to_a_variable_of_their_own(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    _show(hass, 20, "°C")
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [20])
    assert not _changes(hass)
    _show(hass, 68, "°F")
    await until(lambda: numbers(sandbox, "home.tank", "tank_f") == [68])
    [said] = _changes(hass)
    assert said == {
        "entry": "127.0.0.1",
        "entity": "sensor.tank",
        "old_unit": "°C",
        "new_unit": "°F",
        "device": "home.tank",
        "old_variable": "tank",
        "new_variable": "tank_f",
    }
    _show(hass, 21, "°C")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [20, 21])
    _show(hass, 70, "°F")
    await until(lambda: numbers(sandbox, "home.tank", "tank_f") == [68, 70])
    assert len(_changes(hass)) == 1


async def test_unit_is_remembered_over_a_restart_and_told_until_a_person_knows(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    _show(hass, 20, "°C")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [20])
    assert await hass.config_entries.async_unload(entry.entry_id)
    _show(hass, 68, "°F")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: numbers(sandbox, "home.tank", "tank_f") == [68])
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert len(_changes(hass)) == 1
    await hass.config_entries.async_remove(entry.entry_id)
    assert not _changes(hass)


async def test_unit_that_is_not_said_changes_nothing(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    for number, unit in ((20, None), (21, "°C"), (22, None)):
        _show(hass, number, unit)
        if number == 20:
            await set_up(mirror(entity_id=["sensor.tank"]))
        await until(
            lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [number]  # noqa: B023
        )
    assert not _changes(hass)


async def test_attribute_has_a_unit_too(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    def show(pressure: float, unit: str) -> None:
        attributes = {"pressure": pressure, "pressure_unit": unit}
        hass.states.async_set("weather.home", "sunny", attributes)

    show(1013, "hPa")
    data: dict[str, Any] = {
        "target": {"entity_id": ["weather.home"]},
        "values": {"attributes": ["weather-pressure"]},
    }
    await set_up(mirror_of(data))
    await until(lambda: numbers(sandbox, "home.home", "home_pressure") == [1013])
    show(29.9, "inHg")
    await until(lambda: numbers(sandbox, "home.home", "home_pressure_inhg") == [29.9])
    assert len(_changes(hass)) == 1


@pytest.mark.parametrize("formed", [True, False])
def test_unit_stays_known_when_an_entity_gets_an_entry(
    hass: HomeAssistant, house: House, formed: bool
) -> None:
    def described() -> Described:
        tank = describe(hass, "sensor.tank")
        return tank.within("1", "Water") if formed else tank

    names = Names("home", None)
    _show(hass, 20, "°C")
    first = names.address(described())
    _show(hass, 68, "°F")
    second = names.address(described())
    assert second == Address(first.device_id, f"{first.variable}_f")
    hass.states.async_remove("sensor.tank")
    house.entity("sensor.tank", "20")
    again = Names("home", names.as_stored())
    assert again.address(described()) == first
    _show(hass, 68, "°F")
    assert again.address(described()) == second
    assert not again.take_unit_changes()


def test_names_from_before_there_were_units_stay(hass: HomeAssistant) -> None:
    _show(hass, 20, "°C")
    tank = describe(hass, "sensor.tank")
    stored = Names("home", None)
    first = stored.address(tank)
    old = stored.as_stored()
    del old["units"]
    assert Names("home", old).address(tank) == first
