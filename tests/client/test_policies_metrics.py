"""Each request is told to those who count."""

import asyncio
import logging
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    NetworkError,
    RequestMetrics,
    RetryPolicy,
    SensorVisionError,
)
from custom_components.sensorvision.client.metrics import outcome_of, template_of
from sandbox import Sandbox
from sandbox.fixtures import ALICE_PASSWORD

from .both_clients import ClientClass, both_clients
from .servers import STORED, TOKEN, eventually, http_answer, scripted, silence

NUMBERS = {"a": 1}
QUICK = RetryPolicy(attempts=3, first_delay_s=0.001)


@both_clients
async def test_request_is_told_with_what_it_cost(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Bytes are those of the bodies."""
    told: list[RequestMetrics] = []
    async with client_class(
        sandbox.url, api_key=TOKEN, on_request=told.append
    ) as client:
        await client.send_data("dev-a", NUMBERS)
    (metrics,) = told
    assert (metrics.method, metrics.path) == ("POST", "/api/v1/ingest/{id}")
    assert (metrics.status, metrics.outcome, metrics.attempt) == (200, "ok", 1)
    assert metrics.bytes_sent == len(sandbox.requests[0].body)
    assert metrics.bytes_received == len(
        STORED.replace(b": ", b":").replace(b", ", b",")
    )
    assert 0 < metrics.seconds < 10


@both_clients
async def test_attempts_are_numbered(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """So that retries can be told from readings."""
    told: list[RequestMetrics] = []
    sandbox.faults.set("http_503", times=2)
    async with client_class(
        sandbox.url, api_key=TOKEN, retry=QUICK, on_request=told.append
    ) as client:
        await client.send_data("dev-a", NUMBERS)
        await client.send_data("dev-a", NUMBERS)
    assert [(metrics.attempt, metrics.outcome) for metrics in told] == [
        (1, "server"),
        (2, "server"),
        (3, "ok"),
        (1, "ok"),
    ]


@both_clients
async def test_lost_answer_is_told_with_the_errors_code(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """There is no status then."""
    told: list[RequestMetrics] = []
    sandbox.faults.set("reset")
    async with client_class(
        sandbox.url, api_key=TOKEN, retry=RetryPolicy.off(), on_request=told.append
    ) as client:
        with pytest.raises(NetworkError) as caught:
            await client.send_data("dev-a", NUMBERS)
    (metrics,) = told
    assert (metrics.status, metrics.bytes_received) == (0, 0)
    assert metrics.outcome == caught.value.code == "network"


async def test_cancelled_request_is_told_as_such() -> None:
    """It went out all the same."""
    told: list[RequestMetrics] = []
    async with (
        scripted(silence) as server,
        AsyncSensorVisionClient(
            server.url, api_key=TOKEN, on_request=told.append
        ) as client,
    ):
        task = asyncio.create_task(client.send_data("dev-a", NUMBERS))
        await eventually(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(metrics.status, metrics.outcome) for metrics in told] == [(0, "cancelled")]


@both_clients
async def test_meter_that_fails_costs_no_reading(
    client_class: ClientClass, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def fail(_metrics: RequestMetrics) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        async with client_class(sandbox.url, api_key=TOKEN, on_request=fail) as client:
            await client.send_data("dev-a", NUMBERS)
    assert "The hook for metrics failed" in caplog.text
    assert len(sandbox.store.values("dev-a")) == 1


@both_clients
async def test_ids_are_in_no_path(client_class: ClientClass, sandbox: Sandbox) -> None:
    """Each label of a meter costs memory for ever."""
    told: list[RequestMetrics] = []
    async with client_class(
        sandbox.url,
        username="alice",
        password=ALICE_PASSWORD,
        on_request=told.append,
    ) as client:
        await client.send_data("dev-a", NUMBERS)
        await client.latest_values("dev-a")
        (variable,) = await client.variables("dev-a")
        await client.update_variable(variable, unit="m")
        await client.rotate_token("dev-a")
    assert [metrics.path for metrics in told] == [
        "/api/v1/auth/login",
        "/api/v1/data/ingest/{id}",
        "/api/v1/devices/{id}",
        "/api/v1/devices/{id}/variables/latest",
        "/api/v1/devices/{id}/variables",
        "/api/v1/devices/{id}/variables/{id}",
        "/api/v1/devices/{id}/token/rotate",
    ]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/v1/devices", "/api/v1/devices"),
        ("/api/v1/devices/ingest", "/api/v1/devices/{id}"),
        ("/api/v1/devices/devices/token/rotate", "/api/v1/devices/{id}/token/rotate"),
        ("/api/v1/ingest/a/", "/api/v1/ingest/{id}/"),
        ("/api/v1/data/bulk", "/api/v1/data/bulk"),
        ("/api/v1/data/ingest/a", "/api/v1/data/ingest/{id}"),
        (
            "/api/v1/devices/u/variables/v/values?startTime=1",
            "/api/v1/devices/{id}/variables/{id}/values",
        ),
    ],
)
def test_path_loses_its_ids_and_query(path: str, template: str) -> None:
    assert template_of(path) == template


@both_clients
@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (301, b"", "redirect"),
        (400, b'{"success":false}', "payload"),
        (401, b'{"success":false}', "auth"),
        (403, b'{"success":false}', "permission"),
        (404, b"{}", "device"),
        (413, b"", "payload"),
        (429, b"{}", "rate_limit"),
        (500, b"{}", "server"),
        (503, b"", "server"),
    ],
)
async def test_outcome_is_the_code_of_the_error(
    client_class: ClientClass, status: int, body: bytes, outcome: str
) -> None:
    """One vocabulary for logs, meters and exceptions."""
    told: list[Any] = []
    async with (
        scripted(http_answer(status, body)) as server,
        client_class(
            server.url,
            api_key=TOKEN,
            retry=RetryPolicy.off(),
            on_request=told.append,
        ) as client,
    ):
        with pytest.raises(SensorVisionError) as caught:
            await client.send_data("dev-a", NUMBERS)
    assert told[0].outcome == outcome_of(status) == caught.value.code == outcome
