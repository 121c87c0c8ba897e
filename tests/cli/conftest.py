"""A server, and the command with the credentials that it knows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD, DEV_A_TOKEN
from tests.brokers import Mosquitto

from .command import Command


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a server with the devices of the wire contract."""
    async with Sandbox(Settings(fixtures="contract")) as running:
        yield running


@pytest.fixture
def bare(tmp_path: Path) -> Command:
    """Return the command without any settings."""
    return Command(tmp_path)


@pytest.fixture
def device(bare: Command, sandbox: Sandbox) -> Command:
    """Return the command with the token of dev-a."""
    return bare.with_variables(
        SENSORVISION_URL=sandbox.url, SENSORVISION_API_KEY=DEV_A_TOKEN
    )


@pytest.fixture
def user(bare: Command, sandbox: Sandbox) -> Command:
    """Return the command with alice's user key."""
    return bare.with_variables(
        SENSORVISION_URL=sandbox.url, SENSORVISION_USER_KEY=ALICE_KEY
    )


@pytest.fixture
def account(bare: Command, sandbox: Sandbox) -> Command:
    """Return the command with alice's account."""
    return bare.with_variables(
        SENSORVISION_URL=sandbox.url,
        SENSORVISION_USERNAME="alice",
        SENSORVISION_PASSWORD=ALICE_PASSWORD,
    )


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Run a broker."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Mosquitto(folder)
    await running.start()
    yield running
    await running.stop()
