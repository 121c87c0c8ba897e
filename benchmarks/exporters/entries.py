"""The config entries of what exports, as their flows make them."""

from collections.abc import Collection, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentryDataWithId
from homeassistant.const import (
    CONF_API_KEY,
    CONF_API_VERSION,
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PATH,
    CONF_PORT,
    CONF_SSL,
    CONF_TOKEN,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)

from benchmarks.house import config_entry
from custom_components.sensorvision.const import (
    CONF_CHECKS_TOKENS,
    CONF_DELIVER_OVER,
    CONF_PREFIX,
    CONF_SENDING,
    CONF_TARGET,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
    DOMAIN,
    SUBENTRY_TYPE_BROKER,
    SUBENTRY_TYPE_MIRROR,
)

from .modes import Mode

ENTRY_ID = "01JD0000000000000000ENTRY0"
PREFIX = "bench"

_HOST = "127.0.0.1"
_MIRROR_ID = "01JD000000000000000M1RR0R0"
_BROKER_ID = "01JD00000000000000000BR0KR"
_WHAT_PEERS_ASK_FOR = "bench"


def entry_of(
    mode: Mode, address: Mapping[str, Any], entity_ids: Collection[str]
) -> ConfigEntry:
    """Return the config entry of an exporter.

    Args:
        mode: the exporter.
        address: where it is to send to.
        entity_ids: what it is to export; the peers are told in configuration.yaml.
    """
    if mode.is_ours:
        return _ours(mode, address, entity_ids)
    domain = "splunk" if mode is Mode.SPLUNK else "influxdb"
    return config_entry(domain, _PEERS[mode](address["port"]), entry_id=ENTRY_ID)


def _influxdb_v1(port: int) -> dict[str, Any]:
    return {
        CONF_API_VERSION: "1",
        CONF_HOST: _HOST,
        CONF_PORT: port,
        CONF_USERNAME: None,
        CONF_PASSWORD: None,
        "database": _WHAT_PEERS_ASK_FOR,
        CONF_SSL: False,
        CONF_PATH: "/",
        CONF_VERIFY_SSL: False,
    }


def _influxdb_v2(port: int) -> dict[str, Any]:
    return {
        CONF_API_VERSION: "2",
        CONF_URL: f"http://{_HOST}:{port}",
        CONF_TOKEN: _WHAT_PEERS_ASK_FOR,
        "organization": _WHAT_PEERS_ASK_FOR,
        "bucket": _WHAT_PEERS_ASK_FOR,
        CONF_VERIFY_SSL: False,
    }


def _splunk(port: int) -> dict[str, Any]:
    return {
        CONF_HOST: _HOST,
        CONF_PORT: port,
        CONF_TOKEN: _WHAT_PEERS_ASK_FOR,
        CONF_SSL: False,
        CONF_VERIFY_SSL: False,
    }


_PEERS = {
    Mode.INFLUXDB_V1: _influxdb_v1,
    Mode.INFLUXDB_V2: _influxdb_v2,
    Mode.SPLUNK: _splunk,
}


def _ours(
    mode: Mode, address: Mapping[str, Any], entity_ids: Collection[str]
) -> ConfigEntry:
    login = {
        CONF_USERNAME: address["username"],
        CONF_PASSWORD: address["password"],
    }
    mirror: dict[str, Any] = {CONF_TARGET: {"entity_id": list(entity_ids)}}
    subentries = []
    if mode is Mode.MQTT:
        mirror[CONF_SENDING] = {CONF_DELIVER_OVER: _BROKER_ID}
        broker = {
            CONF_HOST: _HOST,
            CONF_PORT: address["broker_port"],
            CONF_TOPIC_PREFIX: "indcloud",
            CONF_CHECKS_TOKENS: True,
            CONF_TLS: False,
            CONF_VERIFY_SSL: True,
        }
        subentries.append(_subentry(SUBENTRY_TYPE_BROKER, _BROKER_ID, broker))
    subentries.append(_subentry(SUBENTRY_TYPE_MIRROR, _MIRROR_ID, mirror))
    return config_entry(
        DOMAIN,
        {
            CONF_URL: address["url"],
            CONF_PREFIX: PREFIX,
            CONF_VERIFY_SSL: True,
            **({CONF_API_KEY: address["token"]} if mode is Mode.TOKEN else login),
        },
        entry_id=ENTRY_ID,
        subentries_data=subentries,
    )


def _subentry(
    subentry_type: str, subentry_id: str, data: dict[str, Any]
) -> ConfigSubentryDataWithId:
    return ConfigSubentryDataWithId(
        data=data,
        subentry_id=subentry_id,
        subentry_type=subentry_type,
        title=subentry_type,
        unique_id=None,
    )
