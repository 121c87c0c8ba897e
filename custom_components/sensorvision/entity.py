"""What the entities of the integration share."""

from typing import override

from homeassistant.const import CONF_URL
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription

from .const import DOMAIN
from .runtime import SensorVisionConfigEntry


class SensorVisionEntity(Entity):
    """An entity that shows how the mirroring of a config entry goes."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, entry: SensorVisionConfigEntry, description: EntityDescription
    ) -> None:
        """Belong to the service that the config entry stands for."""
        self.entity_description = description
        self._runtime = entry.runtime_data
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE,
            identifiers={(DOMAIN, entry.entry_id)},
            manufacturer="SensorVision",
            name="SensorVision",
            configuration_url=entry.data[CONF_URL],
        )


class StatusEntity(SensorVisionEntity):
    """An entity that follows the status as it changes."""

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the status."""
        self.async_on_remove(self._runtime.add_listener(self._status_changed))

    def _status_changed(self) -> None:
        """Show the new status."""
        self.async_write_ha_state()
