"""Remember what the server was told, and which mirrors sent to which device."""

from collections.abc import Collection, Mapping
from typing import TypedDict

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .details import DeviceDetails, VariableDetails

_STORAGE_VERSION = 1
_SAVE_AFTER_S = 30


class StoredDevice(TypedDict):
    """What is remembered of a device."""

    mirrors: list[str]
    details: DeviceDetails
    variables: dict[str, VariableDetails]


class StoredLedger(TypedDict):
    """What is remembered, as it is kept on disk."""

    url: str
    mirrors: dict[str, str]
    devices: dict[str, StoredDevice]


def ledger_store(hass: HomeAssistant, entry_id: str) -> Store[StoredLedger]:
    """Return where an entry keeps its ledger."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.ledger")


async def load_ledger(hass: HomeAssistant, entry: ConfigEntry) -> Ledger:
    """Read what an entry's server was told; what another one was told is of no use."""
    store = ledger_store(hass, entry.entry_id)
    stored = await store.async_load()
    url = entry.data[CONF_URL]
    ledger = Ledger(store, stored or StoredLedger(url=url, mirrors={}, devices={}))
    ledger.move(url)
    return ledger


class Ledger:
    """What a server was told, and which mirrors sent to which device.

    Args:
        store: where to keep it.
        stored: what was remembered before.
    """

    def __init__(self, store: Store[StoredLedger], stored: StoredLedger) -> None:
        """Remember what was remembered before."""
        self._store = store
        self._url = stored["url"]
        self._titles = dict(stored["mirrors"])
        self._devices = dict(stored["devices"])

    @callback
    def save_soon(self) -> None:
        """Keep on disk what is remembered."""
        self._store.async_delay_save(self._as_stored, _SAVE_AFTER_S)

    async def save(self) -> None:
        """Keep on disk what is remembered, now."""
        await self._store.async_save(self._as_stored())

    def counts(self) -> dict[str, int]:
        """Return of how many devices and variables the server was told."""
        devices = self._devices.values()
        return {
            "devices": sum(bool(device["details"]) for device in devices),
            "variables": sum(len(device["variables"]) for device in devices),
        }

    def move(self, url: str) -> bool:
        """Tell everything anew to another server; return whether it is another one."""
        is_other = url != self._url
        self._url = url
        if is_other:
            for device_id in self._devices:
                self.forget_told(device_id)
        return is_other

    def told(self, device_id: str) -> DeviceDetails:
        """Return what the server was told of a device."""
        return self._device(device_id)["details"]

    def told_of_variable(self, device_id: str, variable: str) -> VariableDetails:
        """Return what the server was told of a variable."""
        return self._device(device_id)["variables"].get(variable, {})

    def tell(self, device_id: str, details: DeviceDetails) -> None:
        """Remember what the server was told of a device."""
        self._device(device_id)["details"] = details

    def tell_of_variable(
        self, device_id: str, variable: str, details: VariableDetails
    ) -> None:
        """Remember what the server was told of a variable."""
        self._device(device_id)["variables"][variable] = details

    def forget_told(self, device_id: str) -> None:
        """Remember of a device only which mirrors sent to it: the server has it anew."""
        if device := self._devices.get(device_id):
            device["details"], device["variables"] = {}, {}

    def forget(self, device_ids: Collection[str]) -> None:
        """Remember nothing of devices that are gone."""
        for device_id in device_ids:
            self._devices.pop(device_id, None)

    def note_mirrors(self, titles: Mapping[str, str]) -> None:
        """Remember mirrors by their ids."""
        self._titles |= titles

    def note_uses(self, device_id: str, mirror_ids: Collection[str]) -> None:
        """Remember which mirrors send to a device."""
        known = self._device(device_id)["mirrors"]
        known += sorted(set(mirror_ids) - set(known))

    def removed(self, mirror_ids: Collection[str]) -> set[str]:
        """Return which mirrors are remembered and not among these."""
        return self._titles.keys() - set(mirror_ids)

    def take_mirror(self, mirror_id: str) -> tuple[str, list[str]]:
        """Forget a mirror; return its title and the devices that it alone sent to."""
        devices = []
        for device_id, device in self._devices.items():
            if mirror_id in device["mirrors"]:
                device["mirrors"].remove(mirror_id)
                if not device["mirrors"]:
                    devices.append(device_id)
        return self._titles.pop(mirror_id), devices

    def _as_stored(self) -> StoredLedger:
        return StoredLedger(url=self._url, mirrors=self._titles, devices=self._devices)

    def _device(self, device_id: str) -> StoredDevice:
        return self._devices.setdefault(
            device_id, StoredDevice(mirrors=[], details={}, variables={})
        )
