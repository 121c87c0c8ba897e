"""Collect what Home Assistant knows of the devices and variables that it sends to."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict, cast

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)

from .client.management_protocol import MAX_CHARS, MAX_DECIMAL_PLACES
from .mirror import Mirror
from .names import Described, Given, Names
from .selection import Formation, describe


class DeviceDetails(TypedDict, total=False):
    """What is known of a device; nothing is said of what is not known."""

    name: str
    location: str
    sensor_type: str
    firmware_version: str


class VariableDetails(TypedDict, total=False):
    """What is known of a variable; nothing is said of what is not known."""

    display_name: str
    unit: str
    decimal_places: int


class Following(NamedTuple):
    """What a mirror follows at one time.

    Attributes:
        entity_ids: the entities.
        formation: which device each belongs to.
    """

    entity_ids: frozenset[str]
    formation: Formation


class Knowledge:
    """What Home Assistant knows of the devices and variables of one config entry.

    Args:
        hass: Home Assistant.
        names: what was given to which entity.
        mirrors: those that run now, by the ids of their subentries.
    """

    def __init__(
        self, hass: HomeAssistant, names: Names, mirrors: Mapping[str, Mirror]
    ) -> None:
        """Look nothing up yet."""
        self._hass = hass
        self._names = names
        self._mirrors = mirrors
        self._entities = er.async_get(hass).entities
        self._keys: dict[str, list[str]] = {}
        self._names_indexed = 0

    @callback
    def forget(self, device_ids: Collection[str]) -> None:
        """Give no heed any more to devices that are gone, so that they begin anew."""
        self._names.forget(device_ids)
        self._names_indexed = 0

    @callback
    def device_ids(self) -> list[str]:
        """Return the devices that names were given in."""
        return list(self._keys_by_device())

    @callback
    def mirrors_of(self, device_id: str) -> set[str]:
        """Return the mirrors that send to a device now."""
        return {mirror_id for mirror_id, _, _ in self._followed(device_id)}

    @callback
    def following(self, mirror_ids: Collection[str]) -> dict[str, Following]:
        """Return what those of some mirrors follow that run now."""
        return {
            mirror_id: Following(mirror.entity_ids, mirror.formation)
            for mirror_id, mirror in self._mirrors.items()
            if mirror_id in mirror_ids
        }

    def users(
        self, device_id: str, mirrors: Mapping[str, Following]
    ) -> Iterator[set[str]]:
        """Yield for each name in a device which of some mirrors send to it.

        A device may have very many names: whoever asks may pause after each.
        """
        for entity_id, given in self._given_in(device_id):
            yield {
                mirror_id
                for mirror_id, mirror in mirrors.items()
                if _follows(mirror, entity_id, given)
            }

    @callback
    def device(self, device_id: str) -> DeviceDetails:
        """Return what is known of a device, nothing if no mirror sends to it."""
        described = (
            entity
            for mirror_id, entity_id, given in self._followed(device_id)
            if (entity := self._describe(mirror_id, entity_id)).group == given.group
        )
        first = next(described, None)
        if first is None:
            return {}
        if first.group:
            return _group_details(self._hass, first)
        return _device_details(self._hass, [first, *described])

    @callback
    def variables(self, device_id: str) -> Iterator[tuple[str, VariableDetails]]:
        """Yield what is known of each variable of a device that is sent now."""
        for _, entity_id, given in self._followed(device_id):
            details = _variable_details(self._hass, entity_id, given)
            yield given.address.variable, details

    def _describe(self, mirror_id: str, entity_id: str) -> Described:
        return describe(self._hass, entity_id, self._mirrors[mirror_id].formation)

    def _keys_by_device(self) -> dict[str, list[str]]:
        """Look the names up anew if there are others, which is rare."""
        if self._names_indexed != len(self._names):
            self._keys = self._names.keys_by_device()
            self._names_indexed = len(self._names)
        return self._keys

    def _followed(self, device_id: str) -> Iterator[tuple[str, str, Given]]:
        """Yield mirror, entity and name of what is sent to a device."""
        for entity_id, given in self._given_in(device_id):
            for mirror_id, mirror in self._mirrors.items():
                if _follows(mirror, entity_id, given):
                    yield mirror_id, entity_id, given

    def _given_in(self, device_id: str) -> Iterator[tuple[str, Given]]:
        """Yield each entity that has a name in a device, with that name."""
        for key in self._keys_by_device().get(device_id, ()):
            given = self._names.given(key)
            if given is None:
                # Its entity has been registered since, and has another key.
                self._names_indexed = 0
                continue
            if entity_id := self._entity_id(given.key):
                yield entity_id, given

    def _entity_id(self, key: str) -> str | None:
        """Return the entity that has this key, if there still is one."""
        if "." in key:
            return key
        entry = self._entities.get_entry(key)
        return entry.entity_id if entry else None


def _follows(mirror: Following | Mirror, entity_id: str, given: Given) -> bool:
    """Tell whether a mirror sends what an entity was given a name for."""
    return entity_id in mirror.entity_ids and mirror.formation.may_give(given.group)


def _device_details(hass: HomeAssistant, entities: list[Described]) -> DeviceDetails:
    """Return what is known of Home Assistant's device of some entities, if it has one."""
    first = entities[0]
    devices = dr.async_get(hass)
    device = devices.async_get(first.device_key) if first.device_key else None
    # What is only a part of a device is of the model that the whole is.
    parent_id = getattr(device, "parent_device_id", None)
    whole = devices.async_get(parent_id) if parent_id else device
    details = _texts(
        name=first.device_name or first.name,
        location=_area(hass, device.area_id if device else None, entities),
        sensor_type=getattr(whole, "model", None) or getattr(whole, "model_id", None),
        firmware_version=getattr(whole, "sw_version", None),
    )
    return cast("DeviceDetails", details)


def _group_details(hass: HomeAssistant, first: Described) -> DeviceDetails:
    """Return what is known of what holds several devices: an area, or a mirror."""
    area = ar.async_get(hass).async_get_area(first.device_key or "")
    details = _texts(name=first.device_name, location=area.name if area else None)
    return cast("DeviceDetails", details)


def _area(
    hass: HomeAssistant, area_id: str | None, entities: list[Described]
) -> str | None:
    """Return the area's name, else that of the only area in which all entities are."""
    registry = er.async_get(hass)
    entries = [registry.async_get(entity.entity_id) for entity in entities]
    area_ids = {area_id or (entry.area_id if entry else None) for entry in entries}
    only_id = area_ids.pop() if len(area_ids) == 1 else None
    area = ar.async_get(hass).async_get_area(only_id) if only_id else None
    return area.name if area else None


def _variable_details(
    hass: HomeAssistant, entity_id: str, given: Given
) -> VariableDetails:
    """Return what is known of what an entity shows."""
    entry = er.async_get(hass).async_get(entity_id)
    state = hass.states.get(entity_id)
    if entry and not given.group:
        name = er.async_get_unprefixed_name(hass, entry)
    else:
        name = state.name if state else ""
    if given.attribute:
        words = given.attribute.replace("_", " ")
        name = f"{name} {words}" if name else words.capitalize()
    texts = _texts(display_name=name, unit=given.unit)
    details = cast("VariableDetails", texts)
    if given.attribute or not entry:
        return details
    options: Mapping[str, Any] = entry.options.get("sensor", {})
    for option in ("display_precision", "suggested_display_precision"):
        if isinstance(decimals := options.get(option), int):
            # Some round to tens or more.
            details["decimal_places"] = min(max(decimals, 0), MAX_DECIMAL_PLACES)
            break
    return details


def _texts(**texts: object) -> dict[str, str]:
    """Return those that are texts, none longer than the server stores."""
    return {
        key: text.strip()[: MAX_CHARS[key]]
        for key, text in texts.items()
        if isinstance(text, str) and text.strip()
    }
