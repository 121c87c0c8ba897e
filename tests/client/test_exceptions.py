"""Each error has a code that stays, and says which request the server's log is of."""

import asyncio
import uuid

import pytest

from custom_components.sensorvision import client as public
from custom_components.sensorvision.client import (
    AnswerError,
    AsyncSensorVisionClient,
    AuthenticationError,
    ConfigError,
    LoginError,
    PayloadError,
    RateLimitError,
    RetryPolicy,
    SensorVisionError,
    ServerError,
    ValidationError,
    exceptions,
    user_protocol,
)
from custom_components.sensorvision.client.exceptions import error_of
from custom_components.sensorvision.client.protocol import Answer
from custom_components.sensorvision.client.sync import SensorVisionClient
from sandbox import Sandbox

from .servers import TOKEN, http_answer, scripted

ONCE = RetryPolicy(attempts=1)
CORRELATION_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"

# What programs of others decide by: a change here breaks them.
CODES = {
    "AnswerError": "answer",
    "AuthenticationError": "auth",
    "BrokerLoginError": "broker_login",
    "CapabilityError": "capability",
    "CertificateError": "certificate",
    "CircuitOpenError": "circuit_open",
    "ClientCertificateError": "client_certificate",
    "ConfigError": "config",
    "DeviceError": "device",
    "DeviceExistsError": "device_exists",
    "HostNotFoundError": "host_not_found",
    "KeyLockedError": "key_locked",
    "LoginError": "login",
    "LoginLimitError": "login_limit",
    "NetworkError": "network",
    "NotHttpError": "not_http",
    "NotSensorVisionError": "not_sensorvision",
    "PayloadError": "payload",
    "PermissionDeniedError": "permission",
    "RateLimitError": "rate_limit",
    "RedirectError": "redirect",
    "RequestTimeoutError": "timeout",
    "SensorVisionError": "error",
    "ServerError": "server",
    "SubscriptionError": "subscription",
    "TokenExistsError": "token_exists",
    "ValidationError": "validation",
}


def _public_errors() -> dict[str, type[SensorVisionError]]:
    found = {name: getattr(public, name) for name in public.__all__}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, SensorVisionError)
    }


def test_each_public_error_has_the_code_that_it_always_had() -> None:
    assert {name: error.code for name, error in _public_errors().items()} == CODES


def test_no_two_errors_share_a_code() -> None:
    """One that inherits its code can't be told from the one above it."""
    assert all("code" in vars(error) for error in _public_errors().values())
    assert len(set(CODES.values())) == len(CODES)


def test_each_error_of_the_module_is_public() -> None:
    defined = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, SensorVisionError)
    }
    assert defined == set(_public_errors())


def test_config_error_names_setting_value_origin_and_remedy() -> None:
    error = ConfigError("retries", -1, "is too few", "Give 0 or more", "an argument")
    assert str(error) == "retries -1 from an argument is too few. Give 0 or more"
    assert (error.field, error.value, error.origin) == ("retries", -1, "an argument")
    assert isinstance(error, ValidationError)


@pytest.mark.parametrize(
    ("fault", "expected"), [("http_500", ServerError), ("http_429", RateLimitError)]
)
async def test_server_error_says_which_request_the_servers_log_is_of(
    sandbox: Sandbox, fault: str, expected: type[AnswerError]
) -> None:
    """The sandbox makes an id for each answer of its application, as the server does."""
    sandbox.faults.set(fault, seconds=0 if fault == "http_429" else None)
    async with AsyncSensorVisionClient(
        sandbox.url, api_key=TOKEN, retry=ONCE
    ) as client:
        with pytest.raises(expected) as caught:
            await client.send_data("dev-a", {"a": 1})
    named = caught.value.correlation_id
    assert str(uuid.UUID(named)) == named


async def test_client_without_an_event_loop_says_so_too(sandbox: Sandbox) -> None:
    sandbox.faults.set("http_500")

    def send() -> None:
        with SensorVisionClient(sandbox.url, api_key=TOKEN, retry=ONCE) as client:
            client.send_data("dev-a", {"a": 1})

    with pytest.raises(ServerError) as caught:
        await asyncio.to_thread(send)
    assert caught.value.correlation_id is not None


async def test_refused_payload_has_status_type_and_correlation_id() -> None:
    body = b'{"errorType":"HttpMessageNotReadableException","detail":"No"}'
    answer = http_answer(500, body, X_Correlation_ID=CORRELATION_ID)
    async with (
        scripted(answer) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN, retry=ONCE) as client,
    ):
        with pytest.raises(PayloadError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert caught.value.status == 500
    assert caught.value.error_type == "HttpMessageNotReadableException"
    assert caught.value.correlation_id == CORRELATION_ID
    assert caught.value.code == "payload"


async def test_login_that_is_refused_has_a_correlation_id(sandbox: Sandbox) -> None:
    async with AsyncSensorVisionClient(
        sandbox.url, username="alice", password="wrong"
    ) as client:
        with pytest.raises(LoginError) as caught:
            await client.devices()
    assert caught.value.correlation_id is not None


async def test_page_of_a_proxy_has_no_correlation_id(sandbox: Sandbox) -> None:
    sandbox.faults.set("http_503")
    async with AsyncSensorVisionClient(
        sandbox.url, api_key=TOKEN, retry=ONCE
    ) as client:
        with pytest.raises(ServerError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert caught.value.correlation_id is None


@pytest.mark.parametrize("said", ["x" * 99, "<script>", f"{CORRELATION_ID} and more"])
async def test_correlation_id_that_is_none_of_the_servers_is_dropped(said: str) -> None:
    """It goes into logs, so it must be no place to write into them."""
    answer = http_answer(503, b"{}", X_Correlation_ID=said)
    async with (
        scripted(answer) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN, retry=ONCE) as client,
    ):
        with pytest.raises(ServerError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert caught.value.correlation_id is None


async def test_token_that_is_echoed_as_a_correlation_id_is_dropped() -> None:
    """It has the same shape."""
    body = b'{"success":false,"message":"Invalid API key"}'
    answer = http_answer(401, body, X_Correlation_ID=TOKEN)
    async with (
        scripted(answer) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN, retry=ONCE) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.send_data("dev-a", {"a": 1})
    assert caught.value.correlation_id is None


def _answer(status: int, body: bytes = b"{}") -> Answer:
    headers = {"x-correlation-id": CORRELATION_ID}
    return user_protocol.read_answer(status, headers, body)


@pytest.mark.parametrize(
    "answer",
    [
        user_protocol.refused_device(_answer(403)),
        user_protocol.key_verdict(_answer(401, b""), 0, 1),
        user_protocol.key_verdict(_answer(401, b""), 2, 1),
    ],
    ids=["refused device", "locked key", "refused key"],
)
def test_answer_that_is_judged_anew_keeps_its_correlation_id(answer: Answer) -> None:
    error = error_of(answer)
    assert error is not None
    assert error.correlation_id == CORRELATION_ID


def test_each_of_many_samples_has_the_correlation_id_of_their_request() -> None:
    """The server answers each of them, in one answer."""
    body = b'[{"status":"error","message":"Internal server error"}]'
    headers = {"x-correlation-id": CORRELATION_ID}
    [answer] = user_protocol.read_bulk(200, headers, body, 1).data
    assert user_protocol.correlation_id_of(answer) == CORRELATION_ID
