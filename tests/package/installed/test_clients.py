"""Each client sends readings, and reads them back."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from sensorvision import (
    AsyncSensorVisionClient,
    AuthenticationError,
    Sample,
    SensorVisionClient,
    ValidationError,
    load_config,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Servers

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)
UNKNOWN_TOKEN = "99999999-9999-4999-8999-999999999999"


def name_of(test: str) -> str:
    """Return a variable's name that no other Python's run uses."""
    return f"{test}_{os.getpid()}"


def test_async_client_sends_by_token_and_an_account_reads_it(servers: Servers) -> None:
    name = name_of("async_token")

    async def run() -> dict[str, float]:
        async with AsyncSensorVisionClient(servers.url, api_key=servers.token) as board:
            await board.send_data("dev-a", {name: 21.5})
        async with AsyncSensorVisionClient(
            servers.url, username=servers.username, password=servers.password
        ) as reader:
            return await reader.latest_values("dev-a")

    assert asyncio.run(run())[name] == 21.5


def test_sync_client_sends_by_token_and_an_account_reads_it(servers: Servers) -> None:
    name = name_of("sync_token")
    with SensorVisionClient(servers.url, api_key=servers.token) as board:
        board.send_data("dev-a", {name: 3})
    with SensorVisionClient(
        servers.url, username=servers.username, password=servers.password
    ) as reader:
        assert reader.latest_values("dev-a")[name] == 3.0


def test_async_client_may_be_made_before_there_is_a_loop(servers: Servers) -> None:
    """Before Python 3.10, a lock belongs to the loop that it was made in."""
    name = name_of("early")
    client = AsyncSensorVisionClient(
        servers.url, username=servers.username, password=servers.password
    )

    async def run() -> dict[str, float]:
        async with client:
            await asyncio.gather(
                *(client.send_data("dev-a", {f"{name}_{i}": i}) for i in range(8))
            )
            return await client.latest_values("dev-a")

    values = asyncio.run(run())
    assert [values[f"{name}_{i}"] for i in range(8)] == list(range(8))


def test_batch_keeps_its_times(servers: Servers) -> None:
    name = name_of("batch")
    hours = [NOON + dt.timedelta(hours=hour) for hour in range(3)]
    samples = [Sample("dev-a", {name: at.hour}, at) for at in hours]
    with SensorVisionClient(
        servers.url, username=servers.username, password=servers.password
    ) as client:
        results = client.send_batch(samples)
        variables = client.variables("dev-a")
        (variable,) = [found for found in variables if found.name == name]
        values = client.values(variable, hours[0], hours[-1])
    assert results.is_complete
    assert results.delivered == 3
    assert [(value.timestamp, value.value) for value in values] == [
        (at, at.hour) for at in hours
    ]


def test_batch_of_a_token_tells_what_became_of_each(servers: Servers) -> None:
    name = name_of("token_batch")
    samples = [
        Sample("dev-a", {name: 1}, id="now"),
        Sample("dev-a", {name: 2}, NOON, id="past"),
        Sample("dev a", {name: 3}, id="nowhere"),
    ]

    async def run() -> list[tuple[str, bool]]:
        async with AsyncSensorVisionClient(servers.url, api_key=servers.token) as board:
            results = await board.send_batch(samples, max_concurrency=2)
            return [(result.id, result.is_delivered) for result in results]

    expected = [("now", True), ("past", False), ("nowhere", False)]
    assert asyncio.run(run()) == expected
    with SensorVisionClient(servers.url, api_key=servers.token) as board:
        results = board.send_batch(samples)
    assert [(result.id, result.is_delivered) for result in results] == expected


def test_errors_are_the_same_for_both(servers: Servers) -> None:
    async def refuse() -> None:
        async with AsyncSensorVisionClient(
            servers.url, api_key=UNKNOWN_TOKEN
        ) as client:
            await client.send_data("dev-a", {"temperature": 1})

    with SensorVisionClient(servers.url, api_key=UNKNOWN_TOKEN) as client:
        with pytest.raises(AuthenticationError) as of_sync:
            client.send_data("dev-a", {"temperature": 1})
        with pytest.raises(ValidationError, match="dev a"):
            client.send_data("dev a", {"temperature": 1})
    with pytest.raises(AuthenticationError) as of_async:
        asyncio.run(refuse())
    assert str(of_sync.value) == str(of_async.value)
    assert UNKNOWN_TOKEN not in str(of_sync.value)


def test_configuration_comes_from_environment_and_file(
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = name_of("configured")
    file = tmp_path / "sensorvision.toml"
    file.write_text(f'url = "http://127.0.0.1:9"\napi_key = "{servers.token}"\n')
    monkeypatch.setenv("SENSORVISION_CONFIG", str(file))
    monkeypatch.setenv("SENSORVISION_URL", servers.url)
    config = load_config()
    assert servers.token not in repr(config)
    with SensorVisionClient.from_config(config) as client:
        client.send_data("dev-a", {name: 1})
    account = load_config(username=servers.username, password=servers.password)
    with SensorVisionClient.from_config(account) as reader:
        assert reader.latest_values("dev-a")[name] == 1.0
