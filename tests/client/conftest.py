"""A sandbox and clients of it, and brokers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custom_components.sensorvision.client import AsyncSensorVisionClient
from sandbox import Sandbox, Settings
from tests.brokers import PASSWORD, Mosquitto

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


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Run a broker that lets everybody in."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Run a broker that knows one user."""
    passwords = tmp_path / "passwords"
    process = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-b", "-c", passwords, "ha", PASSWORD
    )
    assert await process.wait() == 0
    broker = Mosquitto(
        tmp_path, ("allow_anonymous false", f"password_file {passwords}")
    )
    await broker.start()
    yield broker
    await broker.stop()
