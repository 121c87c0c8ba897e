"""Register the services that a config entry and its brokers stand for."""

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN, SUBENTRY_TYPE_BROKER


def identifier_of(entry: ConfigEntry, broker: ConfigSubentry | None) -> tuple[str, str]:
    """Return what the service of an entry is known by, or that of one of its brokers."""
    broker_id = broker.subentry_id if broker else None
    return DOMAIN, "_".join(filter(None, (entry.entry_id, broker_id)))


@callback
def register_devices(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Have an entry's service, which leads to its server, and its brokers behind it."""
    registry = dr.async_get(hass)
    server = registry.async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={identifier_of(entry, None)},
        entry_type=dr.DeviceEntryType.SERVICE,
        manufacturer="SensorVision",
        name="SensorVision",
        configuration_url=entry.data[CONF_URL],
    )
    for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER):
        broker = registry.async_get_or_create(
            config_entry_id=entry.entry_id,
            config_subentry_id=subentry.subentry_id,
            identifiers={identifier_of(entry, subentry)},
            entry_type=dr.DeviceEntryType.SERVICE,
            manufacturer="MQTT",
            name=subentry.title,
        )
        # What says this when a device is made differs between versions of the core.
        registry.async_update_device(broker.id, via_device_id=server.id)
