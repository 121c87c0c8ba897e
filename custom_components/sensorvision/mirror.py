"""Follow chosen entities and turn their states into readings."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, State, callback

from .client.outbox import Reading
from .mapping import (
    NUMERIC_ATTRIBUTES,
    SkipReason,
    number_of,
    number_of_attribute,
)
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
        self._how: tuple[frozenset[str], Mapping[str, int | float]] = (
            frozenset(),
            {},
        )
        self._joining: dict[str, None] = {}
        self._cancel_joining: CALLBACK_TYPE | None = None

    @callback
    def follow(
        self,
        entity_ids: frozenset[str],
        attributes: frozenset[str] = frozenset(),
        number_by_text: Mapping[str, int | float] | None = None,
    ) -> None:
        """Follow exactly these entities, and send what the new ones show now.

        Args:
            entity_ids: what to follow.
            attributes: whose numbers to send too, such as `light.brightness`.
            number_by_text: what states stand for that are texts.
        """
        number_by_text = number_by_text or {}
        known = (
            self.entity_ids
            if (attributes, number_by_text) == self._how
            else frozenset()
        )
        self._joining |= dict.fromkeys(sorted(entity_ids - known))
        self.entity_ids = entity_ids
        self._how = (attributes, number_by_text)
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
        if new.entity_id in self._joining:
            del self._joining[new.entity_id]
            old = None
        readings: list[Reading] = []
        if old is None or old.last_changed != new.last_changed:
            readings += self._of_state(new)
        readings += self._of_attributes(old, new)
        if readings:
            self._accept(readings)

    @callback
    def _send_joining(self) -> None:
        """Send what those show that have joined, in slices that hold nobody up."""
        self._cancel_joining = None
        for entity_id in (now := tuple(islice(self._joining, _ENTITIES_AT_ONCE))):
            del self._joining[entity_id]
        readings = [
            reading
            for entity_id in now
            if entity_id in self.entity_ids
            and (state := self._hass.states.get(entity_id))
            for reading in (*self._of_state(state), *self._of_attributes(None, state))
        ]
        if readings:
            self._accept(readings)
        if self._joining:
            self._cancel_joining = self._hass.loop.call_soon(self._send_joining).cancel

    def _of_state(self, state: State) -> Iterator[Reading]:
        number = number_of(state, self._how[1])
        if isinstance(number, SkipReason):
            self.skipped[number] += 1
            return
        address = self._names.address(describe(self._hass, state.entity_id))
        yield Reading(*address, number, state.last_updated_timestamp)

    def _of_attributes(self, old: State | None, new: State) -> Iterator[Reading]:
        """Yield the chosen attributes whose numbers have changed."""
        for attribute in NUMERIC_ATTRIBUTES.get(new.domain, ()):
            if f"{new.domain}.{attribute}" not in self._how[0]:
                continue
            number = number_of_attribute(new, attribute)
            if number is None or (
                old and number_of_attribute(old, attribute) == number
            ):
                continue
            address = self._names.attribute_address(
                describe(self._hass, new.entity_id), attribute
            )
            yield Reading(*address, number, new.last_updated_timestamp)
