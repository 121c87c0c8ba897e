"""Hold together what a config entry runs: mirrors, outbox and delivery."""

import asyncio
from collections.abc import Callable, Iterable
import logging
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import (
    CALLBACK_TYPE,
    CoreState,
    Event,
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
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.storage import Store

from .client import AsyncSensorVisionClient
from .client.delivery import Delivery, Pace, Status
from .client.outbox import Outbox, Reading
from .const import CONF_PREFIX, CONF_TARGET, DOMAIN, SUBENTRY_TYPE_MIRROR
from .mirror import Mirror
from .names import Names, StoredNames
from .problems import Missing, Problems
from .selection import select

type SensorVisionConfigEntry = ConfigEntry[Runtime]

_LOGGER = logging.getLogger(__name__)

_STORAGE_VERSION = 1
_SAVE_NAMES_AFTER_S = 1
_RESOLVE_AFTER_S = 0.5

_REGISTRY_EVENTS = (
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    ar.EVENT_AREA_REGISTRY_UPDATED,
    fr.EVENT_FLOOR_REGISTRY_UPDATED,
    lr.EVENT_LABEL_REGISTRY_UPDATED,
)


def names_store(hass: HomeAssistant, entry_id: str) -> Store[StoredNames]:
    """Return where an entry keeps the names it has given."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.names")


class Runtime:
    """What one config entry runs.

    It captures from the moment it is started, whether or not the server answers: what
    is wrong shows in its entities and in repair issues.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SensorVisionConfigEntry,
        stored_names: StoredNames | None,
        pace: Pace,
    ) -> None:
        """Prepare, and start nothing yet."""
        self.outbox = Outbox()
        self.mirrors: dict[str, Mirror] = {}
        self._hass = hass
        self._entry = entry
        self._pace = pace
        self._names = Names(entry.data[CONF_PREFIX], stored_names)
        self._store = names_store(hass, entry.entry_id)
        self._problems = Problems(hass, entry)
        self._listeners: list[Callable[[], None]] = []
        self._stops: list[CALLBACK_TYPE] = []
        self._resolver = Debouncer(
            hass,
            _LOGGER,
            cooldown=_RESOLVE_AFTER_S,
            immediate=False,
            function=self._resolve,
        )
        self._connection = _connection(entry)
        self._delivery = self._make_delivery()

    @property
    def status(self) -> Status:
        """Return what became of the readings."""
        return self._delivery.status

    def stored_names(self) -> StoredNames:
        """Return the names that were given."""
        return self._names.as_stored()

    @callback
    def start(self) -> None:
        """Follow the mirrors and deliver."""
        self._start_delivery()
        for event_type in _REGISTRY_EVENTS:
            self._stops.append(
                self._hass.bus.async_listen(event_type, self._registry_updated)
            )
        self._resolve()
        # Only then is it known what is missing rather than late.
        self._stops.append(async_at_started(self._hass, self._started))

    async def stop(self) -> None:
        """Let go of everything that runs."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._resolver.async_shutdown()
        for mirror in self.mirrors.values():
            mirror.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._problems.clear()
        await self._store.async_save(self._names.as_stored())

    @callback
    def entry_updated(self) -> None:
        """Take over changed mirrors or a changed connection."""
        if _connection(self._entry) != self._connection:
            self.reconnect()
        self._resolve()

    @callback
    def reconnect(self) -> None:
        """Begin to deliver anew, as the entry says now; nothing waiting is lost."""
        self._connection = _connection(self._entry)
        # It puts back what it was about to send.
        self._task.cancel()
        status = self.status
        self._delivery = self._make_delivery()
        self.status.is_connected = status.is_connected
        self.status.delivered = status.delivered
        self.status.last_delivered = status.last_delivered
        self.status.refused = status.refused
        self._start_delivery()

    @callback
    def add_listener(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a function whenever the status has changed, until it is taken off."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _make_delivery(self) -> Delivery:
        data = self._entry.data
        client = AsyncSensorVisionClient(
            data[CONF_URL],
            api_key=data[CONF_API_KEY],
            session=async_get_clientsession(self._hass, data[CONF_VERIFY_SSL]),
        )
        return Delivery(
            client,
            self.outbox,
            data[CONF_PREFIX],
            on_change=self._status_changed,
            pace=self._pace,
        )

    def _start_delivery(self) -> None:
        self._task = self._entry.async_create_background_task(
            self._hass, self._delivery.run(), f"{DOMAIN} delivery"
        )

    @callback
    def _accept(self, readings: Iterable[Reading]) -> None:
        self.outbox.append(readings)
        self._delivery.notify()

    @callback
    def _status_changed(self) -> None:
        if self.status.is_credential_refused:
            self._entry.async_start_reauth(self._hass)
        elif self.status.is_connected:
            self._end_reauth()
        self._problems.show_delivery(self.status)
        for listener in self._listeners:
            listener()

    def _end_reauth(self) -> None:
        """Ask no more for another token: the server takes the one there is."""
        for flow in self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH}):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])

    @callback
    def _started(self, _hass: HomeAssistant) -> None:
        self._resolve()

    @callback
    def _registry_updated(self, event: Event[Any]) -> None:
        if old_entity_id := event.data.get("old_entity_id"):
            self._rename_chosen(old_entity_id, event.data["entity_id"])
        self._resolver.async_schedule_call()

    def _rename_chosen(self, old_entity_id: str, new_entity_id: str) -> None:
        """Keep an entity that was chosen by its id chosen after a rename."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR):
            target = subentry.data[CONF_TARGET]
            if old_entity_id not in target.get("entity_id", ()):
                continue
            entity_ids = [
                new_entity_id if entity_id == old_entity_id else entity_id
                for entity_id in target["entity_id"]
            ]
            self._hass.config_entries.async_update_subentry(
                self._entry,
                subentry,
                data={
                    **subentry.data,
                    CONF_TARGET: {**target, "entity_id": entity_ids},
                },
            )

    @callback
    def _resolve(self) -> None:
        """Let each mirror follow what its target means now, no entity in two of them."""
        subentries = {
            subentry.subentry_id: subentry
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
        }
        for subentry_id in self.mirrors.keys() - subentries.keys():
            self.mirrors.pop(subentry_id).stop()
        named = len(self._names)
        taken: frozenset[str] = frozenset()
        missing: list[Missing] = []
        for subentry_id, subentry in subentries.items():
            selection = select(self._hass, subentry.data[CONF_TARGET])
            mirror = self.mirrors.setdefault(
                subentry_id,
                Mirror(
                    self._hass,
                    self._names,
                    self._accept,
                    self._resolver.async_schedule_call,
                ),
            )
            mirror.follow(selection.entity_ids - taken)
            taken |= selection.entity_ids
            if selection.missing and self._hass.state is CoreState.running:
                missing.append(Missing(subentry_id, subentry.title, selection.missing))
        self._problems.show_missing(missing)
        if len(self._names) > named:
            self._store.async_delay_save(self._names.as_stored, _SAVE_NAMES_AFTER_S)


def _connection(entry: ConfigEntry) -> tuple[Any, ...]:
    """Return what a new connection to the server is needed for when it changes."""
    return tuple(entry.data[key] for key in (CONF_URL, CONF_API_KEY, CONF_VERIFY_SSL))
