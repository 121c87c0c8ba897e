"""Bring readings to the server over its HTTP."""

from collections.abc import Callable, Mapping

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from .client import AsyncSensorVisionClient
from .client.pace import Pace
from .client.status import Status
from .connection import open_client
from .delivering import EntryOutbox, make_delivery
from .routes import Route


class HttpRoute(Route):
    """The way to the server that needs no broker.

    Args:
        hass: Home Assistant.
        entry: which says how to connect.
        outbox: the readings that wait, open.
        pace: how fast to send.
        details_of_new: what is known of a device that is about to be made.
        on_change: called whenever the status has changed.
        on_replayed: see `BulkDelivery`.

    Attributes:
        client: connects to the server as the entry said at the last `connect`.
    """

    client: AsyncSensorVisionClient

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        outbox: EntryOutbox,
        pace: Pace,
        *,
        details_of_new: Callable[[str], Mapping[str, str]],
        on_change: Callable[[], None],
        on_replayed: Callable[[frozenset[str]], None],
    ) -> None:
        """Prepare, and send nothing yet."""
        super().__init__(hass, entry, outbox)
        self._pace = pace
        self._details_of_new = details_of_new
        self._on_change = on_change
        self._on_replayed = on_replayed
        self.connect(Status())

    def connect(self, status: Status) -> None:
        """Send as the entry says now from the next start on, and count on from a status."""
        self.client = open_client(
            self._hass, self._entry.data, details_of_new=self._details_of_new
        )
        self.deliver_by(
            make_delivery(
                self.client,
                self.outbox,
                self._entry.data,
                self._pace,
                on_change=self._on_change,
                on_replayed=self._on_replayed,
                status=status,
            )
        )
