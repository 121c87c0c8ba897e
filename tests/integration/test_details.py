"""What is known of devices stays true while their entities come and go."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.sensorvision.choice import Choice
from custom_components.sensorvision.details import Knowledge
from custom_components.sensorvision.mirror import Mirror
from custom_components.sensorvision.names import Names
from custom_components.sensorvision.selection import Formation, describe

from .house import House

FORMATION = Formation(mirror_id="m")


@pytest.fixture
def names() -> Names:
    """Give no names yet."""
    return Names("home", None)


@pytest.fixture
def knowledge(hass: HomeAssistant, names: Names) -> Knowledge:
    """Know what a mirror of one entity sends to."""
    mirror = Mirror(hass, names, lambda _readings, _broker_id: None)
    mirror.follow(frozenset({"sensor.tank"}), Choice.of({}), FORMATION)
    return Knowledge(hass, names, {"m": mirror})


def test_entity_that_gets_an_entry_is_found_again(
    hass: HomeAssistant, house: House, names: Names, knowledge: Knowledge
) -> None:
    """It has another key then, though there are no more names than before."""
    hass.states.async_set("sensor.tank", "20")
    given = names.address(describe(hass, "sensor.tank", FORMATION))
    assert knowledge.mirrors_of(given.device_id) == {"m"}
    hass.states.async_remove("sensor.tank")
    house.entity("sensor.tank", "20", original_name="Tank")
    assert names.address(describe(hass, "sensor.tank", FORMATION)) == given
    knowledge.mirrors_of(given.device_id)
    assert knowledge.mirrors_of(given.device_id) == {"m"}
    assert knowledge.device(given.device_id) == {"name": "Tank"}


def test_entity_that_is_removed_is_sent_no_more(
    hass: HomeAssistant, house: House, names: Names, knowledge: Knowledge
) -> None:
    """Its device keeps its name on the server."""
    house.entity("sensor.tank", "20")
    given = names.address(describe(hass, "sensor.tank", FORMATION))
    assert knowledge.mirrors_of(given.device_id) == {"m"}
    er.async_get(hass).async_remove("sensor.tank")
    assert knowledge.mirrors_of(given.device_id) == set()
    assert knowledge.device(given.device_id) == {}
    assert knowledge.device_ids() == [given.device_id]
