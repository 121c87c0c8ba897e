"""Hold together what a config entry runs: mirrors, outbox and delivery."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_URL, EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    HomeAssistant,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.storage import Store

from .client import Sample
from .client.delivery import Delivery, Pace, Status
from .client.exceptions import raise_for
from .client.limits import Limits
from .client.outbox import CompleteOutbox
from .client.readings import Reading
from .client.rows import Recalled
from .connection import connection_of, open_client
from .const import CONF_MIRRORING, CONF_PREFIX, DOMAIN
from .delivering import EntryOutbox, keeps_times, limits_of, make_delivery
from .details import Knowledge
from .figures import Figures, count
from .ledger import Ledger
from .mirror import Mirror
from .names import Names, StoredNames
from .problems import Problems
from .registration import Registration
from .removal import Removal, withdraw
from .resolver import Resolver

type SensorVisionConfigEntry = ConfigEntry[Runtime]

_STORAGE_VERSION = 1
_SAVE_NAMES_AFTER_S = 1


def names_store(hass: HomeAssistant, entry_id: str) -> Store[StoredNames]:
    """Return where an entry keeps the names it has given."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.names")


class Runtime:
    """What one config entry runs.

    It captures from the moment it is started, whether or not the server answers: what
    is wrong shows in its entities and in repair issues.

    Attributes:
        outbox: the readings that wait.
        registration: what brings names and places to the server.
        is_mirroring: whether it captures and sends, as its switch was left.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SensorVisionConfigEntry,
        stored_names: StoredNames | None,
        ledger: Ledger,
        outbox: EntryOutbox,
        pace: Pace,
    ) -> None:
        """Prepare, and start nothing yet."""
        self.outbox = outbox
        self._hass = hass
        self._entry = entry
        self._pace = pace
        self._names = Names(entry.data[CONF_PREFIX], stored_names)
        self._names_given = len(self._names)
        self._store = names_store(hass, entry.entry_id)
        self._problems = Problems(hass, entry)
        self._listeners: list[Callable[[], None]] = []
        self._resolver = Resolver(
            hass, entry, self._names, self._accept, self._problems
        )
        knowledge = Knowledge(hass, self._names, self._resolver.mirrors)
        self._ledger = ledger
        self.registration = Registration(hass, entry, knowledge, ledger, pace)
        self._removal = Removal(hass, entry, knowledge, ledger, self.outbox)
        self._connection = connection_of(entry.data)
        self._delivery = self._make_delivery(Status())
        self._task: asyncio.Task[None] | None = None
        self._is_shut_down = False
        self.is_mirroring = is_mirroring(entry)

    @property
    def mirrors(self) -> dict[str, Mirror]:
        """Return the mirrors by the ids of their subentries."""
        return self._resolver.mirrors

    @property
    def status(self) -> Status:
        """Return what became of the readings."""
        return self._delivery.status

    @property
    def figures(self) -> Figures:
        """Return what became of the readings, in figures."""
        return count(self.status, self.outbox)

    def stored_names(self) -> StoredNames:
        """Return the names that were given."""
        return self._names.as_stored()

    def copy_names(self) -> Names:
        """Return names to try out, which go on from those that were given."""
        return self._names.copy()

    @callback
    def start(self) -> None:
        """Follow the mirrors and deliver."""
        self._start_delivery()
        self._resolver.start()
        self._removal.note()
        # Home Assistant unloads no entry when it stops.
        self._entry.async_on_unload(
            self._hass.bus.async_listen(
                EVENT_HOMEASSISTANT_FINAL_WRITE, self._shut_down
            )
        )

    async def stop(self) -> None:
        """Let go of everything that runs."""
        self.registration.stop()
        await self._shut_down()
        self._problems.clear()
        await self._store.async_save(self._names.as_stored())
        await self._ledger.save()

    async def _shut_down(self, _event: Event | None = None) -> None:
        """Capture and send nothing any more; what waits is on disk then."""
        self._is_shut_down = True
        self._resolver.stop()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.outbox.close()

    @callback
    def entry_updated(self) -> None:
        """Take over changed mirrors, a changed connection or changed options."""
        # Before those that were removed are let go of.
        self._removal.note()
        if connection_of(self._entry.data) != self._connection:
            self.reconnect()
        if is_mirroring(self._entry) is not self.is_mirroring:
            self._switched()
        if (limits := limits_of(self._entry.options)) != self.outbox.limits:
            self._entry.async_create_task(self._hass, self._limit(limits))
        self._resolver.resolve()
        self._removal.offer(self.status)

    async def _limit(self, limits: Limits) -> None:
        """Hold the outbox to other limits, and show what that has cost."""
        await self.outbox.limit(limits)
        self._problems.show_outbox(self.outbox)
        self._tell()

    @callback
    def reconnect(self) -> None:
        """Begin to deliver anew, as the entry says now; nothing waiting is lost."""
        if keeps_times(self._entry.data) is not isinstance(self.outbox, CompleteOutbox):
            # Its readings are to wait in another way.
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)
            return
        self._connection = connection_of(self._entry.data)
        status = self.status.carried_over()
        if self._ledger.move(self._entry.data[CONF_URL]):
            withdraw(self._hass, self._entry.entry_id)
            # It is another server that has accepted them.
            status.accepted_devices = set()
            status.accepted_variables = set()
        self._link_to_server()
        self._stop_delivery()
        self._delivery = self._make_delivery(status)
        self._start_delivery()

    def _link_to_server(self) -> None:
        """Let the service's page lead to where the server is now."""
        dr.async_get(self._hass).async_get_or_create(
            config_entry_id=self._entry.entry_id,
            identifiers={(DOMAIN, self._entry.entry_id)},
            configuration_url=self._entry.data[CONF_URL],
        )

    @callback
    def flush(self) -> None:
        """Send at once what waits, and try again what was refused.

        Raises:
            ServiceValidationError: mirroring is switched off.
        """
        self._insist_on_mirroring()
        self._delivery.flush()

    async def retry_refused(
        self, device_id: str | None = None, variable: str | None = None
    ) -> Recalled:
        """Send again what was set aside, as far as it may still be true.

        Args:
            device_id: only what was sent to this device.
            variable: only what was sent to variables of this name.

        Raises:
            ServiceValidationError: mirroring is switched off.
        """
        self._insist_on_mirroring()
        recalled = await self.outbox.recall(device_id, variable)
        self.status.forget_refused(device_id, variable)
        self._delivery.flush()
        self._status_changed()
        return recalled

    async def send(self, device_id: str, variables: Mapping[str, int | float]) -> None:
        """Store numbers as true now, past the outbox; see the client's `send_data`.

        Raises:
            ServiceValidationError: mirroring is switched off.
            SensorVisionError: they were not stored.
        """
        self._insist_on_mirroring()
        await self._client.send_data(device_id, variables)

    async def send_past(
        self, device_id: str, variables: Mapping[str, int | float], time: datetime
    ) -> None:
        """Store numbers as true at a time, past the outbox; see the client's `send_batch`.

        Raises:
            ServiceValidationError: mirroring is switched off.
            CapabilityError: a device token knows only what is true now.
            SensorVisionError: they were not stored.
        """
        self._insist_on_mirroring()
        [result] = await self._client.send_batch([Sample(device_id, variables, time)])
        raise_for(result.answer)

    async def delete_devices(self, device_ids: Collection[str]) -> dict[str, str]:
        """Delete the server's devices of a removed mirror; see `Removal.delete`."""
        left = await self._removal.delete(self._client, device_ids)
        await self._store.async_save(self._names.as_stored())
        return left

    def _insist_on_mirroring(self) -> None:
        if not self.is_mirroring:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="mirroring_off",
                translation_placeholders={"entry": self._entry.title},
            )

    @callback
    def switch_on(self) -> None:
        """Send the present states, and from then on what changes."""
        self._store_option(CONF_MIRRORING, True)

    @callback
    def switch_off(self) -> None:
        """Capture and send nothing any more; what waits goes on waiting."""
        self._store_option(CONF_MIRRORING, False)

    @callback
    def add_listener(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a function whenever the status has changed, until it is taken off."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _make_delivery(self, status: Status) -> Delivery:
        self._client = open_client(
            self._hass,
            self._entry.data,
            details_of_new=self.registration.details_of_new,
        )
        return make_delivery(
            self._client,
            self.outbox,
            self._entry.data,
            self._pace,
            on_change=self._status_changed,
            on_replayed=self._replayed,
            status=status,
        )

    def _start_delivery(self) -> None:
        if not self.is_mirroring:
            return
        self._task = self._entry.async_create_background_task(
            self._hass, self._delivery.run(), f"{DOMAIN} delivery"
        )

    def _store_option(self, key: str, value: object) -> None:
        """Keep it over a restart; the entry then says so to everybody."""
        self._hass.config_entries.async_update_entry(
            self._entry, options={**self._entry.options, key: value}
        )

    def _stop_delivery(self) -> None:
        """Send nothing any more; what was about to be sent is put back."""
        self.registration.stop()
        if self._task:
            self._task.cancel()
            self._task = None

    def _switched(self) -> None:
        """Begin or cease to capture and to send."""
        self.is_mirroring = is_mirroring(self._entry)
        if self.is_mirroring:
            self._start_delivery()
            for mirror in self.mirrors.values():
                # What it then follows anew it sends as it is now.
                mirror.stop()
        else:
            self._stop_delivery()
            self.status.is_connected = None
        self._tell()

    @callback
    def _accept(self, readings: Iterable[Reading]) -> None:
        if not self.is_mirroring or self._is_shut_down:
            return
        self.outbox.append(readings)
        self._delivery.notify()
        if len(self._names) != self._names_given:
            self._names_given = len(self._names)
            self._problems.show_unit_changes(self._names.take_unit_changes())
            self._store.async_delay_save(self._names.as_stored, _SAVE_NAMES_AFTER_S)

    @callback
    def _replayed(self, _device_ids: frozenset[str]) -> None:
        """Show everything as it is now, after what it was."""
        for mirror in self.mirrors.values():
            mirror.show_all()

    @callback
    def _status_changed(self) -> None:
        if self.status.is_credential_refused:
            self._entry.async_start_reauth(self._hass)
        elif self.status.is_connected:
            self._end_reauth()
        self._problems.show_delivery(self.status)
        self._problems.show_outbox(self.outbox)
        self.registration.status_changed(self._client, self.status)
        self._removal.offer(self.status)
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _end_reauth(self) -> None:
        """Ask no more for another token: the server takes the one there is."""
        for flow in self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH}):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])


def is_mirroring(entry: ConfigEntry) -> bool:
    """Tell whether an entry is to capture and to send, as its switch was left."""
    return bool(entry.options.get(CONF_MIRRORING, True))
