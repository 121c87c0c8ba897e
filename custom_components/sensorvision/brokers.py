"""Hold together what a config entry runs for its brokers."""

from collections.abc import Callable, Iterable, Mapping

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .broker_connection import load_broker
from .choice import Choice
from .client import AsyncSensorVisionClient
from .client.mqtt import Broker, Publisher
from .client.outbox import CompleteOutbox
from .client.pace import Pace
from .client.publishing import PublishingDelivery
from .client.status import Status
from .const import CONF_CHECKS_TOKENS, SUBENTRY_TYPE_BROKER, SUBENTRY_TYPE_MIRROR
from .problems import Problems
from .provisioning import Provisioning
from .routes import Route
from .tokens import Tokens


async def load_brokers(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Broker]:
    """Return the brokers of an entry, by the ids of their subentries."""
    return {
        subentry.subentry_id: await load_broker(hass, subentry)
        for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER)
    }


class Brokers:
    """The ways of an entry to its server that lead over brokers.

    Args:
        hass: Home Assistant.
        entry: whose brokers they are.
        brokers: by the ids of their subentries.
        outboxes: of each of them, open.
        tokens: those of the devices that are known.
        problems: shows what a person can mend.
        pace: how fast to send.
        client: returns the way to the server over its HTTP.
        details_of_new: what is known of a device that is about to be made.
        on_change: called whenever the status of one has changed.
        on_replayed: see `PublishingDelivery`.

    Attributes:
        routes: by the ids of their subentries.
        provisioning: obtains the devices' tokens.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        brokers: Mapping[str, Broker],
        outboxes: Mapping[str, CompleteOutbox],
        tokens: Tokens,
        problems: Problems,
        pace: Pace,
        *,
        client: Callable[[], AsyncSensorVisionClient],
        details_of_new: Callable[[str], Mapping[str, str]],
        on_change: Callable[[], None],
        on_replayed: Callable[[frozenset[str]], None],
    ) -> None:
        """Prepare, and connect to none yet."""
        self.routes: dict[str, Route] = {}
        self.provisioning = Provisioning(
            entry,
            tokens,
            client=client,
            details_of_new=details_of_new,
            on_change=self._needs_changed,
            on_known=self.flush,
        )
        self._entry = entry
        self._problems = problems
        self._on_change = on_change
        self._as_stored = _as_stored(entry)
        for broker_id, broker in brokers.items():
            outbox = outboxes[broker_id]
            subentry = entry.subentries[broker_id]
            are_checked = subentry.data[CONF_CHECKS_TOKENS]
            route = Route(hass, entry, outbox, subentry)
            route.deliver_by(
                PublishingDelivery(
                    Publisher(broker),
                    outbox,
                    token_of=self.provisioning.token_of if are_checked else None,
                    on_change=self._changed_of(route),
                    on_replayed=on_replayed,
                    pace=pace,
                )
            )
            self.routes[broker_id] = route

    def statuses(self) -> Iterable[Status]:
        """Yield what became of the readings of each."""
        return (route.status for route in self.routes.values())

    def are_others(self) -> bool:
        """Tell whether the entry has other brokers by now."""
        return _as_stored(self._entry) != self._as_stored

    @callback
    def show_missing(self) -> None:
        """Show which mirrors have lost their broker."""
        self._problems.show_brokers_missing(_mirrors_without_broker(self._entry))

    @callback
    def flush(self) -> None:
        """Send at once what waits, and try again what was refused."""
        for route in self.routes.values():
            route.flush()

    @callback
    def _needs_changed(self) -> None:
        self._problems.show_tokens_needed(self.provisioning.needed)

    def _changed_of(self, route: Route) -> Callable[[], None]:
        """Return what is called when the status of one has changed."""

        @callback
        def changed() -> None:
            refused = [
                other.broker
                for other in self.routes.values()
                if other.broker and other.status.is_credential_refused
            ]
            self._problems.show_brokers_refused(
                {broker.subentry_id: broker.title for broker in refused}
            )
            self._on_change()
            route.tell()

        return changed


def _as_stored(entry: ConfigEntry) -> dict[str, object]:
    """Return what an entry's brokers are loaded anew for when it changes."""
    return {
        subentry.subentry_id: (subentry.title, dict(subentry.data))
        for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER)
    }


def _mirrors_without_broker(entry: ConfigEntry) -> dict[str, str]:
    """Return the titles of the mirrors whose broker was removed, by their subentries."""
    return {
        subentry.subentry_id: subentry.title
        for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
        if (broker_id := Choice.of(subentry.data).broker_id)
        and broker_id not in entry.subentries
    }
