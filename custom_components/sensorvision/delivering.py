"""Choose how an entry's readings wait, and how they are brought to its server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    SUBENTRY_TYPE_BROKER,
)

DEFAULT_COMMIT_INTERVAL_S = 1
DEFAULT_MAX_SIZE_MB = 100
DEFAULT_MAX_AGE_D = 30

_BYTES_PER_MB = 1024 * 1024
_DAY_S = 24 * 3600

_INHERITED_AT_ONCE = 1000

type EntryOutbox = CompleteOutbox | NewestOutbox


@dataclass(frozen=True)
class Outboxes:
    """The outboxes of a config entry, all of them open.

    Attributes:
        own: what is delivered over the server's HTTP waits in it.
        of_brokers: what is delivered over a broker, by the ids of their subentries.
    """

    own: EntryOutbox
    of_brokers: dict[str, CompleteOutbox]

    async def close(self) -> None:
        """Write down what waits."""
        for outbox in (self.own, *self.of_brokers.values()):
            await outbox.close()


def keeps_times(data: Mapping[str, Any]) -> bool:
    """Tell whether the server takes readings with their times from an entry."""
    return CONF_USERNAME in data or data.get(CONF_CREDENTIAL) == USER_KEY


def may_send_past(entry: ConfigEntry) -> bool:
    """Tell whether a mirror of an entry may send what was true before: by some way."""
    return keeps_times(entry.data) or any(
        entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER)
    )


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


async def open_outboxes(hass: HomeAssistant, entry: ConfigEntry) -> Outboxes:
    """Return the outboxes of an entry, with what was left in them.

    What waits for a broker that was removed waits for the server's HTTP then.

    Args:
        hass: in whose storage folder the files are.
        entry: whose they are.
    """
    kind = CompleteOutbox if keeps_times(entry.data) else NewestOutbox
    limits = limits_of(entry.options)
    own = await _open(hass, kind, outbox_path(hass, entry.entry_id), limits)
    outboxes = Outboxes(own, {})
    try:
        for broker in entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER):
            path = outbox_path(hass, entry.entry_id, broker.subentry_id)
            outbox = await _open(hass, CompleteOutbox, path, limits)
            outboxes.of_brokers[broker.subentry_id] = outbox
        known = {
            outbox_path(hass, entry.entry_id, broker_id)
            for broker_id in (None, *outboxes.of_brokers)
        }
        paths = await hass.async_add_executor_job(
            outbox_paths, outbox_path(hass, entry.entry_id)
        )
        for path in paths:
            if path not in known:
                await _inherit(hass, own, path)
    except BaseException:
        await outboxes.close()
        raise
    return outboxes


async def _open[AnyOutbox: EntryOutbox](
    hass: HomeAssistant, kind: type[AnyOutbox], path: Path, limits: Limits
) -> AnyOutbox:
    integration = await async_get_integration(hass, DOMAIN)
    outbox = kind(str(path), limits, str(integration.version))
    await outbox.open()
    return outbox


async def _inherit(hass: HomeAssistant, heir: EntryOutbox, path: Path) -> None:
    """Let an outbox hold what one that nobody empties any more has left."""
    left = await _open(hass, CompleteOutbox, path, heir.limits)
    try:
        while not heir.problem and (
            batch := await left.take_backlog(_INHERITED_AT_ONCE)
        ):
            heir.inherit(batch.readings)
            await heir.commit()
            await (left.release if heir.problem else left.confirm)(batch)
        is_empty = not left
    finally:
        await left.close()
    if is_empty:
        await hass.async_add_executor_job(remove_outbox, path)


def outbox_path(
    hass: HomeAssistant, entry_id: str, broker_id: str | None = None
) -> Path:
    """Return the file of an entry's own outbox, or of that of one of its brokers."""
    name = ".".join(filter(None, (DOMAIN, entry_id, broker_id, "outbox")))
    return Path(hass.config.path(STORAGE_DIR, name))


def outbox_paths(own: Path) -> list[Path]:
    """Return the files of all outboxes of the entry whose own outbox is in a file."""
    return sorted(own.parent.glob(f"{own.stem}*{own.suffix}"))


def remove_outbox(path: Path) -> None:
    """Delete an outbox's file, with all that lies beside it."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


def remove_outboxes(own: Path) -> None:
    """Delete the files of all outboxes of the entry whose own outbox is in a file."""
    for path in (own, *outbox_paths(own)):
        remove_outbox(path)


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
