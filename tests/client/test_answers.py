"""Every class of answer, met over a real socket."""

import asyncio
import json
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    AnswerError,
    AsyncSensorVisionClient,
    AuthenticationError,
    DeviceError,
    NetworkError,
    NotSensorVisionError,
    PayloadError,
    PermissionDeniedError,
    RateLimitError,
    RedirectError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from custom_components.sensorvision.client.protocol import Answer
from sandbox import Mode, Sandbox, Settings

from .both_clients import ClientClass, both_clients
from .servers import INGEST, STORED, TOKEN, http_answer, scripted

ONCE = RetryPolicy(attempts=1)


async def _send(
    client_class: ClientClass,
    sandbox: Sandbox,
    device_id: str = "dev-a",
    token: str = TOKEN,
) -> None:
    async with client_class(sandbox.url, api_key=token, retry=ONCE) as client:
        await client.send_data(device_id, {"temperature": 21.5})


async def test_numbers_are_stored(
    sandbox: Sandbox, client: AsyncSensorVisionClient
) -> None:
    """Integers and floats arrive as they are."""
    await client.send_data("dev-a", {"temperature": 21.5, "on": 1})
    stored = {row.variable: float(row.value) for row in sandbox.store.values("dev-a")}
    assert stored == {"temperature": 21.5, "on": 1}


async def test_request_on_the_wire_is_the_protocols(
    sandbox: Sandbox, client: AsyncSensorVisionClient
) -> None:
    """A bearer token, an origin or a cookie would make the server refuse it."""
    await client.send_data("dev-a", {"temperature": 21.5})
    (arrived,) = sandbox.requests
    assert (arrived.method, arrived.path) == ("POST", INGEST + "dev-a")
    assert arrived.headers["X-API-Key"] == TOKEN
    assert arrived.headers["Content-Type"] == "application/json"
    assert not arrived.headers.keys() & {"Authorization", "Origin", "Cookie"}
    assert json.loads(arrived.body) == {"temperature": 21.5}


async def test_unknown_device_is_made(
    sandbox: Sandbox, client: AsyncSensorVisionClient
) -> None:
    """A device token may post to any free id."""
    await client.send_data("Home.new-1", {"a": 1})
    assert len(sandbox.store.values("Home.new-1", "a")) == 1


@both_clients
async def test_unknown_token_is_refused(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The text says why, and what to do."""
    with pytest.raises(AuthenticationError) as caught:
        await _send(client_class, sandbox, token="99999999-1111-4111-8111-111111111111")
    assert caught.value.status == 401
    assert str(caught.value) == (
        "Invalid API key (HTTP 401). Copy the key again, or make a new one"
    )


@both_clients
async def test_foreign_device_is_refused(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Ids are unique over the whole server."""
    with pytest.raises(PermissionDeniedError, match="ids are unique") as caught:
        await _send(client_class, sandbox, "dev-b")
    assert caught.value.server_message == (
        "Cannot send data to device in different organization"
    )


@both_clients
async def test_rolled_back_data_is_the_servers_trouble(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The same answer stands for a bad value and for a race."""
    sandbox.context.ingestion.auto_provision = False
    with pytest.raises(ServerError) as caught:
        await _send(client_class, sandbox, "unknown")
    assert caught.value.error_type == "UnexpectedRollbackException"


@both_clients
async def test_old_servers_rollback_is_read_too(client_class: ClientClass) -> None:
    """Before November 2025 it came without the name of an error."""
    modes = frozenset({Mode.BEFORE_2025_11_22})
    settings = Settings(fixtures="contract", modes=modes, auto_provision=False)
    async with Sandbox(settings) as sandbox:
        with pytest.raises(ServerError, match="Failed to process data"):
            await _send(client_class, sandbox, "unknown")


@both_clients
@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("http_301", RedirectError, 301),
        ("html_200", NotSensorVisionError, 200),
        ("http_429", RateLimitError, 429),
        ("http_500", ServerError, 500),
        ("http_502", ServerError, 502),
        ("http_503", ServerError, 503),
        ("http_504", ServerError, 504),
    ],
)
async def test_trouble_on_the_way_has_its_own_error(
    client_class: ClientClass,
    sandbox: Sandbox,
    fault: str,
    error: type[AnswerError],
    status: int,
) -> None:
    """Each says what to do, and nothing was stored."""
    sandbox.faults.set(fault)
    with pytest.raises(error) as caught:
        await _send(client_class, sandbox)
    assert caught.value.status == status
    assert caught.value.remedy in str(caught.value)
    assert not sandbox.store.values("dev-a")


@both_clients
@pytest.mark.parametrize("fault", ["reset", "reset_after_commit", "truncated_chunk"])
async def test_lost_answer_is_a_network_error(
    client_class: ClientClass, sandbox: Sandbox, fault: str
) -> None:
    """The data may or may not have been stored."""
    sandbox.faults.set(fault)
    with pytest.raises(
        NetworkError, match=r"The connection to 127.0.0.1 (failed|broke)\. "
    ):
        await _send(client_class, sandbox)
    assert len(sandbox.store.values("dev-a")) == (0 if fault == "reset" else 1)


@both_clients
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b"<h1>Bad Request</h1>", DeviceError),
        (401, b"", DeviceError),
        (403, b"<h1>Forbidden</h1>", DeviceError),
        (404, b'{"title":"Resource Not Found"}', DeviceError),
        (409, b'{"title":"Data Conflict"}', ServerError),
        (413, b"<h1>Too large</h1>", PayloadError),
        (500, b'{"errorType":"HttpMessageNotReadableException"}', PayloadError),
        (503, b"not UTF-8: \xff", ServerError),
        pytest.param(200, b"[" * 60_000, NotSensorVisionError, id="nested"),
        (200, b'{"success":false}', NotSensorVisionError),
        pytest.param(200, STORED + b" " * 70_000, NotSensorVisionError, id="long"),
    ],
)
async def test_other_answers_have_their_own_error(
    client_class: ClientClass, status: int, body: bytes, error: type[AnswerError]
) -> None:
    """What the sandbox never says, proxies and other servers do."""
    async with (
        scripted(http_answer(status, body)) as server,
        client_class(server.url, api_key=TOKEN, retry=ONCE) as client,
    ):
        with pytest.raises(error) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert type(caught.value) is error
    assert caught.value.status == status


@both_clients
async def test_refused_variable_is_named(client_class: ClientClass) -> None:
    """Only the server's sentence holds the name."""
    body = (
        b'{"success":false,"message":"Invalid numeric value for field \'a b\': \'x\'"}'
    )
    async with (
        scripted(http_answer(400, body)) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        with pytest.raises(PayloadError) as caught:
            await client.send_data("dev-a", {"a b": 1})
    assert caught.value.field == "a b"


@both_clients
async def test_answer_ended_by_closing_is_read(client_class: ClientClass) -> None:
    """HTTP/1.0 gives neither length nor chunks."""
    answer = b"HTTP/1.0 200 \r\nContent-Type: application/json\r\n\r\n" + STORED

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with (
        scripted(speak) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        found = await client.post("dev-a", {"a": 1})
    assert found.kind == "delivered"


async def test_posted_numbers_return_the_answer(
    client: AsyncSensorVisionClient,
) -> None:
    """Delivery acts on the class and needs no exception."""
    found = await client.post("dev-b", {"a": 1})
    assert isinstance(found, Answer)
    assert (found.kind, found.status) == ("wrong_device", 403)


@pytest.mark.parametrize(
    ("device_id", "variables", "field"),
    [
        ("dev-a", {}, "variables"),
        ("dev-a", {"a": float("nan")}, "a"),
        ("dev-a", {"a": float("inf")}, "a"),
        ("dev-a", {"a": 1e15}, "a"),
        pytest.param("dev-a", {"a": 10**5000}, "a", id="thousands of digits"),
        ("dev-a", {"a": True}, "a"),
        ("dev-a", {"a": None}, "a"),
        ("dev-a", {"a": "21"}, "a"),
        ("dev-a", {"": 1}, "variable name"),
        ("a/b", {"a": 1}, "device id"),
    ],
)
async def test_what_cannot_be_stored_is_refused_before_it_is_sent(
    sandbox: Sandbox,
    client: AsyncSensorVisionClient,
    device_id: str,
    variables: dict[str, Any],
    field: str,
) -> None:
    """One such member would make the server refuse all of them."""
    for send in (client.send_data, client.post):
        with pytest.raises(ValidationError) as caught:
            await send(device_id, variables)
        assert caught.value.field == field
    assert not sandbox.requests
