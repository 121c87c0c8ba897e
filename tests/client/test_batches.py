"""Users send many readings with their own times, and learn what became of each."""

from collections.abc import AsyncIterator, Iterable
import datetime as dt
from typing import Any

import pytest

from custom_components.sensorvision.client import (
    ACCOUNT,
    AsyncSensorVisionClient,
    Sample,
    SampleResult,
    protocol,
)
from sandbox import Sandbox
from sandbox.fixtures import ALICE_KEY, ALICE_PASSWORD

from .servers import http_answer, scripted

BULK = "/api/v1/data/bulk"
DEVICES = "/api/v1/devices"
NOON = dt.datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(params=["account", "user key", "some key"])
async def user(
    sandbox: Sandbox, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncSensorVisionClient]:
    """Open a client with each credential of a user."""
    credential: dict[str, Any] = {
        "account": {"username": "alice", "password": ALICE_PASSWORD},
        "user key": {"user_key": ALICE_KEY},
        "some key": {"api_key": ALICE_KEY},
    }[request.param]
    async with AsyncSensorVisionClient(
        sandbox.url, **credential, clock=sandbox.clock.now_s
    ) as client:
        yield client


def _bulks(sandbox: Sandbox) -> int:
    return sum(arrived.path == BULK for arrived in sandbox.requests)


def _kinds(results: Iterable[SampleResult]) -> list[str]:
    return [result.kind for result in results]


def _is_ours(sandbox: Sandbox, device_id: str) -> bool:
    ours, device = sandbox.store.device("dev-a"), sandbox.store.device(device_id)
    assert ours
    return bool(device and device.organization_id == ours.organization_id)


async def test_samples_are_stored_with_their_own_times(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """To the microsecond, whatever the zone that they were given in."""
    zone = dt.timezone(dt.timedelta(hours=-3))
    samples = [
        Sample("dev-a", {"a": 1, "b": 2.5}, NOON),
        Sample("dev-a", {"a": 3}, (NOON + SECOND).astimezone(zone)),
        Sample("dev-a2", {"a": 4}),
    ]
    results = await user.send_batch(samples)
    assert [result.sample for result in results] == samples
    assert all(result.is_delivered for result in results)
    body = sandbox.requests[-1].body
    assert b'"2026-01-02T12:00:00.123456Z"' in body
    assert b'"2026-01-02T12:00:01.123456Z"' in body
    assert len(sandbox.store.values("dev-a")) == 3
    assert len(sandbox.store.values("dev-a2")) == 1


async def test_samples_go_in_requests_of_a_hundred(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """The server works through one request for at most a minute."""
    samples = [Sample("dev-a", {"a": n}, NOON + n * SECOND) for n in range(201)]
    results = await user.send_batch(samples)
    assert _kinds(results) == [protocol.DELIVERED] * 201
    assert _bulks(sandbox) == 3
    assert len(sandbox.store.values("dev-a")) == 201


async def test_nothing_is_sent_of_nothing(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """Not even a look."""
    assert list(await user.send_batch([])) == []
    assert not sandbox.requests


async def test_unknown_devices_are_made_in_the_own_organisation(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """The bulk endpoint would put them where the user can't see them."""
    results = await user.send_batch(
        [Sample("new", {"a": 1}), Sample("new", {"a": 2}), Sample("newer", {"a": 3})]
    )
    assert _kinds(results) == [protocol.DELIVERED] * 3
    assert _is_ours(sandbox, "new")
    assert _is_ours(sandbox, "newer")


async def test_foreign_device_is_refused_and_the_others_are_not(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """The bulk endpoint itself would let anybody write to it."""
    samples = [Sample("dev-a", {"a": 1}), Sample("dev-b", {"a": 2})]
    for _ in range(2):
        results = await user.send_batch(samples)
        assert _kinds(results) == [protocol.DELIVERED, protocol.WRONG_DEVICE]
        assert results[1].status == 403
    assert not sandbox.store.values("dev-b")
    creating = [
        arrived.method for arrived in sandbox.requests if arrived.path == DEVICES
    ]
    assert creating.count("POST") == 1


async def test_devices_are_looked_up_every_ten_minutes(
    sandbox: Sandbox, user: AsyncSensorVisionClient
) -> None:
    """One that was removed meanwhile is made again."""
    await user.send_batch([Sample("new", {"a": 1})])
    device = sandbox.store.device("new")
    assert device
    before = len(sandbox.requests)
    await user.send_batch([Sample("new", {"a": 1})])
    assert len(sandbox.requests) == before + 1
    sandbox.store.delete_device(device)
    sandbox.clock.advance(601)
    await user.send_batch([Sample("new", {"a": 1})])
    assert _is_ours(sandbox, "new")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("http_500", 500),
        ("http_503", 503),
        ("http_429", 429),
        ("html_200", 200),
        ("reset", 0),
        ("reset_after_commit", 0),
    ],
)
@pytest.mark.parametrize("path", [BULK, DEVICES])
async def test_failure_of_a_request_is_said_of_all_behind_it(
    sandbox: Sandbox, fault: str, status: int, path: str
) -> None:
    """What was stored before stays told apart."""
    async with AsyncSensorVisionClient(sandbox.url, user_key=ALICE_KEY) as client:
        sandbox.faults.set(fault, path=path)
        results = await client.send_batch(
            [Sample("dev-a", {"a": n}, NOON + n * SECOND) for n in range(150)]
        )
        assert _kinds(results) == [protocol.TRY_LATER] * 150
        assert {result.status for result in results} == {status}
        assert _bulks(sandbox) == (path == BULK)


ITEM = '{"deviceId":"dev-a","variablesReceived":0,"status":"%s","message":"%s"}'
LISTED = b'[{"externalId":"dev-a","name":"A"}]'


@pytest.mark.parametrize(
    ("body", "kinds", "suspects"),
    [
        (
            f"[{ITEM % ('success', '')},{ITEM % ('error', 'Internal server error')}]",
            [protocol.DELIVERED, protocol.TRY_LATER],
            [False, True],
        ),
        (
            "[{0},{0}]".format(ITEM % ("error", "deviceId and variables are required")),
            [protocol.WRONG_PAYLOAD] * 2,
            [False, False],
        ),
        (f"[{ITEM % ('success', '')}]", [protocol.TRY_LATER] * 2, [False, False]),
        ("{}", [protocol.TRY_LATER] * 2, [False, False]),
        ("[1,2]", [protocol.TRY_LATER] * 2, [False, False]),
    ],
    ids=["one failed", "incomplete", "too few", "object", "numbers"],
)
async def test_each_answer_is_classified(
    body: str, kinds: list[str], suspects: list[bool]
) -> None:
    """The server says 200 to all of them."""
    async with (
        scripted(http_answer(200, LISTED), http_answer(200, body.encode())) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        results = await client.send_batch([Sample("dev-a", {"a": 1})] * 2)
        assert client.credential != ACCOUNT
    assert _kinds(results) == kinds
    assert [result.suspect for result in results] == suspects


@pytest.mark.parametrize("status", [403, 404, 502])
async def test_page_of_a_proxy_refuses_no_device(status: int) -> None:
    """The next batch asks again."""
    async with (
        scripted(http_answer(200, b"[]"), http_answer(status, b"<html>")) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        for _ in range(2):
            (result,) = await client.send_batch([Sample("new", {"a": 1})])
            assert result.status == status
    assert len(server.requests) == 3


async def test_device_that_can_not_be_registered_is_refused_alone() -> None:
    """The server has its reasons, and says them."""
    refusal = http_answer(400, b'{"detail":"No more devices"}')
    stored = http_answer(200, b"[%s]" % (ITEM % ("success", "")).encode())
    async with (
        scripted(http_answer(200, LISTED), refusal, stored) as server,
        AsyncSensorVisionClient(server.url, user_key=ALICE_KEY) as client,
    ):
        results = await client.send_batch(
            [Sample("new", {"a": 1}), Sample("dev-a", {"a": 1})]
        )
    assert _kinds(results) == [protocol.WRONG_DEVICE, protocol.DELIVERED]
    assert results[0].message == "No more devices"


async def test_login_that_fails_on_the_way_is_said_of_all_behind_it(
    sandbox: Sandbox,
) -> None:
    """It is no reason to forget what was stored."""
    async with AsyncSensorVisionClient(
        sandbox.url, username="alice", password=ALICE_PASSWORD
    ) as client:
        assert (await client.send_batch([Sample("dev-a", {"a": 1})]))[0].is_delivered
        sandbox.context.security._secret = "another-secret-of-32-characters!"
        sandbox.faults.set("http_502", path="/api/v1/auth/login")
        results = await client.send_batch([Sample("dev-a", {"a": 1})] * 2)
    assert [(result.kind, result.status) for result in results] == [
        (protocol.TRY_LATER, 502)
    ] * 2
