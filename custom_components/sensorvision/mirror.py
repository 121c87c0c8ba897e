"""Follow chosen entities, and send their numbers when it is time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
import logging
import math
import time

from homeassistant.core import (
    CALLBACK_TYPE,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers.event import async_track_time_interval

from .capture import Capture
from .choice import Choice, Rhythm, When
from .client.readings import Reading
from .mapping import SkipReason
from .names import Names
from .selection import Formation

_LOGGER = logging.getLogger(__name__)

# So many can be named and sent in a few milliseconds.
_ENTITIES_AT_ONCE = 100

# Changes of so long are seen to together: the same again and again is cheaper.
_TOGETHER_S = 0.1
_CHANGES_AT_ONCE = 100

_LOOK_FOR_STEADY_EVERY = timedelta(minutes=1)

# Takes readings, and the broker that they are to be delivered over, None for HTTP.
type Accept = Callable[[Iterable[Reading], str | None], None]


class Mirror:
    """One choice of entities whose states are sent on.

    Args:
        hass: Home Assistant.
        names: where each entity's numbers go.
        accept: takes the readings, in the event loop and at once.

    Attributes:
        entity_ids: the entities that are followed.
        choice: what was chosen of them.
        formation: which device each belongs to.
        skipped: how many states were not sent, by reason.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        names: Names,
        accept: Accept,
    ) -> None:
        """Follow nothing yet."""
        self.entity_ids: frozenset[str] = frozenset()
        self.choice = Choice.of({})
        self.formation = Formation()
        self.skipped: Counter[SkipReason] = Counter()
        self._hass = hass
        self._names = names
        self._accept = accept
        self._how: tuple[object, ...] = ()
        self._capture = self._make_capture()
        self._rhythm = Rhythm()
        self._ticks: list[CALLBACK_TYPE] = []
        # Whose numbers are to be sent as they are now, and whose with their next state.
        self._due: dict[str, None] = {}
        self._cancel_due: CALLBACK_TYPE | None = None
        # What was not yet looked at, and what was not yet handed over.
        self._changes: list[EventStateChangedData] = []
        self._captured: list[Reading] = []
        self._hand_over_soon: asyncio.Handle | None = None
        self._handed_over_at = -math.inf
        # When each was last sent, and who has changed too soon after that.
        self._sent_at: dict[str, float] = {}
        self._held: dict[str, asyncio.TimerHandle] = {}

    @callback
    def follow(
        self, entity_ids: frozenset[str], choice: Choice, formation: Formation
    ) -> None:
        """Follow exactly these entities, and send what the new ones show now.

        Args:
            entity_ids: what to follow.
            choice: which of their numbers to send, and when.
            formation: which device each belongs to.
        """
        self.hand_over()
        how = (
            choice.attributes,
            choice.number_by_text,
            formation.by,
            choice.broker_id,
        )
        known = self.entity_ids if how == self._how else frozenset()
        for entity_id in self.entity_ids - entity_ids:
            self._let_go(entity_id)
        self._due |= dict.fromkeys(sorted(entity_ids - known))
        self.entity_ids = entity_ids
        self.choice = choice
        self.formation = formation
        self._how = how
        self._capture = self._make_capture()
        self._keep_time(choice.rhythm)
        self._send_due_soon()

    @callback
    def stop(self) -> None:
        """Follow nothing any more."""
        self._look_at_changes()
        for entity_id in self.entity_ids:
            self._let_go(entity_id)
        self.hand_over()
        self.entity_ids = frozenset()
        self._stop_ticking()
        if self._cancel_due:
            self._cancel_due()
            self._cancel_due = None

    @callback
    def state_changed(self, data: EventStateChangedData) -> None:
        """Send on soon what a followed entity shows now, if it is time."""
        self._changes.append(data)
        if self._hand_over_soon is None:
            self._see_to_handing_over()
        elif len(self._changes) >= _CHANGES_AT_ONCE:
            # Later, they would have to be fetched from memory once more.
            self._look_at_changes()

    def _see_to_handing_over(self) -> None:
        """Hand over soon, together with what else has changed by then.

        The first after a while go at the next turn of the loop; a busy house's are
        handed over but ten times a second.
        """
        loop = self._hass.loop
        due = self._handed_over_at + _TOGETHER_S
        self._hand_over_soon = (
            loop.call_soon(self.hand_over)
            if due <= loop.time()
            else loop.call_at(due, self.hand_over)
        )

    @callback
    def hand_over(self) -> None:
        """Hand over now what has changed."""
        if self._hand_over_soon:
            self._hand_over_soon.cancel()
            self._hand_over_soon = None
        self._look_at_changes()
        self._handed_over_at = self._hass.loop.time()
        if self._captured:
            captured, self._captured = self._captured, []
            self._accept(captured, self.choice.broker_id)

    def _look_at_changes(self) -> None:
        """Capture what has changed, as far as it is time for it."""
        changes, self._changes = self._changes, []
        captured, sent_at, now = self._captured, self._sent_at, time.monotonic()
        add_changes, when, due = self._capture.add_changes, self._rhythm.when, self._due
        for data in changes:
            new = data["new_state"]
            if new is None:
                continue
            entity_id = new.entity_id
            if is_due := entity_id in due:
                del due[entity_id]
            elif when is When.SNAPSHOT:
                continue
            count = len(captured)
            try:
                add_changes(captured, None if is_due else data["old_state"], new)
            except Exception:
                # As with the event bus: it keeps out none that come after it.
                _LOGGER.exception("The state of %s can't be captured", entity_id)
            if len(captured) == count:
                continue
            if when is When.LIMITED and not is_due and self._must_wait(entity_id):
                del captured[count:]
            else:
                sent_at[entity_id] = now

    def _make_capture(self) -> Capture:
        return Capture(
            self._hass, self._names, self.choice, self.formation, self.skipped
        )

    def _let_go(self, entity_id: str) -> None:
        """Owe an entity nothing any more: what was held back is sent."""
        self._release_now(entity_id)
        self._due.pop(entity_id, None)
        self._sent_at.pop(entity_id, None)

    def _must_wait(self, entity_id: str) -> bool:
        """Tell whether an entity was sent too lately, and if so, see to it later."""
        if entity_id not in self._sent_at:
            return False
        if entity_id in self._held:
            return True
        left_s = self._sent_at[entity_id] + self._rhythm.interval_s - time.monotonic()
        if left_s <= 0:
            return False
        self._held[entity_id] = self._hass.loop.call_later(
            left_s, self._release, entity_id
        )
        return True

    def _release_now(self, entity_id: str) -> None:
        if held := self._held.get(entity_id):
            held.cancel()
            self._release(entity_id)

    @callback
    def _release(self, entity_id: str) -> None:
        """Send what a held entity shows by now, with the time of its last change."""
        self._look_at_changes()
        del self._held[entity_id]
        if state := self._hass.states.get(entity_id):
            self._sent_at[entity_id] = time.monotonic()
            self._capture.add_changes(self._captured, None, state)
            if self._hand_over_soon is None:
                self._see_to_handing_over()

    def _keep_time(self, rhythm: Rhythm) -> None:
        """Tick as often as the rhythm asks for."""
        if self._ticks and rhythm == self._rhythm:
            return
        self._stop_ticking()
        for entity_id in list(self._held):
            self._release_now(entity_id)
        self._rhythm = rhythm
        if rhythm.when is When.SNAPSHOT:
            interval = timedelta(seconds=rhythm.interval_s)
            self._tick(self._take_snapshot, interval)
        if rhythm.heartbeat_s:
            self._tick(self._look_for_steady, _LOOK_FOR_STEADY_EVERY)

    def _tick(self, action: Callable[[datetime], None], interval: timedelta) -> None:
        self._ticks.append(
            async_track_time_interval(
                self._hass, action, interval, cancel_on_shutdown=True
            )
        )

    def _stop_ticking(self) -> None:
        for stop in self._ticks:
            stop()
        self._ticks.clear()

    @callback
    def _take_snapshot(self, _now: datetime) -> None:
        self.show_all()

    @callback
    def show_all(self) -> None:
        """Send what all entities show now."""
        self._due |= dict.fromkeys(sorted(self.entity_ids))
        self._send_due_soon()

    @callback
    def _look_for_steady(self, _now: datetime) -> None:
        """Send those again that have not changed for long."""
        latest = time.monotonic() - self._rhythm.heartbeat_s
        steady = [
            entity_id
            for entity_id, sent_at in self._sent_at.items()
            if sent_at <= latest
        ]
        for entity_id in steady:
            # It is missed no more if it has become unavailable.
            del self._sent_at[entity_id]
        self._due |= dict.fromkeys(steady)
        self._send_due_soon()

    def _send_due_soon(self) -> None:
        if self._due and not self._cancel_due:
            # Not at once: there may be many mirrors.
            self._cancel_due = self._hass.loop.call_soon(self._send_due).cancel

    @callback
    def _send_due(self) -> None:
        """Send what those show that are due, in slices that hold nobody up."""
        self._cancel_due = None
        self._look_at_changes()
        for entity_id in tuple(islice(self._due, _ENTITIES_AT_ONCE)):
            del self._due[entity_id]
            state = self._hass.states.get(entity_id)
            if state and (numbers := self._capture.present(state, time.time())):
                self._sent_at[entity_id] = time.monotonic()
                self._captured += numbers
        self.hand_over()
        self._send_due_soon()
