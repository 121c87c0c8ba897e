"""Pass changes of the status on, no faster than people look."""

from collections.abc import Callable
from datetime import datetime, timedelta
import logging

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.event import async_track_time_interval

from .routes import Route
from .runtime import SensorVisionConfigEntry

_LOGGER = logging.getLogger(__name__)

# What waits grows in number and age, though nothing becomes of it.
_WAITING_INTERVAL = timedelta(minutes=1)


class Throttle:
    """Tell all listeners at once, and then not again for a while.

    The first delivery, and that the server has gone or returned, is told at once: a
    person may be waiting for it. As long as readings wait, all is told every minute, or
    when the while is over.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SensorVisionConfigEntry,
        route: Route,
        interval_s: int,
    ) -> None:
        """Follow the status until the entry is unloaded.

        Args:
            hass: whose time it is.
            entry: of which it is.
            route: whose status to follow.
            interval_s: how long a while is.
        """
        self._route = route
        self._listeners: list[Callable[[], None]] = []
        self._awaited = self._awaited_now()
        self._debouncer = Debouncer(
            hass, _LOGGER, cooldown=interval_s, immediate=True, function=self._tell
        )
        entry.async_on_unload(self._debouncer.async_shutdown)
        entry.async_on_unload(self._route.add_listener(self._status_changed))
        entry.async_on_unload(
            async_track_time_interval(hass, self._minute_passed, _WAITING_INTERVAL)
        )

    @callback
    def add_listener(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a function every now and then, until it is taken off."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _awaited_now(self) -> tuple[bool | None, bool]:
        status = self._route.status
        return status.is_connected, status.last_delivered is None

    @callback
    def _status_changed(self) -> None:
        if (awaited := self._awaited_now()) != self._awaited:
            self._awaited = awaited
            self._debouncer.async_cancel()
        self._debouncer.async_schedule_call()

    @callback
    def _minute_passed(self, _now: datetime) -> None:
        if self._route.outbox:
            self._debouncer.async_schedule_call()

    @callback
    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
