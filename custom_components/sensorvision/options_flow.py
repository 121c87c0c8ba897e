"""Ask how readings wait for the server, and for how long."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import UnitOfInformation, UnitOfTime
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
import voluptuous as vol

from .const import (
    CONF_COMMIT_INTERVAL_S,
    CONF_FILL_GAPS,
    CONF_MAX_AGE_D,
    CONF_MAX_SIZE_MB,
)
from .delivering import (
    DEFAULT_COMMIT_INTERVAL_S,
    DEFAULT_MAX_AGE_D,
    DEFAULT_MAX_SIZE_MB,
    may_send_past,
)

_LIMITS = {
    vol.Required(
        CONF_COMMIT_INTERVAL_S, default=DEFAULT_COMMIT_INTERVAL_S
    ): NumberSelector(
        NumberSelectorConfig(
            min=0,
            max=60,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfTime.SECONDS,
        )
    ),
    vol.Required(CONF_MAX_SIZE_MB, default=DEFAULT_MAX_SIZE_MB): NumberSelector(
        NumberSelectorConfig(
            min=10,
            max=10_000,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfInformation.MEGABYTES,
        )
    ),
    vol.Required(CONF_MAX_AGE_D, default=DEFAULT_MAX_AGE_D): NumberSelector(
        NumberSelectorConfig(
            min=1,
            max=365,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfTime.DAYS,
        )
    ),
}

_FORM = vol.Schema(_LIMITS)

# Only with its own time a reading of the past can be sent.
_FORM_OF_KEPT_TIMES = vol.Schema(
    {**_LIMITS, vol.Required(CONF_FILL_GAPS, default=True): BooleanSelector()}
)


class SensorVisionOptionsFlow(OptionsFlow):
    """Choose how soon readings are on disk, and how many are kept."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for all of it; what the form does not show stays as it is."""
        entry = self.config_entry
        if user_input is not None:
            return self.async_create_entry(data={**entry.options, **user_input})
        form = _FORM_OF_KEPT_TIMES if may_send_past(entry) else _FORM
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(form, entry.options),
        )
