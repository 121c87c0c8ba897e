"""Show when the server last accepted a reading."""

from datetime import datetime
import logging
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .entity import SensorVisionEntity
from .runtime import SensorVisionConfigEntry

PARALLEL_UPDATES = 0

_LOGGER = logging.getLogger(__name__)

# A new state for every post would fill the recorder.
_WRITE_INTERVAL_S = 30

_LAST_DELIVERED = SensorEntityDescription(
    key="last_delivered",
    translation_key="last_delivered",
    device_class=SensorDeviceClass.TIMESTAMP,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensor of the last delivery."""
    async_add_entities([LastDeliveredSensor(entry, _LAST_DELIVERED)])


class LastDeliveredSensor(SensorVisionEntity, SensorEntity):
    """The time at which the server last accepted a reading."""

    @property
    @override
    def native_value(self) -> datetime | None:
        """Return when the server last said yes."""
        last_delivered = self._runtime.status.last_delivered
        if last_delivered is None:
            return None
        return dt_util.utc_from_timestamp(last_delivered)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the status, no faster than people look."""
        self._writer = Debouncer(
            self.hass,
            _LOGGER,
            cooldown=_WRITE_INTERVAL_S,
            immediate=True,
            function=self.async_write_ha_state,
        )
        self.async_on_remove(self._writer.async_shutdown)
        await super().async_added_to_hass()

    @override
    def _status_changed(self) -> None:
        """Show the time of the first delivery at once, and later ones in due course."""
        if self._runtime.status.last_delivered is not None:
            self._writer.async_schedule_call()
