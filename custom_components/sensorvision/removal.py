"""Offer to delete the server's devices of a mirror that was removed."""

from collections.abc import Callable, Collection, Iterable

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .client import AsyncSensorVisionClient, DeviceError, SensorVisionError
from .client.delivery import Status
from .client.outbox import Outbox
from .client.user_protocol import is_unknown_device
from .const import CONF_PREFIX, DOMAIN, SUBENTRY_TYPE_MIRROR
from .details import Knowledge
from .ledger import Ledger

ISSUE_MIRROR_REMOVED = "mirror_removed"


class Removal:
    """The server's devices of the mirrors that are removed from one config entry."""

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

    @callback
    def note(self) -> None:
        """Remember the mirrors, and what those send to that are about to be let go of."""
        titles = {
            subentry.subentry_id: subentry.title
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
        }
        self._ledger.note_mirrors(titles)
        if self._ledger.removed(titles):
            for device_id in self._knowledge.device_ids():
                self._ledger.note_uses(device_id, self._knowledge.mirrors_of(device_id))

    @callback
    def offer(self, status: Status) -> None:
        """Offer the devices of removed mirrors.

        Nothing is offered that another mirror sends to, or that the credential can't
        delete. What it can do must be known first.
        """
        removed = self._ledger.removed(self._entry.subentries)
        if not removed or not status.capabilities:
            return
        prefix = f"{self._entry.data[CONF_PREFIX]}."
        for mirror_id in removed:
            title, devices = self._ledger.take_mirror(mirror_id)
            left = sorted(
                device_id
                for device_id in devices
                if device_id.startswith(prefix)
                and not self._knowledge.mirrors_of(device_id)
            )
            if left and status.capabilities.create_devices:
                self._create_issue(mirror_id, title, left)
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
