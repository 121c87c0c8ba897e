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
from .names import Address, Names
from .selection import Formation, describe


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
        self._places: dict[tuple[str, str | None], tuple[str | None, Address]] = {}

    @callback
    def changes(self, old: State | None, new: State) -> list[Reading]:
        """Return the numbers that are new, with the time of the change."""
        time = new.last_updated_timestamp
        readings = (
            self._of_state(new, time)
            if old is None or old.last_changed != new.last_changed
            else []
        )
        if self._attributes:
            readings += self._of_attributes(old, new, time)
        return readings

    @callback
    def present(self, state: State, time: float) -> list[Reading]:
        """Return all numbers of a state, as true at a time in seconds since 1970."""
        return [
            *self._of_state(state, time),
            *self._of_attributes(None, state, time),
        ]

    def _of_state(self, state: State, time: float) -> list[Reading]:
        number = number_of(state, self._number_by_text)
        if isinstance(number, SkipReason):
            self._skipped[number] += 1
            return []
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        device_id, variable = self._address(state.entity_id, None, unit)
        return [Reading(device_id, variable, number, time)]

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
            address = self._address(new.entity_id, attribute, unit)
            yield Reading(*address, number, time)

    def _address(
        self, entity_id: str, attribute: str | None, unit: str | None
    ) -> Address:
        """Return where a number goes, which another unit changes."""
        place = self._places.get((entity_id, attribute))
        if place and place[0] == unit:
            return place[1]
        entity = describe(self._hass, entity_id, self._formation)
        if attribute is None:
            if unit and isinstance(unit, str):
                # A past state may have had another one than the present one.
                entity = replace(entity, unit=unit)
            address = self._names.address(entity)
        else:
            address = self._names.attribute_address(entity, attribute, unit)
        self._places[entity_id, attribute] = (unit, address)
        return address
