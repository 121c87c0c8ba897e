"""Choose how an entry's readings wait, and how they are brought to its server."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.loader import async_get_integration

from .client import USER_KEY, AsyncSensorVisionClient
from .client.bulk import BulkDelivery
from .client.delivery import Delivery
from .client.limits import Limits
from .client.outbox import CompleteOutbox, NewestOutbox
from .client.pace import Pace
from .client.posting import PostingDelivery
from .client.status import Status
from .const import (
    CONF_COMMIT_INTERVAL_S,
    CONF_CREDENTIAL,
    CONF_MAX_AGE_D,
    CONF_MAX_SIZE_MB,
    CONF_PREFIX,
    DOMAIN,
)

DEFAULT_COMMIT_INTERVAL_S = 1
DEFAULT_MAX_SIZE_MB = 100
DEFAULT_MAX_AGE_D = 30

_BYTES_PER_MB = 1024 * 1024
_DAY_S = 24 * 3600

type EntryOutbox = CompleteOutbox | NewestOutbox


def keeps_times(data: Mapping[str, Any]) -> bool:
    """Tell whether the server takes readings with their times from an entry."""
    return CONF_USERNAME in data or data.get(CONF_CREDENTIAL) == USER_KEY


def limits_of(options: Mapping[str, Any]) -> Limits:
    """Return how much an outbox may hold by the options of its entry."""
    interval_s = options.get(CONF_COMMIT_INTERVAL_S, DEFAULT_COMMIT_INTERVAL_S)
    max_size_mb = options.get(CONF_MAX_SIZE_MB, DEFAULT_MAX_SIZE_MB)
    max_age_d = options.get(CONF_MAX_AGE_D, DEFAULT_MAX_AGE_D)
    return Limits(
        commit_interval_s=interval_s,
        max_bytes=int(max_size_mb * _BYTES_PER_MB),
        max_age_s=max_age_d * _DAY_S,
    )


async def open_outbox(hass: HomeAssistant, entry: ConfigEntry) -> EntryOutbox:
    """Return the outbox of an entry, with what was left in it.

    Args:
        hass: in whose storage folder its file is.
        entry: says how readings wait in it, and how many.
    """
    integration = await async_get_integration(hass, DOMAIN)
    kind = CompleteOutbox if keeps_times(entry.data) else NewestOutbox
    path = str(outbox_path(hass, entry.entry_id))
    outbox = kind(path, limits_of(entry.options), str(integration.version))
    opening = asyncio.ensure_future(outbox.open())
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        # Or nobody could open the file again.
        await opening
        await outbox.close()
        raise
    return outbox


def outbox_path(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the file of an entry's outbox."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry_id}.outbox"))


def remove_outbox(path: Path) -> None:
    """Delete an outbox's file, with all that lies beside it."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


def make_delivery(
    client: AsyncSensorVisionClient,
    outbox: EntryOutbox,
    data: Mapping[str, Any],
    pace: Pace,
    *,
    on_change: Callable[[], None],
    on_replayed: Callable[[frozenset[str]], None],
    status: Status | None,
) -> Delivery:
    """Return what brings readings to the server, in the way that the outbox is for.

    Args:
        client: connects to the server.
        outbox: of the same entry.
        data: of the entry.
        pace: how fast to send.
        on_change: see `Delivery`.
        on_replayed: see `BulkDelivery`.
        status: what became of readings before, or None.
    """
    prefix = data[CONF_PREFIX]
    if isinstance(outbox, CompleteOutbox):
        return BulkDelivery(
            client,
            outbox,
            prefix,
            on_change=on_change,
            on_replayed=on_replayed,
            pace=pace,
            status=status,
        )
    return PostingDelivery(
        client, outbox, prefix, on_change=on_change, pace=pace, status=status
    )
