"""One SensorVision device for each device, for each area, or for the whole mirror."""

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
import pytest

from custom_components.sensorvision.runtime import SensorVisionConfigEntry
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror_of, numbers, until

_KITCHEN = ["sensor.fridge", "sensor.thermometer", "sensor.clock"]


def _mirror(formed_by: str, entity_ids: list[str] = _KITCHEN) -> ConfigSubentryData:
    return mirror_of(
        {"target": {"entity_id": entity_ids}, "sending": {"formed_by": formed_by}},
        "My kitchen",
    )


@pytest.fixture(autouse=True)
def kitchen(hass: HomeAssistant, house: House) -> ar.AreaEntry:
    """Furnish an area with a device that is there and an entity that is there."""
    area = ar.async_get(hass).async_create("Küche")
    fridge = house.device("Fridge", area_id=area.id)
    house.entity(
        "sensor.fridge", "7", device=fridge, original_device_class="temperature"
    )
    house.entity(
        "sensor.thermometer", "21", original_name="Air temperature", area_id=area.id
    )
    hass.states.async_set("sensor.clock", "12")
    return area


async def test_device_stands_for_an_area_and_its_variables_say_whose_they_are(
    sandbox: Sandbox, set_up: SetUp
) -> None:
    """What has no area keeps a device of its own."""
    await set_up(_mirror("area"))
    await until(lambda: numbers(sandbox, "home.kuche", "fridge_temperature") == [7])
    await until(lambda: numbers(sandbox, "home.kuche", "air_temperature") == [21])
    await until(lambda: numbers(sandbox, "home.clock", "clock") == [12])


async def test_device_stands_for_the_whole_mirror(
    sandbox: Sandbox, set_up: SetUp
) -> None:
    await set_up(_mirror("mirror"))
    for variable, number in (
        ("fridge_temperature", 7),
        ("air_temperature", 21),
        ("clock", 12),
    ):
        await until(
            lambda: numbers(sandbox, "home.my_kitchen", variable) == [number]  # noqa: B023
        )


async def test_mirror_keeps_its_device_when_it_is_renamed(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up(_mirror("mirror", ["sensor.clock"]))
    await until(lambda: numbers(sandbox, "home.my_kitchen", "clock") == [12])
    [subentry] = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, title="Elsewhere")
    hass.states.async_set("sensor.clock", "13")
    await until(lambda: numbers(sandbox, "home.my_kitchen", "clock") == [12, 13])


async def test_entity_that_moves_goes_on_in_its_new_area(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """And when it comes back, in the variable that it had there."""
    cellar = ar.async_get(hass).async_create("Cellar")
    [kitchen] = [a for a in ar.async_get(hass).areas.values() if a.name == "Küche"]
    entry = await set_up(_mirror("area", ["sensor.fridge"]))
    await until(lambda: numbers(sandbox, "home.kuche", "fridge_temperature") == [7])
    registry = dr.async_get(hass)
    fridge = er.async_get(hass).async_get("sensor.fridge")
    assert fridge
    assert fridge.device_id
    registry.async_update_device(fridge.device_id, area_id=cellar.id)
    await _resolved(hass, entry)
    hass.states.async_set("sensor.fridge", "4")
    await until(lambda: numbers(sandbox, "home.cellar", "fridge_temperature") == [4])
    registry.async_update_device(fridge.device_id, area_id=kitchen.id)
    await _resolved(hass, entry)
    hass.states.async_set("sensor.fridge", "5")
    await until(lambda: numbers(sandbox, "home.kuche", "fridge_temperature") == [7, 5])


async def _resolved(hass: HomeAssistant, entry: SensorVisionConfigEntry) -> None:
    """Wait until the registries' last change has been followed."""
    entry.runtime_data.entry_updated()
    await hass.async_block_till_done()


async def test_another_formation_sends_everything_into_its_own_devices(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up(_mirror("device", ["sensor.fridge"]))
    await until(lambda: numbers(sandbox, "home.fridge", "temperature") == [7])
    [subentry] = entry.subentries.values()
    for formed_by in ("area", "device"):
        data = {**subentry.data, "sending": {"formed_by": formed_by}}
        hass.config_entries.async_update_subentry(entry, subentry, data=data)
        await hass.async_block_till_done()
    await until(lambda: numbers(sandbox, "home.kuche", "fridge_temperature") == [7])
    await until(lambda: numbers(sandbox, "home.fridge", "temperature") == [7, 7])
