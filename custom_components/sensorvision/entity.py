"""What the entities of the integration share."""

from typing import override

from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription

from .devices import identifier_of
from .routes import Route
from .runtime import SensorVisionConfigEntry


class SensorVisionEntity(Entity):
    """An entity that shows how the mirroring of a config entry goes.

    Args:
        entry: whose mirroring it is.
        description: what the entity shows.
        route: the way to the server that it is about, by default that over HTTP.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self,
        entry: SensorVisionConfigEntry,
        description: EntityDescription,
        route: Route | None = None,
    ) -> None:
        """Belong to the service that the config entry stands for, or to a broker's."""
        self.entity_description = description
        self._runtime = entry.runtime_data
        self._route = route or self._runtime.ways.http
        identifier = identifier_of(entry, self._route.broker)
        self._attr_unique_id = f"{identifier[1]}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={identifier})


class StatusEntity(SensorVisionEntity):
    """An entity that follows the status as it changes."""

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the status."""
        self.async_on_remove(self._route.add_listener(self._status_changed))

    def _status_changed(self) -> None:
        """Show the new status."""
        self.async_write_ha_state()
