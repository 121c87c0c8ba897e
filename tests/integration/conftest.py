"""A Home Assistant core, a server, and an entry that connects the two."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp.resolver import AsyncResolver
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import aiohttp_client
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

# Imported here, or the plugin's own folder of custom components is the one that is found.
import custom_components.sensorvision
from custom_components.sensorvision.client.http import RetryPolicy
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.const import CONF_PREFIX, DOMAIN
from sandbox import Sandbox, Settings

from .brokers import Mosquitto
from .house import House
from .tls import TlsServer, tls_server

TOKEN = "11111111-1111-4111-8111-111111111111"
ALICE_KEY = "22222222-2222-4222-8222-222222222222"
ALICE_PASSWORD = "alice-password"
ALICE = {CONF_USERNAME: "alice", CONF_PASSWORD: ALICE_PASSWORD}
PREFIX = "home"
SETTINGS = Settings(fixtures="contract", broker=None)

_FAST = Pace(
    window_s=0.01,
    spacing_s=0,
    backoff=RetryPolicy(first_delay_s=0.02, max_delay_s=0.05),
    refused_device_s=0.1,
    refused_credential_s=0.1,
)

type Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

type SetUp = Callable[..., Awaitable[MockConfigEntry]]


@pytest.fixture(autouse=True)
def _our_integration(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a core find the integration, and let the integration not dawdle."""
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")
    monkeypatch.setattr(custom_components.sensorvision, "PACE", _FAST)
    monkeypatch.setattr(
        custom_components.sensorvision.resolver, "_RESOLVE_AFTER_S", 0.01
    )


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Give each core a folder of its own, for what is written to disk."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def mock_zeroconf_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each core a resolver of its own, where the plugin lets all share one.

    The first core to stop would close it for the others.
    """
    monkeypatch.setattr(aiohttp_client, "_async_make_resolver", _Resolver)


class _Resolver(AsyncResolver):
    """The core's resolver without mDNS, which needs the network."""

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__()
        self.real_close = self.close


@pytest.fixture
def settings() -> Settings:
    """Return how the server is made; tests of a server with a broker have others."""
    return SETTINGS


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncGenerator[Mosquitto]:
    """Run a real broker that lets everybody in."""
    async with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def sandbox(hass: HomeAssistant, settings: Settings) -> AsyncGenerator[Sandbox]:
    """Run a server in which the token belongs to one of two organisations.

    All entries are unloaded while it still runs.
    """
    async with Sandbox(settings) as sandbox:
        yield sandbox
        # One may just be reloading.
        await hass.async_block_till_done()
        for entry in hass.config_entries.async_entries(DOMAIN):
            if entry.state is ConfigEntryState.LOADED:
                assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
def tls() -> Iterator[TlsServer]:
    """Run a server with a certificate that nobody knows."""
    with tls_server(SETTINGS) as server:
        yield server


@pytest.fixture
def house(hass: HomeAssistant) -> House:
    """Return a house to put devices and entities into."""
    return House(hass)


@pytest.fixture
def set_up(hass: HomeAssistant, sandbox: Sandbox) -> SetUp:
    """Return a function that sets an entry up with some mirrors."""

    async def set_up(*mirrors: ConfigSubentryData, **changes: str) -> MockConfigEntry:
        data = connection(sandbox.url) | changes
        if CONF_USERNAME in changes:
            del data[CONF_API_KEY]
        entry = MockConfigEntry(
            domain=DOMAIN, title="127.0.0.1", data=data, subentries_data=mirrors
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        return entry

    return set_up


@pytest.fixture
async def ask(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Ask:
    """Return a function that asks repairs as the frontend does."""
    for component in ("http", "repairs"):
        assert await async_setup_component(hass, component, {})
    await hass.async_block_till_done()
    client = await hass_client()

    async def ask(path: str, answer: dict[str, Any]) -> dict[str, Any]:
        response = await client.post(f"/api/repairs/issues/fix{path}", json=answer)
        assert response.status == HTTPStatus.OK
        shown: dict[str, Any] = await response.json()
        return shown

    return ask


def connection(url: str) -> dict[str, Any]:
    """Return what a person enters to connect a server."""
    return {
        CONF_URL: url,
        CONF_API_KEY: TOKEN,
        CONF_PREFIX: PREFIX,
        CONF_VERIFY_SSL: True,
    }


def account(url: str) -> dict[str, Any]:
    """Return what a person enters to connect a server with an account."""
    return {CONF_URL: url, **ALICE, CONF_PREFIX: PREFIX, CONF_VERIFY_SSL: True}
