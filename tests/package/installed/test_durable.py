"""Readings outlive a server that is away, and the run that took them."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from typing import TYPE_CHECKING

from sensorvision import AsyncSensorVisionClient, RetryPolicy, SensorVisionClient

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Servers

NOBODY = "http://127.0.0.1:9"
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)


def stored(servers: Servers, name: str) -> list[tuple[dt.datetime, float]]:
    """Return what the server has of a variable of dev-a on one day."""
    with SensorVisionClient(
        servers.url, username=servers.username, password=servers.password
    ) as reader:
        (variable,) = (
            found for found in reader.variables("dev-a") if found.name == name
        )
        day = dt.timedelta(days=1)
        values = reader.values(variable, NOON - day, NOON + day)
    return [(value.timestamp, value.value) for value in values]


def test_async_run_leaves_to_the_next_what_it_could_not_send(
    servers: Servers, tmp_path: Path
) -> None:
    name = f"durable_async_{os.getpid()}"
    file = tmp_path / "outbox.db"

    async def run(url: str, value: float) -> int:
        async with AsyncSensorVisionClient(
            url,
            username=servers.username,
            password=servers.password,
            retry=RetryPolicy.off(),
        ) as client, client.durable(file) as sender:
            await sender.put("dev-a", {name: value}, NOON + dt.timedelta(minutes=value))
            return (await sender.flush(0.1 if url == NOBODY else 20)).waiting

    assert asyncio.run(run(NOBODY, 1)) == 1
    assert asyncio.run(run(servers.url, 2)) == 0
    minute = dt.timedelta(minutes=1)
    assert stored(servers, name) == [(NOON + minute, 1.0), (NOON + 2 * minute, 2.0)]


def test_sync_run_leaves_to_the_next_what_it_could_not_send(
    servers: Servers, tmp_path: Path
) -> None:
    name = f"durable_sync_{os.getpid()}"
    file = tmp_path / "outbox.db"
    for url in (NOBODY, servers.url):
        with SensorVisionClient(
            url,
            username=servers.username,
            password=servers.password,
            retry=RetryPolicy.off(),
        ) as client, client.durable(file) as sender:
            if url == NOBODY:
                sender.put("dev-a", {name: 5}, NOON)
            waiting = sender.flush(0.1 if url == NOBODY else 20).waiting
        assert waiting == (1 if url == NOBODY else 0)
    assert stored(servers, name) == [(NOON, 5.0)]
