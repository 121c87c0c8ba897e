"""Actions for automations and for the developer tools."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_TIME
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .backfill_services import async_setup_backfill_services
from .called import ATTR_MIRROR, ENTRY, ENTRY_SCHEMA, entry_of, mirrors_called
from .choice import Choice
from .client import CapabilityError, SensorVisionError, ValidationError
from .const import CONF_TARGET, DOMAIN
from .figures import as_acknowledged, refused_readings
from .mirror_form import NEW_MIRROR
from .preview import Preview, Row, Skipped, preview, preview_mirrors
from .problems import shown_age
from .routes import Route

ATTR_VARIABLE: Final = "variable"
ATTR_VARIABLES: Final = "variables"

_CLOCK_LEEWAY = timedelta(minutes=1)
_MAX_REFUSED_SHOWN = 100

# What a number must be is told by the client, in words.
_SEND_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Required(ATTR_VARIABLES): {cv.string: object},
        vol.Optional(ATTR_TIME): cv.datetime,
    }
)

_RETRY_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_VARIABLE): cv.string,
    }
)

_PREVIEW_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(ATTR_MIRROR): cv.string,
        vol.Optional(CONF_TARGET): vol.All(
            cv.TARGET_FIELDS, cv.has_at_least_one_key(*map(str, cv.TARGET_FIELDS))
        ),
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Offer the actions, whether or not a server is connected yet."""
    hass.services.async_register(DOMAIN, "send", _send, _SEND_SCHEMA)
    hass.services.async_register(DOMAIN, "flush", _flush, ENTRY_SCHEMA)
    hass.services.async_register(
        DOMAIN, "status", _status, ENTRY_SCHEMA, SupportsResponse.ONLY
    )
    hass.services.async_register(
        DOMAIN,
        "retry_refused",
        _retry_refused,
        _RETRY_SCHEMA,
        SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN, "preview", _preview, _PREVIEW_SCHEMA, SupportsResponse.ONLY
    )
    async_setup_backfill_services(hass)


async def _send(call: ServiceCall) -> None:
    """Store numbers of any device, and return when the server has said yes."""
    entry = entry_of(call)
    device_id, variables = call.data[ATTR_DEVICE_ID], call.data[ATTR_VARIABLES]
    try:
        if ATTR_TIME in call.data:
            time = _past(call.data[ATTR_TIME])
            await entry.runtime_data.send_past(device_id, variables, time)
        else:
            await entry.runtime_data.send(device_id, variables)
    except ValidationError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="cannot_be_sent",
            translation_placeholders={"message": str(err)},
        ) from err
    except CapabilityError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="time_not_possible"
        ) from err
    except SensorVisionError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="not_stored",
            translation_placeholders={"entry": entry.title, "message": str(err)},
        ) from err


def _past(time: datetime) -> datetime:
    """Return a time with its zone, which without one is the home's.

    Raises:
        ServiceValidationError: it is yet to come. The server would take it, and show no
            newer number until then.
    """
    time = dt_util.as_utc(time)
    if time > dt_util.utcnow() + _CLOCK_LEEWAY:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="time_to_come",
            translation_placeholders={"time": dt_util.as_local(time).isoformat()},
        )
    return time


async def _flush(call: ServiceCall) -> None:
    """Send at once what waits."""
    entry_of(call).runtime_data.flush()


async def _retry_refused(call: ServiceCall) -> ServiceResponse:
    """Send again what was set aside, and return how much of it."""
    recalled = await entry_of(call).runtime_data.retry_refused(
        call.data.get(ATTR_DEVICE_ID), call.data.get(ATTR_VARIABLE)
    )
    return {"waiting": recalled.waiting, "superseded": recalled.superseded}


async def _status(call: ServiceCall) -> ServiceResponse:
    """Return what became of the readings."""
    runtime = entry_of(call).runtime_data
    capabilities = runtime.status.capabilities
    figures = asdict(runtime.figures)
    for key in ("oldest_waiting_s", "round_trip_s"):
        if figures[key] is not None:
            figures[key] = round(figures[key], 3)
    last_delivered = _instant(figures.pop("last_delivered"))
    return {
        "connected": runtime.status.is_connected,
        "mirroring": runtime.is_mirroring,
        "problem": runtime.status.problem,
        "can": asdict(capabilities) if capabilities else None,
        "server": shown_age(runtime.status.age),
        "last_delivered": last_delivered,
        **figures,
        "backfill": runtime.backfill.as_shown(),
        "refused_readings": await refused_readings(
            runtime.ways.outboxes, _MAX_REFUSED_SHOWN
        ),
        "brokers": list(map(_broker_as_data, runtime.ways.brokers.routes.values())),
    }


def _broker_as_data(route: Route) -> JsonObjectType:
    """Return what became of the readings that are delivered over a broker."""
    figures = as_acknowledged(route.figures)
    return {
        "name": route.broker.title if route.broker else None,
        "connected": route.status.is_connected,
        "problem": route.status.problem,
        **figures,
        "last_acknowledged": _instant(figures["last_acknowledged"]),
    }


def _instant(timestamp: float | None) -> str | None:
    """Return seconds since 1970 (UTC) as people and templates read them."""
    if timestamp is None:
        return None
    return dt_util.utc_from_timestamp(timestamp).isoformat()


async def _preview(call: ServiceCall) -> ServiceResponse:
    """Return what mirrors would send now, or what one would with another target."""
    entry = entry_of(call)
    mirrors = mirrors_called(entry, call.data.get(ATTR_MIRROR))
    if CONF_TARGET not in call.data:
        previews = await preview_mirrors(call.hass, entry)
        return {
            "mirrors": [
                _preview_as_data(mirror.title, previews[mirror.subentry_id])
                for mirror in mirrors
            ]
        }
    target = {CONF_TARGET: call.data[CONF_TARGET]}
    if ATTR_MIRROR not in call.data:
        shown = await preview(call.hass, entry, Choice.of(NEW_MIRROR | target))
        return {"mirrors": [_preview_as_data(None, shown)]}
    mirror = mirrors[0]
    shown = await preview(
        call.hass,
        entry,
        Choice.of({**mirror.data, **target}),
        title=mirror.title,
        subentry_id=mirror.subentry_id,
    )
    return {"mirrors": [_preview_as_data(mirror.title, shown)]}


def _preview_as_data(name: str | None, preview: Preview) -> JsonObjectType:
    """Return a preview of the mirror that is called so, None if it isn't saved."""
    return {
        "mirror": name,
        "entities": preview.entities,
        "readings": len(preview.rows),
        "devices": preview.devices,
        "round_s": round(preview.round_s, 1),
        "rows": list(map(_row_as_data, preview.rows)),
        "skipped": list(map(_skipped_as_data, preview.skipped)),
        "missing": list(preview.missing),
    }


def _row_as_data(row: Row) -> JsonObjectType:
    return {
        "entity_id": row.entity_id,
        "name": row.name,
        "attribute": row.attribute,
        "value": row.value,
        "unit": row.unit,
        "device_id": row.device_id,
        "device_id_mended": row.mends.device_id,
        "variable": row.variable,
        "variable_mended": row.mends.variable,
    }


def _skipped_as_data(skipped: Skipped) -> JsonObjectType:
    return {
        "entity_id": skipped.entity_id,
        "name": skipped.name,
        "attribute": skipped.attribute,
        "reason": skipped.reason,
        "mirror": skipped.mirror,
    }
