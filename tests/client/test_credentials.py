"""Who asks: a key or an account, and how it stays good without being spread about."""

import asyncio
from collections.abc import AsyncIterator
import logging
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    ACCOUNT,
    DEVICE_TOKEN,
    USER_KEY,
    AsyncSensorVisionClient,
    AuthenticationError,
    DeviceError,
    KeyLockedError,
    LoginError,
    LoginLimitError,
    NetworkError,
    NotSensorVisionError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    SensorVisionError,
    ServerError,
    ValidationError,
    protocol,
)
from sandbox import Sandbox
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD

from .servers import TOKEN, http_answer, scripted
from .test_secrets import _told

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
ONCE = RetryPolicy(attempts=1)
NUMBERS = {"a": 1}
DAY_S = 24 * 3600
STRANGE_KEY = "abcdefab-2222-4222-8222-222222222222"


@pytest.fixture
async def account(sandbox: Sandbox) -> AsyncIterator[AsyncSensorVisionClient]:
    """Open a client with alice's password, on the sandbox's clock."""
    async with AsyncSensorVisionClient(
        sandbox.url,
        username="alice",
        password=ALICE_PASSWORD,
        retry=ONCE,
        clock=sandbox.clock.now_s,
    ) as client:
        yield client


@pytest.fixture
async def key(sandbox: Sandbox) -> AsyncIterator[AsyncSensorVisionClient]:
    """Open a client with alice's key, on the sandbox's clock."""
    async with AsyncSensorVisionClient(
        sandbox.url, user_key=ALICE_KEY, retry=ONCE, clock=sandbox.clock.now_s
    ) as client:
        yield client


def _count(sandbox: Sandbox, path: str) -> int:
    return sum(arrived.path == path for arrived in sandbox.requests)


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        ({"api_key": TOKEN}, DEVICE_TOKEN),
        ({"api_key": ALICE_KEY}, USER_KEY),
        ({"user_key": f" {ALICE_KEY}\n"}, USER_KEY),
        ({"username": "alice", "password": ALICE_PASSWORD}, ACCOUNT),
        ({"username": "alice@example.invalid", "password": ALICE_PASSWORD}, ACCOUNT),
    ],
)
async def test_every_credential_sends_with_the_same_words(
    sandbox: Sandbox, credential: dict[str, Any], kind: str
) -> None:
    """Also to a device that is not there yet, which lands in the own organisation."""
    async with AsyncSensorVisionClient(sandbox.url, **credential) as client:
        await client.send_data("dev-a", NUMBERS)
        await client.send_data("new", NUMBERS)
        assert client.credential == kind
    assert len(sandbox.store.values("dev-a")) == len(sandbox.store.values("new")) == 1
    ours, made = sandbox.store.device("dev-a"), sandbox.store.device("new")
    assert ours
    assert made
    assert made.organization_id == ours.organization_id


async def test_foreign_device_is_refused_to_a_user(
    key: AsyncSensorVisionClient,
) -> None:
    """As it is to a device token."""
    with pytest.raises(PermissionDeniedError):
        await key.send_data("dev-b", NUMBERS)


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"api_key": TOKEN, "user_key": ALICE_KEY},
        {"api_key": TOKEN, "username": "alice", "password": "hunter2"},
        {"username": "alice"},
        {"password": "hunter2"},
        {"username": " ", "password": "hunter2"},
        {"username": "alice", "password": ""},
        {"user_key": "hunter2"},
        {"user_key": "{22222222-2222-4222-8222-222222222222}"},
        {"api_key": "hunter2"},
    ],
    ids=" ".join,
)
def test_half_a_credential_or_two_are_refused_and_not_repeated(
    credential: dict[str, Any],
) -> None:
    """What was given may be a secret in the wrong place."""
    with pytest.raises(ValidationError) as caught:
        AsyncSensorVisionClient("http://127.0.0.1", **credential)
    assert "hunter2" not in _told(caught.value)
    assert ALICE_KEY not in _told(caught.value)


async def test_key_in_upper_case_can_only_be_a_users(sandbox: Sandbox) -> None:
    """It is not tried as a device token, and sent as it was issued."""
    upper = STRANGE_KEY.upper()
    async with AsyncSensorVisionClient(sandbox.url, api_key=upper) as client:
        with pytest.raises(KeyLockedError):
            await client.send_data("dev-a", NUMBERS)
    assert [arrived.headers["X-API-Key"] for arrived in sandbox.requests] == [upper]


async def test_one_login_serves_many_at_once(
    sandbox: Sandbox, account: AsyncSensorVisionClient
) -> None:
    """The hosted server takes five logins a minute."""
    sandbox.context.state.nginx = True
    await asyncio.gather(*(account.send_data("dev-a", NUMBERS) for _ in range(8)))
    assert _count(sandbox, LOGIN) == 1
    assert len(sandbox.store.values("dev-a")) == 8


async def test_login_is_refreshed_before_it_ends(
    sandbox: Sandbox, account: AsyncSensorVisionClient
) -> None:
    """A minute before, once, and without the password."""
    await account.send_data("dev-a", NUMBERS)
    sandbox.clock.advance(DAY_S - 62)
    await account.send_data("dev-a", NUMBERS)
    assert _count(sandbox, REFRESH) == 0
    sandbox.clock.advance(3)
    await asyncio.gather(*(account.send_data("dev-a", NUMBERS) for _ in range(4)))
    assert (_count(sandbox, LOGIN), _count(sandbox, REFRESH)) == (1, 1)
    assert len(sandbox.store.values("dev-a")) == 6


async def test_login_survives_a_month_switched_off(
    sandbox: Sandbox, account: AsyncSensorVisionClient
) -> None:
    """The refresh token has ended too, and is not even tried."""
    await account.send_data("dev-a", NUMBERS)
    sandbox.clock.advance(30 * DAY_S)
    await account.send_data("dev-a", NUMBERS)
    assert (_count(sandbox, LOGIN), _count(sandbox, REFRESH)) == (2, 0)


async def test_refused_refresh_leads_to_a_login(
    sandbox: Sandbox, account: AsyncSensorVisionClient
) -> None:
    """The server may have forgotten it."""
    await account.send_data("dev-a", NUMBERS)
    sandbox.clock.advance(DAY_S)
    sandbox.context.security._secret = "another-secret-of-32-characters!"
    await account.send_data("dev-a", NUMBERS)
    assert (_count(sandbox, LOGIN), _count(sandbox, REFRESH)) == (2, 1)


async def test_401_in_between_leads_to_one_login_for_all(
    sandbox: Sandbox, account: AsyncSensorVisionClient
) -> None:
    """The server was set up anew and knows no token of before."""
    await account.send_data("dev-a", NUMBERS)
    sandbox.context.security._secret = "another-secret-of-32-characters!"
    await asyncio.gather(*(account.send_data("dev-a", NUMBERS) for _ in range(4)))
    assert _count(sandbox, LOGIN) == 2
    assert len(sandbox.store.values("dev-a")) == 5


async def test_401_after_a_good_login_is_no_verdict_on_the_password() -> None:
    """It is asked for once more, and not for ever."""
    tokens = http_answer(200, b'{"accessToken":"a.b.c","refreshToken":"r"}')
    async with (
        scripted(tokens, http_answer(401), tokens, http_answer(401)) as server,
        AsyncSensorVisionClient(
            server.url, username="alice", password="pw", retry=ONCE
        ) as client,
    ):
        with pytest.raises(DeviceError):
            await client.send_data("dev-a", NUMBERS)
    assert len(server.requests) == 4


async def test_wrong_password_is_refused(sandbox: Sandbox) -> None:
    """All who wait for it learn it from one login."""
    async with AsyncSensorVisionClient(
        sandbox.url, username="alice", password="wrong", clock=sandbox.clock.now_s
    ) as client:
        outcomes = await asyncio.gather(
            *(client.send_data("dev-a", NUMBERS) for _ in range(4)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [LoginError] * 4
        assert "Check user name and password" in str(outcomes[0])
        assert _count(sandbox, LOGIN) == 1
        sandbox.clock.advance(13)
        with pytest.raises(AuthenticationError):
            await client.probe("dev-a")
    assert _count(sandbox, LOGIN) == 2


async def test_proxys_limit_of_logins_is_no_refusal(sandbox: Sandbox) -> None:
    """Five a minute, and three at once."""
    sandbox.context.state.nginx = True
    outcomes = []
    for _ in range(6):
        async with AsyncSensorVisionClient(
            sandbox.url, username="alice", password=ALICE_PASSWORD, retry=ONCE
        ) as client:
            try:
                await client.send_data("dev-a", NUMBERS)
            except SensorVisionError as err:
                outcomes.append(err)
    assert outcomes
    assert all(type(outcome) is LoginLimitError for outcome in outcomes)
    assert isinstance(outcomes[0], RateLimitError)
    assert outcomes[0].retry_after_s == 12


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_500", ServerError),
        ("http_502", ServerError),
        ("http_503", LoginLimitError),
        ("http_429", LoginLimitError),
        ("html_200", NotSensorVisionError),
        ("reset", NetworkError),
    ],
)
async def test_trouble_of_the_login_is_no_refusal(
    sandbox: Sandbox,
    account: AsyncSensorVisionClient,
    fault: str,
    error: type[SensorVisionError],
) -> None:
    """Only the server's own word is."""
    sandbox.faults.set(fault, path=LOGIN)
    with pytest.raises(error) as caught:
        await account.send_data("dev-a", NUMBERS)
    assert not isinstance(caught.value, AuthenticationError)
    sandbox.faults.clear()
    sandbox.clock.advance(13)
    await account.send_data("dev-a", NUMBERS)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"accessToken":1,"refreshToken":"r"}',
        b'{"accessToken":"a\\nb","refreshToken":"r"}',
        b'{"accessToken":"a"}',
    ],
)
async def test_login_without_tokens_is_none(body: bytes) -> None:
    """Something else has answered."""
    async with (
        scripted(http_answer(200, body)) as server,
        AsyncSensorVisionClient(
            server.url, username="alice", password="pw", retry=ONCE
        ) as client,
    ):
        with pytest.raises(NotSensorVisionError):
            await client.send_data("dev-a", NUMBERS)


async def test_ignored_key_is_not_taken_for_a_refused_one(
    sandbox: Sandbox, key: AsyncSensorVisionClient
) -> None:
    """Ten device tokens from one address do that to it, for a quarter of an hour."""
    await key.send_data("dev-a", NUMBERS)
    sandbox.context.limits.keys.failed("127.0.0.1", 10)
    with pytest.raises(KeyLockedError) as caught:
        await key.send_data("dev-a", NUMBERS)
    assert caught.value.retry_after_s == 16 * 60
    sandbox.clock.advance(14 * 60)
    with pytest.raises(KeyLockedError) as caught:
        await key.probe("dev-a")
    assert caught.value.retry_after_s == 2 * 60
    sandbox.clock.advance(61)
    await key.send_data("dev-a", NUMBERS)


async def test_key_that_stays_ignored_is_refused(sandbox: Sandbox) -> None:
    """Sixteen minutes after the first time it is no lockout any more."""
    async with AsyncSensorVisionClient(
        sandbox.url, user_key=STRANGE_KEY, retry=ONCE, clock=sandbox.clock.now_s
    ) as client:
        with pytest.raises(KeyLockedError):
            await client.probe("dev-a")
        sandbox.faults.set("http_502", times=2)
        sandbox.clock.advance(16 * 60)
        with pytest.raises(ServerError):
            await client.send_data("dev-a", NUMBERS)
        sandbox.faults.clear()
        with pytest.raises(AuthenticationError, match="No user has this key"):
            await client.probe("dev-a")


@pytest.mark.parametrize(
    ("credential", "secret"),
    [
        ({"user_key": ALICE_KEY}, ALICE_KEY),
        ({"username": "alice", "password": ALICE_PASSWORD}, ALICE_PASSWORD),
    ],
    ids=["key", "password"],
)
@pytest.mark.parametrize(
    "fault", ["http_301", "html_200", "http_429", "http_500", "reset", "latency"]
)
async def test_no_fault_brings_a_secret_to_light(
    sandbox: Sandbox,
    credential: dict[str, Any],
    secret: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither exceptions and their causes nor the log, the URL or the repr."""
    caplog.set_level(logging.DEBUG)
    async with AsyncSensorVisionClient(sandbox.url, **credential, retry=ONCE) as client:
        await client.send_data("dev-a", NUMBERS)
        sandbox.faults.set(fault, seconds=0 if fault == "latency" else None)
        if fault == "latency":
            sandbox.context.security._secret = "another-secret-of-32-characters!"
            sandbox.store.connection.execute(
                "UPDATE users SET password = 'other', user_key = 'other'"
            )
        with pytest.raises(SensorVisionError) as caught:
            await client.send_data("dev-a", NUMBERS)
        told = _told(caught.value) + caplog.text + repr(client)
    for arrived in sandbox.requests:
        bearer = arrived.headers.get("Authorization", "Bearer ?")[7:]
        assert bearer == "?" or bearer not in told
        assert secret not in arrived.path
    assert secret not in told


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500, 503])
async def test_login_that_repeats_the_password_does_not_bring_it_to_light(
    status: int,
) -> None:
    """Nothing that is said there is passed on."""
    body = b'{"message":"not hunter2","errorType":"hunter2"}'
    async with (
        scripted(http_answer(status, body)) as server,
        AsyncSensorVisionClient(
            server.url, username="alice", password="hunter2", retry=ONCE
        ) as client,
    ):
        with pytest.raises(SensorVisionError) as caught:
            await client.send_data("dev-a", NUMBERS)
    assert "hunter2" not in _told(caught.value)


UNKNOWN = http_answer(404, b'{"detail":"Device not found: new"}')
DONE = http_answer(200, b'{"success":true}')


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (
            [
                UNKNOWN,
                http_answer(400, b'{"detail":"Device already exists: new"}'),
                DONE,
            ],
            200,
        ),
        ([UNKNOWN, http_answer(400, b'{"detail":"No more devices"}')], 404),
        ([UNKNOWN, http_answer(503, b"<html>")], 503),
        ([UNKNOWN, http_answer(201, b"{}"), http_answer(500, b"{}")], 500),
    ],
    ids=["lost race", "refused", "trouble", "made"],
)
async def test_device_that_is_not_made_costs_no_numbers(
    answers: list[bytes], status: int
) -> None:
    """No answer about the device is taken for one about the data."""
    async with (
        scripted(*answers) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        answer = await client.post("new", NUMBERS)
    assert answer.status == status
    assert answer.kind != protocol.WRONG_PAYLOAD
    assert len(server.requests) == len(answers)
