"""Let each mirror follow what its choice means, whatever happens to the registries."""

import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import (
    CALLBACK_TYPE,
    CoreState,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.start import async_at_started

from .choice import Choice
from .const import CONF_LEAVE_OUT, CONF_TARGET, SUBENTRY_TYPE_MIRROR
from .mirror import Accept, Mirror
from .names import Names
from .problems import Missing, Problems
from .selection import Formation, Registry

_LOGGER = logging.getLogger(__name__)

_RESOLVE_AFTER_S = 0.5

_REGISTRY_EVENTS = (
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    ar.EVENT_AREA_REGISTRY_UPDATED,
    fr.EVENT_FLOOR_REGISTRY_UPDATED,
    lr.EVENT_LABEL_REGISTRY_UPDATED,
)


class Resolver:
    """The mirrors of one config entry, each with the entities that its choice means.

    However much changes at once, it resolves all choices in one pass, half a second
    after the first change.

    Attributes:
        mirrors: by the ids of their subentries.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        names: Names,
        accept: Accept,
        problems: Problems,
    ) -> None:
        """Prepare, and start nothing yet."""
        self.mirrors: dict[str, Mirror] = {}
        self._hass = hass
        self._entry = entry
        self._names = names
        self._accept = accept
        self._problems = problems
        self._entities = er.async_get(hass).entities
        self._mirror_of: dict[str, Mirror] = {}
        self._finds_unregistered = False
        self._stops: list[CALLBACK_TYPE] = []
        self._debouncer = Debouncer(
            hass,
            _LOGGER,
            cooldown=_RESOLVE_AFTER_S,
            immediate=False,
            function=self.resolve,
        )

    @callback
    def start(self) -> None:
        """Follow what is chosen, and go on following what comes and goes."""
        for event_type in _REGISTRY_EVENTS:
            self._stops.append(
                self._hass.bus.async_listen(event_type, self._registry_updated)
            )
        self._stops.append(
            self._hass.bus.async_listen(
                EVENT_STATE_CHANGED, self._state_changed, self._is_of_interest
            )
        )
        self.resolve()
        # Only then is it known what is missing rather than late.
        self._stops.append(async_at_started(self._hass, self._started))

    @callback
    def stop(self) -> None:
        """Follow nothing any more."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._debouncer.async_shutdown()
        for mirror in self.mirrors.values():
            mirror.stop()

    @callback
    def hand_over(self) -> None:
        """Let each mirror hand over now what it has captured."""
        for mirror in self.mirrors.values():
            mirror.hand_over()

    @callback
    def resolve(self) -> None:
        """Let each mirror follow what it means now, no entity in two of them."""
        subentries = {
            subentry.subentry_id: subentry
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
        }
        for subentry_id in self.mirrors.keys() - subentries.keys():
            self.mirrors.pop(subentry_id).stop()
        registry = Registry(self._hass)
        mirror_of: dict[str, Mirror] = {}
        missing: list[Missing] = []
        self._finds_unregistered = False
        for subentry_id, subentry in subentries.items():
            choice = Choice.of(subentry.data)
            selection = registry.select(choice)
            mirror = self.mirrors.setdefault(
                subentry_id, Mirror(self._hass, self._names, self._accept)
            )
            entity_ids = selection.entity_ids - mirror_of.keys()
            mirror.follow(
                entity_ids,
                choice,
                Formation(choice.formed_by, subentry_id, subentry.title),
            )
            mirror_of |= dict.fromkeys(entity_ids, mirror)
            self._finds_unregistered |= choice.include.has_patterns
            if selection.missing and self._hass.state is CoreState.running:
                missing.append(Missing(subentry_id, subentry.title, selection.missing))
        self._mirror_of = mirror_of
        self._problems.show_missing(missing)

    @callback
    def _started(self, _hass: HomeAssistant) -> None:
        self.resolve()

    @callback
    def _is_of_interest(self, data: EventStateChangedData) -> bool:
        """Tell cheaply: it is asked for each new state of the house."""
        return data["entity_id"] in self._mirror_of or (
            self._finds_unregistered and data["old_state"] is None
        )

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        data = event.data
        entity_id = data["entity_id"]
        has_come_or_gone = data["old_state"] is None or data["new_state"] is None
        if has_come_or_gone and entity_id not in self._entities:
            # No registry says that it came or went.
            self._debouncer.async_schedule_call()
        if mirror := self._mirror_of.get(entity_id):
            mirror.state_changed(data)

    @callback
    def _registry_updated(self, event: Event[Any]) -> None:
        if old_entity_id := event.data.get("old_entity_id"):
            self._rename_chosen(old_entity_id, event.data["entity_id"])
        self._debouncer.async_schedule_call()

    def _rename_chosen(self, old_entity_id: str, new_entity_id: str) -> None:
        """Keep an entity that was chosen by its id chosen after a rename."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR):
            data = _renamed(dict(subentry.data), old_entity_id, new_entity_id)
            if CONF_LEAVE_OUT in data:
                data[CONF_LEAVE_OUT] = _renamed(
                    data[CONF_LEAVE_OUT], old_entity_id, new_entity_id
                )
            if data != subentry.data:
                self._hass.config_entries.async_update_subentry(
                    self._entry, subentry, data=data
                )


def _renamed(
    data: dict[str, Any], old_entity_id: str, new_entity_id: str
) -> dict[str, Any]:
    """Return the data with the entity's new id where its target had the old one."""
    target = data.get(CONF_TARGET, {})
    if old_entity_id not in target.get("entity_id", ()):
        return data
    entity_ids = [
        new_entity_id if entity_id == old_entity_id else entity_id
        for entity_id in target["entity_id"]
    ]
    return {**data, CONF_TARGET: {**target, "entity_id": entity_ids}}
