"""Actions for automations and for the developer tools."""

from dataclasses import asdict
from typing import Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID, ATTR_TIME
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_get_config_entry
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .client import SensorVisionError, ValidationError
from .const import DOMAIN
from .problems import shown_age
from .runtime import SensorVisionConfigEntry

ATTR_VARIABLES: Final = "variables"

_ENTRY = {vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string}

_ENTRY_SCHEMA = vol.Schema(_ENTRY)

# What a number must be is told by the client, in words.
_SEND_SCHEMA = vol.Schema(
    {
        **_ENTRY,
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Required(ATTR_VARIABLES): {cv.string: object},
        vol.Optional(ATTR_TIME): cv.datetime,
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Offer the actions, whether or not a server is connected yet."""
    hass.services.async_register(DOMAIN, "send", _send, _SEND_SCHEMA)
    hass.services.async_register(DOMAIN, "flush", _flush, _ENTRY_SCHEMA)
    hass.services.async_register(
        DOMAIN, "status", _status, _ENTRY_SCHEMA, SupportsResponse.ONLY
    )


async def _send(call: ServiceCall) -> None:
    """Store numbers of any device, and return when the server has said yes."""
    entry = _entry_of(call)
    if ATTR_TIME in call.data:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="time_not_possible"
        )
    try:
        await entry.runtime_data.send(
            call.data[ATTR_DEVICE_ID], call.data[ATTR_VARIABLES]
        )
    except ValidationError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="cannot_be_sent",
            translation_placeholders={"message": str(err)},
        ) from err
    except SensorVisionError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="not_stored",
            translation_placeholders={"entry": entry.title, "message": str(err)},
        ) from err


async def _flush(call: ServiceCall) -> None:
    """Send at once what waits."""
    _entry_of(call).runtime_data.flush()


async def _status(call: ServiceCall) -> ServiceResponse:
    """Return what became of the readings."""
    runtime = _entry_of(call).runtime_data
    capabilities = runtime.status.capabilities
    figures = asdict(runtime.figures)
    if (last_delivered := figures.pop("last_delivered")) is not None:
        last_delivered = dt_util.utc_from_timestamp(last_delivered).isoformat()
    return {
        "connected": runtime.status.is_connected,
        "mirroring": runtime.is_mirroring,
        "problem": runtime.status.problem,
        "can": asdict(capabilities) if capabilities else None,
        "server": shown_age(runtime.status.age),
        "last_delivered": last_delivered,
        **figures,
    }


def _entry_of(call: ServiceCall) -> SensorVisionConfigEntry:
    """Return the server that an action is meant for."""
    return async_get_config_entry(call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])
