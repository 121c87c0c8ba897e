"""Find the server and the mirrors that an action is meant for."""

from typing import Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import ServiceCall
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_get_config_entry
import voluptuous as vol

from .const import DOMAIN, SUBENTRY_TYPE_MIRROR
from .runtime import SensorVisionConfigEntry

ATTR_MIRROR: Final = "mirror"

ENTRY: Final = {vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string}

ENTRY_SCHEMA = vol.Schema(ENTRY)


def entry_of(call: ServiceCall) -> SensorVisionConfigEntry:
    """Return the server that an action is meant for."""
    return async_get_config_entry(call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID])


def mirrors_called(
    entry: SensorVisionConfigEntry, name: str | None
) -> list[ConfigSubentry]:
    """Return an entry's mirrors, or only those of a name."""
    mirrors = list(entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR))
    if name is None:
        return mirrors
    if called := [mirror for mirror in mirrors if mirror.title == name]:
        return called
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="no_such_mirror" if mirrors else "no_mirrors",
        translation_placeholders={
            "name": name,
            "entry": entry.title,
            "mirrors": ", ".join(mirror.title for mirror in mirrors),
        },
    )
