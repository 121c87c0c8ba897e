"""Find the entities that a choice means."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from homeassistant.const import (
    ATTR_AREA_ID,
    ATTR_DEVICE_CLASS,
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    ATTR_FLOOR_ID,
    ATTR_FRIENDLY_NAME,
    ATTR_LABEL_ID,
    ATTR_UNIT_OF_MEASUREMENT,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.target import (
    SelectedEntities,
    TargetSelection,
    async_extract_referenced_entity_ids,
)

from .choice import Choice, FormedBy, Target
from .const import DOMAIN
from .names import Described


@dataclass(frozen=True)
class Formation:
    """Which SensorVision device an entity of a mirror belongs to.

    Attributes:
        by: what there is one device for.
        mirror_id: the id of the mirror's subentry.
        mirror_name: the mirror's title.
    """

    by: FormedBy = FormedBy.DEVICE
    mirror_id: str = ""
    mirror_name: str = ""

    def may_give(self, group: str) -> bool:
        """Tell whether an entity may be of a group, as in `Described`."""
        if self.by is FormedBy.AREA:
            return True
        own_group = f"@{self.mirror_id}" if self.by is FormedBy.MIRROR else ""
        return group == own_group


@dataclass(frozen=True)
class Selection:
    """The entities that a mirror's choice means now.

    Attributes:
        entity_ids: what to mirror.
        missing: chosen things that do not exist, as a person knows them.
    """

    entity_ids: frozenset[str]
    missing: tuple[str, ...]


class Registry:
    """What the registries and the state machine hold, read at most once for many choices.

    It is good for one pass in the event loop, because it does not see later changes.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Read nothing yet."""
        self._hass = hass
        self._entries = er.async_get(hass).entities.data

    @callback
    def select(self, choice: Choice) -> Selection:
        """Resolve a choice; this integration's own entities are never part of it."""
        chosen = self._extract(
            choice.include.target, with_diagnostics=choice.with_diagnostics
        )
        entity_ids = chosen.referenced | chosen.indirectly_referenced
        if choice.include.has_patterns:
            entity_ids |= choice.include.matching(
                self._visible if choice.with_diagnostics else self._primary
            )
        if choice.leave_out:
            left_out = self._extract(choice.leave_out.target, with_diagnostics=True)
            entity_ids -= left_out.referenced
            entity_ids -= left_out.indirectly_referenced
            entity_ids -= choice.leave_out.matching(entity_ids)
        return Selection(
            frozenset(entity_ids - self._never_followed),
            tuple(sorted(set().union(*self._missing(chosen).values()))),
        )

    @callback
    def without_missing(self, target: Target) -> Target:
        """Return what of a target exists."""
        missing = self._missing(self._extract(target, with_diagnostics=True))
        kept = {
            kind: [name for name in names if name not in missing.get(kind, ())]
            for kind, names in target.items()
        }
        return {kind: names for kind, names in kept.items() if names}

    def _missing(self, chosen: SelectedEntities) -> dict[str, set[str]]:
        """Return what was chosen and does not exist, by its kind in a target."""
        entity_ids = {
            entity_id
            for entity_id in chosen.referenced
            if entity_id not in self._entries
            and self._hass.states.get(entity_id) is None
        }
        return {
            ATTR_ENTITY_ID: entity_ids,
            ATTR_DEVICE_ID: chosen.missing_devices,
            ATTR_AREA_ID: chosen.missing_areas,
            ATTR_FLOOR_ID: chosen.missing_floors,
            ATTR_LABEL_ID: chosen.missing_labels,
        }

    def _extract(self, target: Target, *, with_diagnostics: bool) -> SelectedEntities:
        return async_extract_referenced_entity_ids(
            self._hass,
            TargetSelection(dict(target)),
            expand_group=False,
            primary_entities_only=not with_diagnostics,
        )

    @cached_property
    def _never_followed(self) -> set[str]:
        """Return what is disabled, and this integration's own entities."""
        return {
            entity_id
            for entity_id, entry in self._entries.items()
            if entry.disabled_by is not None or entry.platform == DOMAIN
        }

    @cached_property
    def _visible(self) -> list[str]:
        """Return all entities that nobody has hidden, registered or not."""
        return [
            *[
                entity_id
                for entity_id, entry in self._entries.items()
                if entry.hidden_by is None
            ],
            *self._unregistered,
        ]

    @cached_property
    def _primary(self) -> list[str]:
        """Return those that are neither diagnostic nor for configuration."""
        return [
            *[
                entity_id
                for entity_id, entry in self._entries.items()
                if entry.hidden_by is None and entry.entity_category is None
            ],
            *self._unregistered,
        ]

    @cached_property
    def _unregistered(self) -> list[str]:
        return [
            entity_id
            for entity_id in self._hass.states.async_entity_ids()
            if entity_id not in self._entries
        ]


@callback
def describe(
    hass: HomeAssistant, entity_id: str, formation: Formation | None = None
) -> Described:
    """Collect what an entity is named after.

    Args:
        hass: Home Assistant.
        entity_id: the entity.
        formation: which device it belongs to, by default Home Assistant's.
    """
    state = hass.states.get(entity_id)
    attributes: Mapping[str, Any] = state.attributes if state else {}
    unit = _text(attributes, ATTR_UNIT_OF_MEASUREMENT)
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None:
        described = Described(
            key=entity_id,
            device_key=None,
            device_name=None,
            name=_text(attributes, ATTR_FRIENDLY_NAME),
            device_class=_text(attributes, ATTR_DEVICE_CLASS),
            entity_id=entity_id,
            unit=unit,
        )
        return _formed(described, formation, None)
    device = dr.async_get(hass).async_get(entry.device_id) if entry.device_id else None
    described = Described(
        key=entry.id,
        device_key=device.id if device else None,
        device_name=(device.name_by_user or device.name) if device else None,
        name=entry.name or entry.original_name,
        device_class=entry.device_class or entry.original_device_class,
        entity_id=entity_id,
        unit=unit or entry.unit_of_measurement,
    )
    area_id = entry.area_id or (device.area_id if device else None)
    area = ar.async_get(hass).async_get_area(area_id) if area_id else None
    return _formed(described, formation, area)


def _formed(
    entity: Described, formation: Formation | None, area: ar.AreaEntry | None
) -> Described:
    """Return an entity as part of the SensorVision device that it is to belong to."""
    if formation and formation.by is FormedBy.MIRROR:
        return entity.within(formation.mirror_id, formation.mirror_name)
    if formation and formation.by is FormedBy.AREA and area:
        return entity.within(area.id, area.name)
    return entity


def _text(attributes: Mapping[str, Any], key: str) -> str | None:
    """Return an attribute if it is a text: anybody can set it to anything."""
    value = attributes.get(key)
    return value if isinstance(value, str) else None
