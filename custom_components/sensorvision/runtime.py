"""Hold together what a config entry runs: mirrors, outbox and delivery."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import Store

from .backfill import Backfill
from .backfill_job import StoredJobs
from .brokers import Brokers
from .client.delivery import Pace, Status
from .client.limits import Limits
from .client.mqtt import Broker
from .client.outbox import CompleteOutbox
from .client.readings import Reading
from .client.rows import Recalled
from .connection import connection_of
from .const import CONF_MIRRORING, CONF_PREFIX, DOMAIN
from .delivering import EntryOutbox, Outboxes, keeps_times, limits_of
from .details import Knowledge
from .devices import register_devices
from .figures import Figures
from .http_route import HttpRoute
from .ledger import Ledger
from .mirror import Mirror
from .names import Names, StoredNames
from .problems import Problems
from .registration import Registration
from .removal import Removal, withdraw
from .resolver import Resolver
from .stopping import follow_stop
from .stored_times import StoredTimes
from .tokens import Tokens, load_tokens
from .ways import Ways

type SensorVisionConfigEntry = ConfigEntry[Runtime]

_STORAGE_VERSION = 1
_SAVE_NAMES_AFTER_S = 1

_MARK_EVERY = timedelta(minutes=5)


def names_store(hass: HomeAssistant, entry_id: str) -> Store[StoredNames]:
    """Return where an entry keeps the names it has given."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.names")


class Runtime:
    """What one config entry runs.

    It captures from the moment it is started, whether or not the server answers: what
    is wrong shows in its entities and in repair issues.

    Attributes:
        ways: those to the server, each with what waits on it.
        registration: what brings names and places to the server.
        tokens: those of the devices that are known.
        backfill: what sends what was true before, or meanwhile.
        is_mirroring: whether it captures and sends, as its switch was left.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SensorVisionConfigEntry,
        stored_names: StoredNames | None,
        ledger: Ledger,
        stored_jobs: StoredJobs | None,
        tokens: Tokens,
        outboxes: Outboxes,
        brokers: Mapping[str, Broker],
        pace: Pace,
    ) -> None:
        """Prepare, and start nothing yet."""
        self._hass = hass
        self._entry = entry
        self._names = Names(entry.data[CONF_PREFIX], stored_names)
        self._names_given = len(self._names)
        self._store = names_store(hass, entry.entry_id)
        self._problems = Problems(hass, entry)
        self._resolver = Resolver(
            hass, entry, self._names, self._accept, self._problems
        )
        knowledge = Knowledge(hass, self._names, self._resolver.mirrors)
        self._ledger = ledger
        self.registration = Registration(
            hass,
            entry,
            knowledge,
            ledger,
            pace,
            lambda: list(self.ways.brokers.statuses()),
        )
        http = HttpRoute(
            hass,
            entry,
            outboxes.own,
            pace,
            details_of_new=self.registration.details_of_new,
            on_change=self._status_changed,
            on_replayed=self._replayed,
        )
        self.tokens = tokens
        self.ways = Ways(
            http,
            Brokers(
                hass,
                entry,
                brokers,
                outboxes.of_brokers,
                tokens,
                self._problems,
                pace,
                client=lambda: http.client,
                details_of_new=self.registration.details_of_new,
                on_change=self._broker_changed,
                on_replayed=self._replayed,
            ),
        )
        self._removal = Removal(
            hass, entry, knowledge, ledger, lambda: self.ways.outboxes
        )
        self.backfill = Backfill(
            hass,
            entry,
            self._resolver.mirrors,
            self._names,
            self.ways.over,
            StoredTimes(lambda: http.client, pace),
            stored_jobs,
            accept=self._accept_past,
            on_change=http.tell,
        )
        self._connection = connection_of(entry.data)
        self._is_shut_down = False
        self.is_mirroring = is_mirroring(entry)

    @property
    def mirrors(self) -> dict[str, Mirror]:
        """Return the mirrors by the ids of their subentries."""
        return self._resolver.mirrors

    @property
    def outbox(self) -> EntryOutbox:
        """Return what waits to be delivered over HTTP."""
        return self.ways.http.outbox

    @property
    def status(self) -> Status:
        """Return what became of the readings that are delivered over HTTP."""
        return self.ways.http.status

    @property
    def figures(self) -> Figures:
        """Return the same in figures."""
        return self.ways.http.figures

    def stored_names(self) -> StoredNames:
        """Return the names that were given."""
        return self._names.as_stored()

    def copy_names(self) -> Names:
        """Return names to try out, which go on from those that were given."""
        return self._names.copy()

    @callback
    def start(self) -> None:
        """Follow the mirrors and deliver, and fill what is missing."""
        captured_until = self.ways.captured_until()
        if self.is_mirroring:
            self.ways.start()
        self._resolver.start()
        self._removal.note()
        self.ways.brokers.show_missing()
        if self.is_mirroring:
            self.backfill.start()
            self.backfill.fill_gaps(captured_until)
        self._entry.async_on_unload(
            async_track_time_interval(self._hass, self._mark_captured, _MARK_EVERY)
        )
        follow_stop(self._hass, self._entry, self._write_down, self._shut_down)

    async def stop(self) -> None:
        """Let go of everything that runs."""
        self.registration.stop()
        await self._shut_down()
        self._problems.clear()
        self._removal.finish()
        await self._store.async_save(self._names.as_stored())
        await self._ledger.save()

    async def _write_down(self) -> None:
        """Bring to disk what waits, early, so that little is left to the final write."""
        self._resolver.hand_over()
        await self.ways.write_down()
        self._removal.finish()

    async def _shut_down(self) -> None:
        """Capture and send nothing any more; what waits is on disk then."""
        self.backfill.stop()
        # What its mirrors have held back is taken, or it would never be sent.
        self._resolver.stop()
        self._is_shut_down = True
        if self.is_mirroring:
            self.ways.mark_captured()
        await self.ways.close()
        await self.backfill.save()

    @callback
    def entry_updated(self) -> None:
        """Take over changed mirrors, a changed connection or changed options."""
        # Before those that were removed are let go of.
        self._removal.note()
        if self.ways.brokers.are_others():
            # They have devices and files of their own.
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)
            return
        if connection_of(self._entry.data) != self._connection:
            self.reconnect()
        if is_mirroring(self._entry) is not self.is_mirroring:
            self._switched()
        if (limits := limits_of(self._entry.options)) != self.outbox.limits:
            self._entry.async_create_task(self._hass, self._limit(limits))
        self._resolver.resolve()
        self.ways.brokers.show_missing()
        self.backfill.mirrors_changed()
        self._removal.offer(self.status)

    async def _limit(self, limits: Limits) -> None:
        """Hold the outboxes to other limits, and show what that has cost."""
        await self.ways.limit(limits)
        self._problems.show_routes(self.ways)

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
            self.backfill.server_changed()
        register_devices(self._hass, self._entry)
        self.registration.stop()
        http = self.ways.http
        http.stop()
        http.connect(status)
        if self.is_mirroring:
            http.start()

    @callback
    def flush(self) -> None:
        """Send at once what waits, and try again what was refused.

        Raises:
            ServiceValidationError: mirroring is switched off.
        """
        self._insist_on_mirroring()
        self._resolver.hand_over()
        self.ways.flush()

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
        recalled = await self.ways.retry_refused(device_id, variable)
        self._status_changed()
        return recalled

    async def send(self, device_id: str, variables: Mapping[str, int | float]) -> None:
        """Store numbers as true now, past the outbox; see the client's `send_data`.

        Raises:
            ServiceValidationError: mirroring is switched off.
            SensorVisionError: they were not stored.
        """
        self._insist_on_mirroring()
        await self.ways.http.client.send_data(device_id, variables)

    async def send_past(
        self, device_id: str, variables: Mapping[str, int | float], time: datetime
    ) -> None:
        """Store numbers as true at a time, past the outbox; see the client's `send_data`.

        Raises:
            ServiceValidationError: mirroring is switched off.
            CapabilityError: a device token knows only what is true now.
            SensorVisionError: they were not stored.
        """
        self._insist_on_mirroring()
        await self.ways.http.client.send_data(device_id, variables, time)

    async def delete_devices(self, device_ids: Collection[str]) -> dict[str, str]:
        """Delete the server's devices of a removed mirror; see `Removal.delete`."""
        left = await self._removal.delete(self.ways.http.client, device_ids)
        await self.tokens.forget(set(device_ids) - left.keys())
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

    def _store_option(self, key: str, value: object) -> None:
        """Keep it over a restart; the entry then says so to everybody."""
        self._hass.config_entries.async_update_entry(
            self._entry, options={**self._entry.options, key: value}
        )

    def _switched(self) -> None:
        """Begin or cease to capture and to send."""
        self._resolver.hand_over()
        self.is_mirroring = is_mirroring(self._entry)
        if self.is_mirroring:
            self.ways.start()
            for mirror in self.mirrors.values():
                # What it then follows anew it sends as it is now.
                mirror.stop()
            self.backfill.start()
        else:
            self.backfill.stop()
            self.registration.stop()
            self.ways.stop()
        self.ways.tell()

    @callback
    def _accept(self, readings: Iterable[Reading], broker_id: str | None) -> None:
        if not self.is_mirroring or self._is_shut_down:
            return
        self.ways.over(broker_id).capture(readings)
        self._keep_names()

    @callback
    def _accept_past(self, readings: Iterable[Reading], broker_id: str | None) -> None:
        """Take readings of the past, in which units were what they are no more."""
        self.ways.over(broker_id).accept(readings)
        self._names.take_unit_changes()
        self._keep_names()

    def _keep_names(self) -> None:
        """Keep on disk what new names there are, and show what they are for."""
        if len(self._names) != self._names_given:
            self._names_given = len(self._names)
            self._problems.show_unit_changes(self._names.take_unit_changes())
            self._store.async_delay_save(self._names.as_stored, _SAVE_NAMES_AFTER_S)

    async def _mark_captured(self, _now: datetime) -> None:
        """Note of a quiet house, too, that nothing is missing up to now."""
        if self.is_mirroring and not self._is_shut_down:
            self._resolver.hand_over()
            self.ways.mark_captured()
            await self.ways.write_down()

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
        self._problems.show_routes(self.ways)
        self.registration.status_changed(self.ways.http.client, self.status)
        self._removal.offer(self.status)
        self.backfill.status_changed()
        self.ways.http.tell()

    @callback
    def _broker_changed(self) -> None:
        self._problems.show_routes(self.ways)
        self.registration.status_changed(self.ways.http.client, self.status)
        self.backfill.status_changed()

    def _end_reauth(self) -> None:
        """Ask no more for another token: the server takes the one there is."""
        for flow in self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH}):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])


def is_mirroring(entry: ConfigEntry) -> bool:
    """Tell whether an entry is to capture and to send, as its switch was left."""
    return bool(entry.options.get(CONF_MIRRORING, True))


async def tokens_of(hass: HomeAssistant, entry: SensorVisionConfigEntry) -> Tokens:
    """Return the tokens of an entry's devices, whether or not it is loaded."""
    if entry.state is ConfigEntryState.LOADED:
        return entry.runtime_data.tokens
    return await load_tokens(hass, entry.entry_id)
