"""Follow chosen entities and turn their states into readings."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, State, callback

from .client.outbox import Reading
from .mapping import SkipReason, number_of
from .names import Names
from .selection import describe

# So many can be named and sent in a few milliseconds.
_ENTITIES_AT_ONCE = 100


class Mirror:
    """One choice of entities whose states are sent on.

    Args:
        hass: Home Assistant.
        names: where each entity's numbers go.
        accept: takes the readings, in the event loop and at once.

    Attributes:
        entity_ids: the entities that are followed.
        skipped: how many states were not sent, by reason.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        names: Names,
        accept: Callable[[Iterable[Reading]], None],
    ) -> None:
        """Follow nothing yet."""
        self.entity_ids: frozenset[str] = frozenset()
        self.skipped: Counter[SkipReason] = Counter()
        self._hass = hass
        self._names = names
        self._accept = accept
        self._joining: dict[str, None] = {}
        self._cancel_joining: CALLBACK_TYPE | None = None

    @callback
    def follow(self, entity_ids: frozenset[str]) -> None:
        """Follow exactly these entities, and send what the new ones show now."""
        self._joining |= dict.fromkeys(sorted(entity_ids - self.entity_ids))
        self.entity_ids = entity_ids
        if not self._cancel_joining:
            self._send_joining()

    @callback
    def stop(self) -> None:
        """Follow nothing any more."""
        self.entity_ids = frozenset()
        self._joining.clear()
        if self._cancel_joining:
            self._cancel_joining()
            self._cancel_joining = None

    @callback
    def state_changed(self, old: State | None, new: State) -> None:
        """Send on what a followed entity shows now."""
        if old and old.last_changed == new.last_changed:
            # Nothing but an attribute has changed.
            return
        self._joining.pop(new.entity_id, None)
        self._send((new,))

    @callback
    def _send_joining(self) -> None:
        """Send what those show that have joined, in slices that hold nobody up."""
        self._cancel_joining = None
        for entity_id in (now := tuple(islice(self._joining, _ENTITIES_AT_ONCE))):
            del self._joining[entity_id]
        self._send(
            state
            for entity_id in now
            if entity_id in self.entity_ids
            and (state := self._hass.states.get(entity_id))
        )
        if self._joining:
            self._cancel_joining = self._hass.loop.call_soon(self._send_joining).cancel

    def _send(self, states: Iterable[State]) -> None:
        readings = []
        for state in states:
            number = number_of(state)
            if isinstance(number, SkipReason):
                self.skipped[number] += 1
                continue
            device_id, variable = self._names.address(
                describe(self._hass, state.entity_id)
            )
            readings.append(
                Reading(device_id, variable, number, state.last_updated_timestamp)
            )
        if readings:
            self._accept(readings)
