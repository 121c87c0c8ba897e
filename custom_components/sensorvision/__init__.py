"""Mirror Home Assistant's states into a SensorVision server."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .backfill_job import jobs_store
from .brokers import load_brokers
from .client.pace import Pace
from .connection import load_authority
from .const import DOMAIN
from .delivering import open_outboxes, outbox_path, remove_outboxes
from .devices import register_devices
from .ledger import ledger_store, load_ledger
from .problems import Problems
from .runtime import Runtime, SensorVisionConfigEntry, names_store
from .services import async_setup_services
from .tokens import load_tokens, tokens_store

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS: list[Platform] = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
]

PACE = Pace()


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the actions, so that automations are checked before a server is there."""
    async_setup_services(hass)
    return True


async def async_setup_entry(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> bool:
    """Start mirroring, whether or not the server answers now."""
    stored_names = await names_store(hass, entry.entry_id).async_load()
    jobs = await jobs_store(hass, entry.entry_id).async_load()
    ledger = await load_ledger(hass, entry)
    tokens = await load_tokens(hass, entry.entry_id)
    await load_authority(hass, entry.data)
    brokers = await load_brokers(hass, entry)
    outboxes = await open_outboxes(hass, entry)
    entry.runtime_data = Runtime(
        hass, entry, stored_names, ledger, jobs, tokens, outboxes, brokers, PACE
    )
    register_devices(hass, entry)
    try:
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:
        await outboxes.close()
        raise
    entry.runtime_data.start()
    entry.async_on_unload(entry.runtime_data.stop)
    entry.async_on_unload(entry.add_update_listener(_async_entry_updated))
    # Before the outbox notes that what follows is captured.
    await entry.runtime_data.backfill.save()
    return True


async def async_unload_entry(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> bool:
    """Stop mirroring."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> None:
    """Leave nothing behind."""
    await names_store(hass, entry.entry_id).async_remove()
    path = outbox_path(hass, entry.entry_id)
    await hass.async_add_executor_job(remove_outboxes, path)
    await ledger_store(hass, entry.entry_id).async_remove()
    await tokens_store(hass, entry.entry_id).async_remove()
    await jobs_store(hass, entry.entry_id).async_remove()
    Problems(hass, entry).forget()


async def _async_entry_updated(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> None:
    """Take over changed mirrors, a new credential, and changed options."""
    entry.runtime_data.entry_updated()
