"""Send what waits without any further pause."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import SensorVisionEntity
from .runtime import SensorVisionConfigEntry

PARALLEL_UPDATES = 0

_SEND_NOW = ButtonEntityDescription(
    key="send_now",
    translation_key="send_now",
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the button."""
    async_add_entities([SendNowButton(entry, _SEND_NOW)])


class SendNowButton(SensorVisionEntity, ButtonEntity):
    """Ends every pause of the delivery."""

    @override
    async def async_press(self) -> None:
        """Send what waits."""
        self._runtime.flush()
