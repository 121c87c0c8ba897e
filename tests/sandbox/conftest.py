"""A sandbox for each test, and a real broker for those that need one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, Settings
from tests.brokers import Mosquitto

from .wire import DEADLINE_S, Reply, send

DEV_A_TOKEN = "11111111-1111-4111-8111-111111111111"
ALICE_KEY = "22222222-2222-4222-8222-222222222222"
ALICE = {"username": "alice", "password": "alice-password"}
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    """Run a sandbox with the contract's fixtures and without MQTT."""
    async with Sandbox(Settings(fixtures="contract")) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Client:
    """Requests to one sandbox, with the credentials that one usually has."""

    sandbox: Sandbox

    async def ingest(self, device_id: str, body: str | bytes, **headers: str) -> Reply:
        """Post to the simple ingest with the token of dev-a."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await send(
            self.sandbox.url,
            "POST",
            f"/api/v1/ingest/{device_id}",
            {"X-API-Key": DEV_A_TOKEN, **JSON_TYPE, **named},
            body,
        )

    async def login(
        self, username: str = "alice", password: str = "alice-password"
    ) -> str:
        """Return an access token."""
        account = {"username": username, "password": password}
        reply = await self.post("/api/v1/auth/login", account)
        token: str = reply.json()["accessToken"]
        return token

    async def post(
        self, path: str, value: object, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Post JSON."""
        return await send(
            self.sandbox.url,
            "POST",
            path,
            {**JSON_TYPE, **(headers or {})},
            json.dumps(value),
        )

    async def user(
        self, method: str, path: str, value: object = None, *, body: str | None = None
    ) -> Reply:
        """Send a request as alice, with a JSON value or a body as it is."""
        headers = {"Authorization": f"Bearer {await self.login()}", **JSON_TYPE}
        if body is None and value is not None:
            body = json.dumps(value)
        return await send(self.sandbox.url, method, path, headers, body)


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """Return a client of the test's sandbox."""
    return Client(sandbox)


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions are about a database
            await asyncio.sleep(0.005)


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncGenerator[str]:
    """Run Debian's Mosquitto and return its URL."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker.url
    await broker.stop()
