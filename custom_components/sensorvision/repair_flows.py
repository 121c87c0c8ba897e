"""Ask before what a repair issue says is mended."""

from abc import abstractmethod
from typing import Any

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError

from .choice import Choice
from .const import CONF_TARGET
from .runtime import Runtime, SensorVisionConfigEntry
from .selection import Registry


class MissingThingsFlow(ConfirmRepairFlow):
    """Take out of a mirror what no longer exists.

    Args:
        data: of the issue: the entry, and the mirror's subentry as its name.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Remember what it is about."""
        self._entry_id: str = data["entry_id"]
        self._subentry_id: str = data["name"]

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Take it out once that is confirmed, unless nothing would be left."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        subentry = entry.subentries.get(self._subentry_id) if entry else None
        if entry is None or subentry is None:
            return self.async_abort(reason="mirror_gone")
        target = Registry(self.hass).without_missing(subentry.data.get(CONF_TARGET, {}))
        data = {**subentry.data, CONF_TARGET: target}
        if not Choice.of(data).include:
            return self.async_abort(
                reason="nothing_left",
                description_placeholders={"mirror": subentry.title},
            )
        if user_input is not None:
            self.hass.config_entries.async_update_subentry(entry, subentry, data=data)
        return await super().async_step_confirm(user_input)


class _RetryFlow(ConfirmRepairFlow):
    """Try something again at once that the server refuses.

    Args:
        data: of the issue: the entry, and what it is about.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Remember what it is about."""
        self._about = data

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Try once that is confirmed; the issue comes back if it is still refused."""
        if user_input is not None:
            try:
                await self._retry(self._runtime())
            except ServiceValidationError:
                return self.async_abort(reason="not_running")
        return await super().async_step_confirm(user_input)

    @callback
    def _runtime(self) -> Runtime:
        entry: SensorVisionConfigEntry | None = (
            self.hass.config_entries.async_get_entry(self._about["entry_id"])
        )
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            raise ServiceValidationError
        return entry.runtime_data

    @abstractmethod
    async def _retry(self, runtime: Runtime) -> None:
        """Try it again."""


class RefusedDeviceFlow(_RetryFlow):
    """Try again at once to send to a device that the server refuses."""

    async def _retry(self, runtime: Runtime) -> None:
        """Send what waits."""
        runtime.flush()


class RefusedReadingFlow(_RetryFlow):
    """Try again at once to send what was set aside of a variable."""

    async def _retry(self, runtime: Runtime) -> None:
        """Let it wait again, and send what waits."""
        await runtime.retry_refused(self._about["device"], self._about["variable"])
