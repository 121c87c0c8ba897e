"""Tell automations that the delivery has failed or recovered."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import StatusEntity
from .runtime import SensorVisionConfigEntry

PARALLEL_UPDATES = 0

_FAILED = "failed"
_RECOVERED = "recovered"

_DELIVERY = EventEntityDescription(
    key="delivery",
    translation_key="delivery",
    event_types=[_FAILED, _RECOVERED],
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entity."""
    async_add_entities([DeliveryEvent(entry, _DELIVERY)])


class DeliveryEvent(StatusEntity, EventEntity):
    """The last time that the delivery failed or recovered, and why it failed."""

    _has_failed = False

    @override
    def _status_changed(self) -> None:
        """Fire once when the server goes or refuses, and once when it is good again."""
        status = self._route.status
        # It is unknown before the first answer, and while mirroring is off.
        if status.is_connected is None or status.is_connected is not self._has_failed:
            return
        self._has_failed = not status.is_connected
        if self._has_failed:
            self._trigger_event(_FAILED, {"problem": status.problem})
        else:
            self._trigger_event(_RECOVERED)
        super()._status_changed()
