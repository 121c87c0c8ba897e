"""A sandbox and clients of it."""

from collections.abc import AsyncIterator

import pytest

from custom_components.sensorvision.client import AsyncSensorVisionClient
from sandbox import Sandbox, Settings

from .servers import TOKEN


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a server with the devices of the wire contract."""
    async with Sandbox(Settings(fixtures="contract")) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncSensorVisionClient]:
    """Open a client with the token of dev-a."""
    async with AsyncSensorVisionClient(sandbox.url, api_key=TOKEN) as opened:
        yield opened
