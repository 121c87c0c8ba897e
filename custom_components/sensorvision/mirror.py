"""Follow chosen entities and turn their states into readings."""

from collections import Counter
from collections.abc import Callable, Iterable

from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers.event import async_track_state_change_event

from .client.outbox import Reading
from .mapping import SkipReason, number_of
from .names import Address, Names
from .selection import describe


class Mirror:
    """One choice of entities whose states are sent on.

    Args:
        hass: Home Assistant.
        names: where each entity's numbers go.
        accept: takes the readings, in the event loop and at once.
        came_or_went: called when a followed entity appears or disappears.

    Attributes:
        skipped: how many states were not sent, by reason.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        names: Names,
        accept: Callable[[Iterable[Reading]], None],
        came_or_went: Callable[[], None],
    ) -> None:
        """Follow nothing yet."""
        self.skipped: Counter[SkipReason] = Counter()
        self._hass = hass
        self._names = names
        self._accept = accept
        self._came_or_went = came_or_went
        self._addresses: dict[str, Address] = {}
        self._unsubscribe: CALLBACK_TYPE | None = None

    @property
    def entity_ids(self) -> frozenset[str]:
        """Return the entities that are followed."""
        return frozenset(self._addresses)

    @callback
    def follow(self, entity_ids: frozenset[str]) -> None:
        """Follow exactly these entities, and send what the new ones show now."""
        if entity_ids == self.entity_ids:
            return
        new = sorted(entity_ids - self.entity_ids)
        self.stop()
        self._addresses = {
            entity_id: self._names.address(describe(self._hass, entity_id))
            for entity_id in sorted(entity_ids)
        }
        self._unsubscribe = async_track_state_change_event(
            self._hass, entity_ids, self._state_changed
        )
        self._send(
            state for entity_id in new if (state := self._hass.states.get(entity_id))
        )

    @callback
    def stop(self) -> None:
        """Follow nothing any more."""
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        self._addresses = {}

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if old is None or new is None:
            self._came_or_went()
        if new is None or (old and old.last_changed == new.last_changed):
            # Gone, or nothing but an attribute has changed.
            return
        self._send((new,))

    def _send(self, states: Iterable[State]) -> None:
        readings = []
        for state in states:
            number = number_of(state)
            if isinstance(number, SkipReason):
                self.skipped[number] += 1
                continue
            device_id, variable = self._addresses[state.entity_id]
            readings.append(
                Reading(device_id, variable, number, state.last_updated_timestamp)
            )
        if readings:
            self._accept(readings)
