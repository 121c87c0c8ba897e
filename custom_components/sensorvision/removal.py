"""Offer to delete the server's devices of a mirror that was removed."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .client import AsyncSensorVisionClient, DeviceError, SensorVisionError
from .client.delivery import Status
from .client.outbox import Outbox
from .client.user_protocol import is_unknown_device
from .const import CONF_PREFIX, DOMAIN, SUBENTRY_TYPE_MIRROR
from .details import Following, Knowledge
from .ledger import Ledger

ISSUE_MIRROR_REMOVED = "mirror_removed"

_NAMES_AT_ONCE = 500


class Removal:
    """The server's devices of the mirrors that are removed from one config entry.

    Which ones these are is found out in slices that hold nobody up: a mirror may have
    given thousands of names.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        knowledge: Knowledge,
        ledger: Ledger,
        outboxes: Callable[[], Iterable[Outbox]],
    ) -> None:
        """Look nothing up yet."""
        self._hass = hass
        self._entry = entry
        self._knowledge = knowledge
        self._ledger = ledger
        self._outboxes = outboxes
        self._work: deque[Iterator[None]] = deque()
        self._task: asyncio.Task[None] | None = None

    @callback
    def note(self) -> None:
        """Remember the mirrors, and what those follow that are about to be let go of."""
        titles = {
            subentry.subentry_id: subentry.title
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
        }
        self._ledger.note_mirrors(titles)
        gone = self._knowledge.following(self._ledger.removed(titles))
        if gone:
            self._begin(self._note_uses(gone))

    @callback
    def offer(self, status: Status) -> None:
        """Offer the devices of removed mirrors.

        Nothing is offered that another mirror sends to, or that the credential can't
        delete. What it can do must be known first.
        """
        mirror_ids = self._ledger.removed(self._entry.subentries)
        if not mirror_ids or not status.capabilities:
            return
        left = self._knowledge.following(self._entry.subentries)
        can_delete = status.capabilities.create_devices
        self._begin(self._offer(mirror_ids, left, can_delete=can_delete))

    @callback
    def finish(self) -> None:
        """Find out at once what is not known yet: later nobody knows it any more."""
        while self._work:
            self._step()

    def _begin(self, work: Iterator[None]) -> None:
        """Do work once everything is done that was begun before."""
        self._work.append(work)
        if self._task is None or self._task.done():
            self._task = self._entry.async_create_task(
                self._hass, self._work_off(), f"{DOMAIN} removal", eager_start=False
            )

    async def _work_off(self) -> None:
        while self._work:
            for _ in range(_NAMES_AT_ONCE):
                if self._work:
                    self._step()
            await asyncio.sleep(0)

    def _step(self) -> None:
        """Do the next step of what is to be done first."""
        work = self._work[0]
        for _ in work:
            return
        self._work.popleft()

    def _note_uses(self, mirrors: Mapping[str, Following]) -> Iterator[None]:
        """Remember what mirrors have sent to, a name at a time."""
        for device_id in self._knowledge.device_ids():
            for mirror_ids in self._knowledge.users(device_id, mirrors):
                if mirror_ids:
                    self._ledger.note_uses(device_id, mirror_ids)
                yield
        self._ledger.save_soon()

    def _offer(
        self,
        mirror_ids: Collection[str],
        left: Mapping[str, Following],
        *,
        can_delete: bool,
    ) -> Iterator[None]:
        """Offer what those mirrors do not send to that are left, a name at a time."""
        prefix = f"{self._entry.data[CONF_PREFIX]}."
        for mirror_id in self._ledger.removed(self._entry.subentries) & set(mirror_ids):
            title, devices = self._ledger.take_mirror(mirror_id)
            unused = []
            for device_id in sorted(devices):
                is_used = False
                for users in self._knowledge.users(device_id, left):
                    is_used |= bool(users)
                    yield
                if device_id.startswith(prefix) and not is_used:
                    unused.append(device_id)
            if unused and can_delete:
                self._create_issue(mirror_id, title, unused)
        self._ledger.save_soon()

    async def delete(
        self, client: AsyncSensorVisionClient, device_ids: Collection[str]
    ) -> dict[str, str]:
        """Delete devices for good that no mirror sends to, with all their data.

        Returns:
            Why those are left that could not be deleted.
        """
        unused = [
            device_id
            for device_id in device_ids
            if not self._knowledge.mirrors_of(device_id)
        ]
        left: dict[str, str] = {}
        for index, device_id in enumerate(unused):
            # It would come back with them.
            for outbox in self._outboxes():
                await outbox.discard(device_id)
            try:
                await _delete(client, device_id)
            except DeviceError as err:
                left[device_id] = str(err)
            except SensorVisionError as err:
                # What else is wrong is so for all of them.
                return left | dict.fromkeys(unused[index:], str(err))
            else:
                self._knowledge.forget([device_id])
                self._ledger.forget([device_id])
                self._ledger.save_soon()
        return left

    def _create_issue(self, mirror_id: str, title: str, device_ids: list[str]) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            f"{ISSUE_MIRROR_REMOVED}_{self._entry.entry_id}_{mirror_id}",
            data={
                "entry_id": self._entry.entry_id,
                "mirror": title,
                "devices": " ".join(device_ids),
            },
            is_fixable=True,
            is_persistent=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=ISSUE_MIRROR_REMOVED,
            translation_placeholders={"entry": self._entry.title, "mirror": title},
        )


@callback
def withdraw(hass: HomeAssistant, entry_id: str) -> None:
    """Offer nothing more of an entry that is gone, or that has another server."""
    begin = f"{ISSUE_MIRROR_REMOVED}_{entry_id}_"
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(begin):
            ir.async_delete_issue(hass, DOMAIN, issue_id)


async def _delete(client: AsyncSensorVisionClient, device_id: str) -> None:
    """Delete a device, if it is still there."""
    try:
        await client.unregister_device(device_id)
    except DeviceError as err:
        if not is_unknown_device(err.answer):
            raise
