"""Show whether server and brokers are there and take their credentials."""

from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import StatusEntity
from .runtime import SensorVisionConfigEntry

PARALLEL_UPDATES = 0

_CONNECTED = BinarySensorEntityDescription(
    key="connected",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a connectivity sensor for the server and for each broker."""
    for route in entry.runtime_data.ways:
        async_add_entities(
            [ConnectedBinarySensor(entry, _CONNECTED, route)],
            config_subentry_id=route.broker_id,
        )


class ConnectedBinarySensor(StatusEntity, BinarySensorEntity):
    """On while a server or a broker is there and takes its credential."""

    @override
    def _status_changed(self) -> None:
        """Write a state only when it is another one: the status changes at each post."""
        is_connected = self._route.status.is_connected
        if is_connected is not self._attr_is_on:
            self._attr_is_on = is_connected
            super()._status_changed()
