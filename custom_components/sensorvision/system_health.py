"""Say in Home Assistant's system information whether the servers can be reached."""

import asyncio
from datetime import datetime
from typing import Any

from aiohttp import ClientError, ClientTimeout
from homeassistant.components import system_health
from homeassistant.const import CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util

from .client.probing import connectivity_request
from .connection import trust
from .const import DOMAIN
from .runtime import SensorVisionConfigEntry

# A person waits for the page.
_TIMEOUT_S = 5


@callback
def async_register(
    hass: HomeAssistant, register: system_health.SystemHealthRegistration
) -> None:
    """Add what is known of the servers to the system information."""
    register.async_register_info(_info)


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    """Return what is known, and what it takes a moment to find out."""
    entries: list[SensorVisionConfigEntry] = hass.config_entries.async_loaded_entries(
        DOMAIN
    )
    return {
        "servers": len(entries),
        "reachable": _reach_all(hass, entries),
        "waiting": sum(
            len(route.outbox) for entry in entries for route in entry.runtime_data.ways
        ),
        "last_delivered": _last_delivered(entries),
    }


def _last_delivered(entries: list[SensorVisionConfigEntry]) -> datetime | None:
    times = [
        time
        for entry in entries
        if (time := entry.runtime_data.status.last_delivered) is not None
    ]
    return dt_util.utc_from_timestamp(max(times)) if times else None


async def _reach_all(
    hass: HomeAssistant, entries: list[SensorVisionConfigEntry]
) -> str | dict[str, str]:
    """Return that every server is there, or which are not."""
    reached = await asyncio.gather(*(_is_reached(hass, entry) for entry in entries))
    away = [
        entry.title
        for entry, is_reached in zip(entries, reached, strict=True)
        if not is_reached
    ]
    if not away:
        return "ok"
    return {"type": "failed", "error": f"unreachable: {', '.join(away)}"}


async def _is_reached(hass: HomeAssistant, entry: SensorVisionConfigEntry) -> bool:
    """Tell whether a server answers, by its public check, which needs no credential."""
    check = connectivity_request()
    session = async_get_clientsession(hass, entry.data[CONF_VERIFY_SSL])
    try:
        async with session.request(
            check.method,
            f"{entry.data[CONF_URL]}{check.path}",
            headers=check.headers,
            ssl=trust(entry.data),
            allow_redirects=False,
            timeout=ClientTimeout(total=_TIMEOUT_S),
        ) as answer:
            # An older server does not know the check, and says so by refusing it.
            return answer.status < 500
    except TimeoutError, ClientError, OSError:
        return False
