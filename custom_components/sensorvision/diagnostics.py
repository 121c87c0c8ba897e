"""Collect what is needed to find a fault, and nothing secret."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_HOST,
    CONF_PORT,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
    __version__ as HA_VERSION,
)
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration
from yarl import URL

from .client.delivery import Status
from .client.version import build_info
from .const import (
    CONF_CHECKS_TOKENS,
    CONF_CREDENTIAL,
    CONF_PREFIX,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
    DOMAIN,
    SUBENTRY_TYPE_BROKER,
)
from .figures import as_acknowledged, refused_readings
from .problems import shown_age
from .routes import Route
from .runtime import Runtime, SensorVisionConfigEntry

# Everything else that an entry holds may be a credential, now or later.
_SHOWN = frozenset({CONF_CREDENTIAL, CONF_PREFIX, CONF_URL, CONF_VERIFY_SSL})
_SHOWN_OF_BROKER = frozenset(
    {
        CONF_CHECKS_TOKENS,
        CONF_HOST,
        CONF_PORT,
        CONF_TLS,
        CONF_TOPIC_PREFIX,
        CONF_VERIFY_SSL,
    }
)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> dict[str, Any]:
    """Return how a server's mirroring is set up and how it goes."""
    integration = await async_get_integration(hass, DOMAIN)
    build = build_info()
    found: dict[str, Any] = {
        "versions": {
            "home_assistant": HA_VERSION,
            "integration": str(integration.version),
            "revision": build.revision,
            "python": build.python,
        },
        "entry": _redacted(entry.data, _SHOWN)
        | {CONF_URL: _without_credentials(entry.data[CONF_URL])},
        "options": dict(entry.options),
        "state": entry.state.value,
    }
    tokens: list[str] = []
    if entry.state is ConfigEntryState.LOADED:
        found |= _running(entry, entry.runtime_data)
        outboxes = entry.runtime_data.ways.outboxes
        found["refused_readings"] = await refused_readings(outboxes)
        tokens = entry.runtime_data.tokens.secrets()
    secrets = tokens + _secrets(entry.data, _SHOWN | {CONF_USERNAME})
    for broker in entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER):
        secrets += _secrets(broker.data, _SHOWN_OF_BROKER | {CONF_USERNAME})
    return {key: _scrubbed(value, secrets) for key, value in found.items()}


def _running(entry: SensorVisionConfigEntry, runtime: Runtime) -> dict[str, Any]:
    """Return what is known only while an entry is loaded."""
    return {
        "status": _status(runtime.status),
        "is_mirroring": runtime.is_mirroring,
        "figures": asdict(runtime.figures),
        "backfill": runtime.backfill.as_shown(),
        "limits": asdict(runtime.outbox.limits),
        "registration": runtime.registration.as_shown(),
        "mirrors": [
            {
                "title": entry.subentries[subentry_id].title,
                "choice": dict(entry.subentries[subentry_id].data),
                "entities": sorted(mirror.entity_ids),
                "skipped": {
                    reason.value: count for reason, count in mirror.skipped.items()
                },
            }
            for subentry_id, mirror in runtime.mirrors.items()
            if subentry_id in entry.subentries
        ],
        "names": runtime.stored_names(),
        "brokers": list(map(_broker, runtime.ways.brokers.routes.values())),
    }


def _broker(route: Route) -> dict[str, Any]:
    """Return how a broker is set up, and what became of what is delivered over it."""
    return {
        "settings": _redacted(
            route.broker.data if route.broker else {}, _SHOWN_OF_BROKER
        ),
        "status": _status(route.status),
        "figures": as_acknowledged(route.figures),
    }


def _redacted(data: Mapping[str, Any], shown: Collection[str]) -> dict[str, Any]:
    """Return data with nothing legible but what may be shown."""
    return {key: value if key in shown else REDACTED for key, value in data.items()}


def _status(status: Status) -> dict[str, Any]:
    """Return a status as JSON can hold it."""
    return {
        "is_connected": status.is_connected,
        "is_credential_refused": status.is_credential_refused,
        "problem": status.problem,
        "can": asdict(status.capabilities) if status.capabilities else None,
        "server": shown_age(status.age),
        "clock_offset_s": status.clock_offset_s,
        "refused_devices": dict(status.refused_devices),
        "refused_variables": [
            {"device": device_id, "variable": variable, "message": message}
            for (device_id, variable), message in status.refused_variables.items()
        ],
    }


def _without_credentials(url: str) -> str:
    return str(URL(url).with_user(None).with_query(None).with_fragment(None))


def _secrets(data: Mapping[str, Any], harmless: Collection[str]) -> list[str]:
    """Return the texts in data that may stand nowhere in what is shown."""
    return [
        value
        for key, value in data.items()
        if key not in harmless and isinstance(value, str) and value
    ]


def _scrubbed(found: object, secrets: list[str]) -> object:
    """Take secrets out of texts that others have written: a server, or a person."""
    if isinstance(found, Mapping):
        return {
            _scrubbed(key, secrets): _scrubbed(value, secrets)
            for key, value in found.items()
        }
    if isinstance(found, (list, tuple)):
        return [_scrubbed(item, secrets) for item in found]
    if isinstance(found, str):
        for secret in secrets:
            found = found.replace(secret, REDACTED)
    return found
