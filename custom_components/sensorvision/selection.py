"""Find the entities that a target means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_FRIENDLY_NAME,
    ATTR_UNIT_OF_MEASUREMENT,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)

from .const import DOMAIN
from .names import Described


@dataclass(frozen=True)
class Selection:
    """The entities that a target means now.

    Attributes:
        entity_ids: what to mirror.
        missing: chosen things that do not exist, as a person knows them.
    """

    entity_ids: frozenset[str]
    missing: tuple[str, ...]


@callback
def select(hass: HomeAssistant, target: Mapping[str, Any]) -> Selection:
    """Resolve a target; this integration's own entities are never part of it."""
    chosen = async_extract_referenced_entity_ids(
        hass, TargetSelection(dict(target)), expand_group=False
    )
    registry = er.async_get(hass)
    missing_entities = {
        entity_id
        for entity_id in chosen.referenced
        if entity_id not in registry.entities and hass.states.get(entity_id) is None
    }
    return Selection(
        frozenset(
            entity_id
            for entity_id in chosen.referenced | chosen.indirectly_referenced
            if not _is_own(registry, entity_id)
        ),
        tuple(
            sorted(
                missing_entities
                | chosen.missing_devices
                | chosen.missing_areas
                | chosen.missing_floors
                | chosen.missing_labels
            )
        ),
    )


@callback
def describe(hass: HomeAssistant, entity_id: str) -> Described:
    """Collect what an entity is named after."""
    state = hass.states.get(entity_id)
    attributes: Mapping[str, Any] = state.attributes if state else {}
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None:
        return Described(
            key=entity_id,
            device_key=None,
            device_name=None,
            name=_text(attributes, ATTR_FRIENDLY_NAME),
            device_class=_text(attributes, ATTR_DEVICE_CLASS),
            entity_id=entity_id,
            unit=_text(attributes, ATTR_UNIT_OF_MEASUREMENT),
        )
    device = dr.async_get(hass).async_get(entry.device_id) if entry.device_id else None
    return Described(
        key=entry.id,
        device_key=device.id if device else None,
        device_name=(device.name_by_user or device.name) if device else None,
        name=entry.name or entry.original_name,
        device_class=entry.device_class or entry.original_device_class,
        entity_id=entity_id,
        unit=entry.unit_of_measurement,
    )


def _is_own(registry: er.EntityRegistry, entity_id: str) -> bool:
    entry = registry.async_get(entity_id)
    return entry is not None and entry.platform == DOMAIN


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    """Return an attribute if it is a text: anybody can set it to anything."""
    value = attributes.get(key)
    return value if isinstance(value, str) else None
