"""Switch the mirroring of a server off and on."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import StatusEntity
from .runtime import SensorVisionConfigEntry

PARALLEL_UPDATES = 0

_MIRRORING = SwitchEntityDescription(
    key="mirroring",
    translation_key="mirroring",
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switch."""
    async_add_entities([MirroringSwitch(entry, _MIRRORING)])


class MirroringSwitch(StatusEntity, SwitchEntity):
    """On while states are captured and sent."""

    def __init__(
        self, entry: SensorVisionConfigEntry, description: EntityDescription
    ) -> None:
        """Show how it was left."""
        super().__init__(entry, description)
        self._attr_is_on = self._runtime.is_mirroring

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Send the present states, and from then on what changes."""
        self._runtime.switch_on()

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Capture and send nothing any more; what waits goes on waiting."""
        self._runtime.switch_off()

    @override
    def _status_changed(self) -> None:
        """Write a state only when it is another one: the status changes at each post."""
        is_mirroring = self._runtime.is_mirroring
        if is_mirroring is not self._attr_is_on:
            self._attr_is_on = is_mirroring
            super()._status_changed()
