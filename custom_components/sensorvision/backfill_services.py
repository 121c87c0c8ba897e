"""Actions that fill gaps and send history."""

from datetime import datetime
from typing import Final

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .called import ATTR_MIRROR, ENTRY, ENTRY_SCHEMA, entry_of, mirrors_called
from .const import DOMAIN
from .recorded import has_recorder

ATTR_START: Final = "start"
ATTR_END: Final = "end"

_BACKFILL_SCHEMA = vol.Schema(
    {
        **ENTRY,
        vol.Optional(ATTR_MIRROR): cv.string,
        vol.Required(ATTR_START): cv.datetime,
        vol.Optional(ATTR_END): cv.datetime,
    }
)


@callback
def async_setup_backfill_services(hass: HomeAssistant) -> None:
    """Offer the actions, whether or not a server is connected yet."""
    hass.services.async_register(
        DOMAIN, "backfill", _backfill, _BACKFILL_SCHEMA, SupportsResponse.OPTIONAL
    )
    hass.services.async_register(DOMAIN, "pause_backfill", _pause, ENTRY_SCHEMA)
    hass.services.async_register(DOMAIN, "resume_backfill", _resume, ENTRY_SCHEMA)
    hass.services.async_register(DOMAIN, "cancel_backfill", _cancel, ENTRY_SCHEMA)


async def _backfill(call: ServiceCall) -> ServiceResponse:
    """Send what the recorder has of a period, and return at once."""
    entry = entry_of(call)
    backfill = entry.runtime_data.backfill
    if not has_recorder(call.hass):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_recorder"
        )
    if not entry.runtime_data.mirrors:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="nothing_to_fill",
            translation_placeholders={"entry": entry.title},
        )
    start, end = _period(call)
    mirror_ids = [
        mirror.subentry_id
        for mirror in mirrors_called(entry, call.data.get(ATTR_MIRROR))
        if backfill.is_possible(mirror.subentry_id)
    ]
    if not mirror_ids:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="history_not_possible"
        )
    added = backfill.add(mirror_ids, start.timestamp(), end.timestamp())
    return {"jobs": [job.as_shown() for job in added]}


def _period(call: ServiceCall) -> tuple[datetime, datetime]:
    """Return the start and the end, which without a zone are in the home's.

    Raises:
        ServiceValidationError: there is nothing between them, or it is yet to come.
    """
    now = dt_util.utcnow()
    start = dt_util.as_utc(call.data[ATTR_START])
    end = dt_util.as_utc(call.data.get(ATTR_END, now))
    for field, time in ((ATTR_START, start), (ATTR_END, end)):
        if time > now:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="period_to_come",
                translation_placeholders={
                    "field": field,
                    "time": dt_util.as_local(time).isoformat(),
                },
            )
    if end <= start:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="period_empty",
            translation_placeholders={
                "start": dt_util.as_local(start).isoformat(),
                "end": dt_util.as_local(end).isoformat(),
            },
        )
    return start, end


async def _pause(call: ServiceCall) -> None:
    """Let what is being filled rest."""
    entry_of(call).runtime_data.backfill.pause()


async def _resume(call: ServiceCall) -> None:
    """Go on with what was paused."""
    entry_of(call).runtime_data.backfill.resume()


async def _cancel(call: ServiceCall) -> None:
    """Give up what is being filled."""
    entry_of(call).runtime_data.backfill.cancel()
