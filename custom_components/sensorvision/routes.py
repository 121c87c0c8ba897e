"""Bring readings to the server on one way: what waits, and what sends it."""

import asyncio
from collections.abc import Callable, Iterable
import time

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from .client.delivery import Delivery
from .client.readings import Reading
from .client.rows import Recalled
from .client.status import Status
from .const import DOMAIN
from .delivering import EntryOutbox
from .figures import Figures, count


class Route:
    """One way to the server: over its HTTP, or over a broker.

    Args:
        hass: Home Assistant.
        entry: to whose life the sending is bound.
        outbox: the readings that wait, open.
        broker: the broker's subentry, or None for HTTP.

    Attributes:
        outbox: the readings that wait.
        broker: the broker's subentry, or None for HTTP.
    """

    _delivery: Delivery

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        outbox: EntryOutbox,
        broker: ConfigSubentry | None = None,
    ) -> None:
        """Send nothing yet; how to do so is still to be said."""
        self.outbox = outbox
        self.broker = broker
        self._hass = hass
        self._entry = entry
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def broker_id(self) -> str | None:
        """Return the id of the broker's subentry, or None for HTTP."""
        return self.broker.subentry_id if self.broker else None

    @property
    def status(self) -> Status:
        """Return what became of the readings."""
        return self._delivery.status

    @property
    def figures(self) -> Figures:
        """Return what became of the readings, in figures."""
        return count(self.status, self.outbox)

    def deliver_by(self, delivery: Delivery) -> None:
        """Send by another delivery from the next start on."""
        self._delivery = delivery

    @callback
    def start(self) -> None:
        """Send, as soon as what was sent before has come to its end."""
        self._task = self._entry.async_create_background_task(
            self._hass, self._run(self._delivery, self._task), f"{DOMAIN} delivery"
        )

    async def _run(self, delivery: Delivery, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait([before])
        try:
            await delivery.run()
        finally:
            if self._task is asyncio.current_task():
                # What came to its end after the stop has said that somebody is there.
                self.forget_connection()

    @callback
    def stop(self) -> None:
        """Send nothing any more; what was about to be sent is put back."""
        if self._task:
            self._task.cancel()

    @callback
    def forget_connection(self) -> None:
        """Show that nothing is known of the other side."""
        self.status.is_connected = None
        self.tell()

    async def close(self) -> None:
        """Send nothing any more; what waits is on disk then."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.outbox.close()

    @callback
    def accept(self, readings: Iterable[Reading]) -> None:
        """Let readings wait for their turn."""
        self.outbox.append(readings)
        self._delivery.notify()

    @callback
    def capture(self, readings: Iterable[Reading]) -> None:
        """Let readings wait that are true now: nothing is missing until then."""
        self.accept(readings)
        self.outbox.mark_captured(time.time())

    @callback
    def flush(self) -> None:
        """Send at once what waits, and try again what was refused."""
        self._delivery.flush()

    async def retry_refused(
        self, device_id: str | None, variable: str | None
    ) -> Recalled:
        """Let wait again what was set aside, and send it at once."""
        recalled = await self.outbox.recall(device_id, variable)
        self.status.forget_refused(device_id, variable)
        self.flush()
        return recalled

    @callback
    def add_listener(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a function whenever the status has changed, until it is taken off."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def tell(self) -> None:
        """Call those who listen."""
        for listener in self._listeners:
            listener()
