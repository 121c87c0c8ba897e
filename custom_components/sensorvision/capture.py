"""Turn what an entity shows into readings."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, State, callback

from .attributes import ATTRIBUTES, number_of_attribute, unit_of_attribute
from .choice import Choice
from .client.readings import Reading
from .mapping import SkipReason, number_of
from .names import Names
from .selection import Formation, describe

# A unit, and the device and the variable that numbers in it go to.
type _Place = tuple[str | None, str, str]


class Capture:
    """What a mirror makes of states, as its choice says.

    It looks up only once where an entity's numbers go, so it is good until a registry
    changes.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        names: Names,
        choice: Choice,
        formation: Formation,
        skipped: Counter[SkipReason],
    ) -> None:
        """Look nothing up yet; count in `skipped` the states that are not sent."""
        self._hass = hass
        self._names = names
        self._number_by_text = choice.number_by_text
        self._formation = formation
        self._skipped = skipped
        self._attributes: dict[str, list[str]] = {}
        for chosen in ATTRIBUTES:
            if chosen in choice.attributes:
                domain, _, attribute = chosen.partition("-")
                self._attributes.setdefault(domain, []).append(attribute)
        self._places: dict[str, _Place] = {}
        self._places_of_attributes: dict[tuple[str, str], _Place] = {}

    @callback
    def add_changes(
        self, readings: list[Reading], old: State | None, new: State
    ) -> None:
        """Append the numbers that are new, with the time of the change."""
        if old is None or old.last_changed != new.last_changed:
            self._add_state(readings, new, new.last_updated_timestamp)
        if self._attributes:
            readings += self._of_attributes(old, new, new.last_updated_timestamp)

    @callback
    def present(self, state: State, time: float) -> list[Reading]:
        """Return all numbers of a state, as true at a time in seconds since 1970."""
        readings: list[Reading] = []
        self._add_state(readings, state, time)
        readings += self._of_attributes(None, state, time)
        return readings

    def _add_state(self, readings: list[Reading], state: State, time: float) -> None:
        number = number_of(state, self._number_by_text)
        # To be an instance of an enum takes several times as long to find out.
        if isinstance(number, str):
            self._skipped[number] += 1
            return
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        place = self._places.get(state.entity_id)
        if place is None or place[0] != unit:
            place = self._find(state.entity_id, unit)
        _, device_id, variable = place
        readings.append(Reading(device_id, variable, number, time))

    def _of_attributes(
        self, old: State | None, new: State, time: float
    ) -> Iterator[Reading]:
        for attribute in self._attributes.get(new.domain, ()):
            number = number_of_attribute(new, attribute)
            if number is None or (
                old and number_of_attribute(old, attribute) == number
            ):
                continue
            unit = unit_of_attribute(
                new, attribute, self._hass.config.units.temperature_unit
            )
            place = self._places_of_attributes.get((new.entity_id, attribute))
            if place is None or place[0] != unit:
                place = self._find_attribute(new.entity_id, attribute, unit)
            yield Reading(place[1], place[2], number, time)

    def _find(self, entity_id: str, unit: str | None) -> _Place:
        """Look up where an entity's numbers go, which another unit changes."""
        entity = describe(self._hass, entity_id, self._formation)
        if unit and isinstance(unit, str):
            # A past state may have had another one than the present one.
            entity = replace(entity, unit=unit)
        place = self._places[entity_id] = (unit, *self._names.address(entity))
        return place

    def _find_attribute(
        self, entity_id: str, attribute: str, unit: str | None
    ) -> _Place:
        """Look up where an attribute's numbers go, which another unit changes."""
        entity = describe(self._hass, entity_id, self._formation)
        address = self._names.attribute_address(entity, attribute, unit)
        place = self._places_of_attributes[entity_id, attribute] = (unit, *address)
        return place
