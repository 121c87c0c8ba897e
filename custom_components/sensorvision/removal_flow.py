"""Ask what becomes of the server's devices of a mirror that was removed."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
import voluptuous as vol

from .const import DOMAIN

_MAX_NAMES_SHOWN = 20


class RemovedMirrorFlow(RepairsFlow):
    """Keep the devices of a removed mirror, or delete them with all their data.

    Args:
        data: of the issue: the entry, the mirror's title and its devices.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Remember what it is about."""
        self._entry_id: str = data["entry_id"]
        self._mirror: str = data["mirror"]
        self._device_ids: list[str] = data["devices"].split()
        self._message = ""

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask what becomes of them."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["keep", "delete"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_keep(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Leave everything as it is."""
        return self.async_create_entry(data={})

    async def async_step_delete(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Delete them once that is confirmed, and say what could not be deleted."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if error := await self._delete():
                errors["base"] = error
            else:
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="delete",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders=self._placeholders(),
        )

    async def _delete(self) -> str | None:
        """Delete the devices, and return which error there is, if any."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        if (
            entry is None
            or entry.domain != DOMAIN
            or entry.state is not ConfigEntryState.LOADED
        ):
            return "not_loaded"
        left = await entry.runtime_data.delete_devices(self._device_ids)
        self._device_ids = list(left)
        self._message = next(iter(left.values()), "")
        return "not_deleted" if left else None

    def _placeholders(self) -> dict[str, str]:
        names = [f"- {device_id}" for device_id in self._device_ids]
        if len(names) > _MAX_NAMES_SHOWN:
            names[_MAX_NAMES_SHOWN:] = ["- …"]
        return {
            "mirror": self._mirror,
            "count": str(len(self._device_ids)),
            "devices": "\n".join(names),
            "message": self._message,
        }
