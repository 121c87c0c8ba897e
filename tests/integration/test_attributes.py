"""Numbers in attributes become variables of their own."""

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant, State
import pytest

from custom_components.sensorvision.attributes import (
    ATTRIBUTES,
    SENSIBLE_ATTRIBUTES,
    number_of_attribute,
    unit_of_attribute,
)
from custom_components.sensorvision.const import SUBENTRY_TYPE_MIRROR
from custom_components.sensorvision.names import Address, Names
from custom_components.sensorvision.selection import describe
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror_of, numbers, until

_DATA = {
    "target": {"entity_id": ["climate.hall"]},
    "values": {"attributes": ["climate-current_temperature", "light-brightness"]},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (21.5, 21.5),
        (0, 0),
        (255, 255),
        (True, None),
        (None, None),
        ("21.5", None),
        (float("nan"), None),
        (float("inf"), None),
        (1e14, None),
        ([1], None),
    ],
)
def test_only_numbers_that_the_server_can_hold_are_sent(
    value: object, expected: float | None
) -> None:
    assert number_of_attribute(State("light.x", "on", {"a": value}), "a") == expected
    assert number_of_attribute(State("light.x", "unavailable", {"a": value}), "a") is (
        None
    )


async def test_attribute_is_sent_when_its_number_changes_and_only_then(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    def show(state: str, **attributes: object) -> None:
        hass.states.async_set("climate.hall", state, attributes)

    def sent() -> list[float]:
        return numbers(sandbox, "home.hall", "hall_current_temperature")

    show("heat", current_temperature=20, temperature=21)
    entry = await set_up(mirror_of(_DATA))
    runtime = entry.runtime_data
    await until(lambda: sent() == [20])
    show("heat", current_temperature=20, temperature=22)
    show("off", current_temperature=20, temperature=22)
    show("off", current_temperature=20.5, temperature=22)
    await until(lambda: sent() == [20, 20.5])
    show("unavailable")
    show("off", current_temperature=20.5)
    await until(lambda: sent() == [20, 20.5, 20.5])
    await until(lambda: runtime.status.delivered == 3)
    assert numbers(sandbox, "home.hall", "hall_temperature") == []


async def test_attribute_that_is_chosen_later_is_sent_at_once(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("climate.hall", "heat", {"current_temperature": 20})
    entry = await set_up(mirror_of({"target": _DATA["target"]}))
    assert not entry.runtime_data.outbox
    [subentry] = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, data=_DATA)
    await until(
        lambda: numbers(sandbox, "home.hall", "hall_current_temperature") == [20]
    )


def test_attribute_keeps_its_variable(hass: HomeAssistant, house: House) -> None:
    """Also when its entity gets an entry in the registry."""
    names = Names("home", None)
    hass.states.async_set("light.lamp", "on")
    lamp = describe(hass, "light.lamp")
    first = names.attribute_address(lamp, "brightness", None)
    assert first == Address("home.lamp", "lamp_brightness")
    hass.states.async_remove("light.lamp")
    house.entity("light.lamp", "on")
    again = Names("home", names.as_stored())
    lamp = describe(hass, "light.lamp")
    assert again.attribute_address(lamp, "brightness", None) == first
    assert again.address(lamp) == Address("home.lamp", "lamp")


@pytest.mark.parametrize(
    ("state", "attribute", "unit"),
    [
        (State("climate.x", "heat"), "temperature", "°F"),
        (State("fan.x", "on"), "percentage", "%"),
        (State("light.x", "on"), "brightness", None),
        (State("light.x", "on"), "color_temp_kelvin", "K"),
        (State("weather.x", "sunny"), "pressure", None),
        (State("weather.x", "sunny", {"pressure_unit": 5}), "pressure", None),
        (State("weather.x", "sunny", {"pressure_unit": "hPa"}), "pressure", "hPa"),
    ],
)
def test_attribute_has_the_unit_that_home_assistant_gives_it(
    state: State, attribute: str, unit: str | None
) -> None:
    assert unit_of_attribute(state, attribute, "°F") == unit


async def test_form_offers_all_and_proposes_sensible_ones(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    entry = await set_up()
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_MIRROR), context={"source": SOURCE_USER}
    )
    assert form["data_schema"]
    values = form["data_schema"].schema["values"].schema.schema
    [(key, selector)] = [item for item in values.items() if item[0] == "attributes"]
    assert key.description == {"suggested_value": list(SENSIBLE_ATTRIBUTES)}
    assert selector.config["options"] == list(ATTRIBUTES)
    assert set(SENSIBLE_ATTRIBUTES) < set(ATTRIBUTES)
