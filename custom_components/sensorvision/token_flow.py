"""Ask for the token of a device, or whether to replace it."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_TOKEN
import voluptuous as vol

from .client import SensorVisionError, ValidationError
from .client.protocol import check_token
from .forms import TOKEN
from .provisioning import can_issue
from .runtime import Runtime, SensorVisionConfigEntry


class NeededTokenFlow(RepairsFlow):
    """Enter the token that a device has, or with an account replace it.

    Args:
        data: of the issue: the entry, and the device's id as its name.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Remember what it is about."""
        self._entry_id: str = data["entry_id"]
        self._device_id: str = data["name"]

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask which way to take, where there are two."""
        entry = self._entry()
        if entry is None or not can_issue(entry):
            return await self.async_step_enter()
        return self.async_show_menu(
            step_id="init",
            menu_options=["enter", "rotate"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_enter(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Take the token that the device has."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                token = check_token(user_input[CONF_TOKEN])
            except ValidationError:
                errors[CONF_TOKEN] = "invalid_token"
            else:
                if not (runtime := self._runtime()):
                    return self.async_abort(reason="not_loaded")
                await runtime.tokens.keep(self._device_id, token)
                return self.async_create_entry(data={})
        return self._form("enter", TOKEN, errors)

    async def async_step_rotate(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Replace the token once that is confirmed."""
        errors: dict[str, str] = {}
        message = ""
        if user_input is not None:
            if not (runtime := self._runtime()):
                return self.async_abort(reason="not_loaded")
            try:
                await runtime.ways.brokers.provisioning.rotate(self._device_id)
            except SensorVisionError as err:
                errors["base"] = "not_rotated"
                message = str(err)
            else:
                return self.async_create_entry(data={})
        return self._form("rotate", vol.Schema({}), errors, message)

    def _form(
        self,
        step_id: str,
        schema: vol.Schema,
        errors: dict[str, str],
        message: str = "",
    ) -> RepairsFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors=errors,
            description_placeholders={**self._placeholders(), "message": message},
        )

    def _placeholders(self) -> dict[str, str]:
        entry = self._entry()
        return {"device": self._device_id, "entry": entry.title if entry else ""}

    def _entry(self) -> SensorVisionConfigEntry | None:
        return self.hass.config_entries.async_get_entry(self._entry_id)

    def _runtime(self) -> Runtime | None:
        entry = self._entry()
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return None
        return entry.runtime_data
