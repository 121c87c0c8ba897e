"""Many samples are sent at once, and each has a result of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
import datetime as dt
import math
from typing import Any, cast

from aiohttp import web
import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    AuthenticationError,
    BatchResult,
    CapabilityError,
    NetworkError,
    PayloadError,
    PermissionDeniedError,
    RateLimit,
    RetryPolicy,
    Sample,
    ServerError,
    ValidationError,
    protocol,
)
from custom_components.sensorvision.client.batch_items import SampleLike
from sandbox import Sandbox
from sandbox.fixtures import ALICE_KEY

from .both_clients import ClientClass, both_clients
from .servers import (
    STORED,
    TOKEN,
    eventually,
    http_answer,
    poison,
    scripted,
    served,
    silence,
)

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
BULK = "/api/v1/data/bulk"
ONCE = RetryPolicy(attempts=1)

type Client = AsyncSensorVisionClient


OFTEN: dict[str, Any] = {"retry": ONCE, "rate_limit": RateLimit.off()}


@pytest.fixture(params=both_clients.args[1], ids=["async", "sync"])
def client_class(request: pytest.FixtureRequest) -> ClientClass:
    """Return one client's class, and then the other's."""
    return cast("ClientClass", request.param)


@pytest.fixture
async def client(sandbox: Sandbox, client_class: ClientClass) -> AsyncIterator[Client]:
    """Open a client with the token of dev-a."""
    async with client_class(sandbox.url, api_key=TOKEN, **OFTEN) as opened:
        yield opened


@pytest.fixture(params=["token", "user key"])
async def anyone(
    sandbox: Sandbox, client_class: ClientClass, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """Open a client with each kind of credential."""
    credential: dict[str, Any] = {
        "token": {"api_key": TOKEN},
        "user key": {"user_key": ALICE_KEY},
    }
    async with client_class(
        sandbox.url, **credential[request.param], **OFTEN
    ) as opened:
        yield opened


def _counts(result: BatchResult) -> tuple[int, int, int]:
    return result.delivered, result.failed, result.not_sent


def _posts(sandbox: Sandbox) -> list[str]:
    """Return the paths under which numbers arrived."""
    return [
        arrived.path
        for arrived in sandbox.requests
        if arrived.path.startswith(("/api/v1/ingest", BULK))
    ]


async def test_every_sample_is_stored_whatever_the_credential(
    sandbox: Sandbox, anyone: Client
) -> None:
    samples = [Sample(f"d{n % 7}", {"a": n}) for n in range(70)]
    result = await anyone.send_batch(samples)
    assert result.is_complete
    assert [each.sample for each in result] == samples
    assert _counts(result) == (70, 0, 0)
    assert result.failures == []
    assert sum(len(sandbox.store.values(f"d{n}")) for n in range(7)) == 70


async def test_samples_of_one_device_keep_their_order(
    sandbox: Sandbox, client: Client
) -> None:
    result = await client.send_batch(
        [Sample(f"d{n % 3}", {"a": n}) for n in range(30)], max_concurrency=8
    )
    assert result.is_complete
    for device in range(3):
        values = [float(row[2]) for row in _values(sandbox, f"d{device}")]
        assert values == sorted(values)


def _values(sandbox: Sandbox, device_id: str) -> list[Any]:
    return list(
        sandbox.store.rows(
            "SELECT external_id, variables.name, value FROM variable_values"
            " JOIN variables ON variables.id = variable_id"
            " JOIN devices ON devices.id = device_id"
            " WHERE external_id = ? ORDER BY variable_values.rowid",
            device_id,
        )
    )


async def test_posts_of_a_device_go_one_by_one_and_of_several_at_once(
    client_class: ClientClass,
) -> None:
    """The first posts of a new device would race, and the server loses one."""
    answering = asyncio.Barrier(4)
    on_their_way: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=401)
        device_id = request.match_info["device"]
        on_their_way[device_id] += 1
        most[device_id] = max(most[device_id], on_their_way[device_id])
        # As many as may be must be on their way before one is answered.
        await answering.wait()
        on_their_way[device_id] -= 1
        return web.Response(body=STORED, content_type="application/json")

    async with (
        served(answer) as url,
        client_class(url, api_key=TOKEN, **OFTEN) as client,
    ):
        result = await client.send_batch(
            [Sample(f"d{n % 4}", {"a": n}) for n in range(12)], max_concurrency=4
        )
    assert result.is_complete
    assert set(most.values()) == {1}
    assert len(most) == 4


async def test_items_may_be_mappings_with_ids_and_times(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    async with client_class(sandbox.url, user_key=ALICE_KEY) as client:
        result = await client.send_batch(
            [
                {"device_id": "dev-a", "variables": {"a": 1}, "id": "first"},
                {
                    "device_id": "dev-a",
                    "variables": {"a": 2},
                    "timestamp": "2026-01-02T09:00:00-03:00",
                },
                {"device_id": "dev-a", "variables": {"a": 3}, "timestamp": NOON},
            ]
        )
    assert result.is_complete
    assert [each.id for each in result] == ["first", "1", "2"]
    assert result.by_id("1").sample == Sample("dev-a", {"a": 2}, NOON)
    assert result[:2] == (result[0], result[1])
    with pytest.raises(KeyError):
        result.by_id("0")


INVALID: list[tuple[object, str, object]] = [
    ({"device_id": "a/b", "variables": {"a": 1}}, ".device_id", "a/b"),
    ({"variables": {"a": 1}}, ".device_id", None),
    ({"device_id": "dev-a"}, ".variables", None),
    ({"device_id": "dev-a", "variables": {}}, ".variables", {}),
    ({"device_id": "dev-a", "variables": [1]}, ".variables", [1]),
    ({"device_id": "dev-a", "variables": {"": 1}}, ".variables", ""),
    (
        {"device_id": "dev-a", "variables": {"ok": 1, "temperature": "21"}},
        ".variables.temperature",
        "21",
    ),
    ({"device_id": "dev-a", "variables": {"on": True}}, ".variables.on", True),
    (
        {"device_id": "dev-a", "variables": {"x": math.inf}},
        ".variables.x",
        math.inf,
    ),
    (
        {"device_id": "dev-a", "variables": {"a": 1}, "timestamp": "noon"},
        ".timestamp",
        "noon",
    ),
    (
        {"device_id": "dev-a", "variables": {"a": 1}, "timestamp": 1767355200},
        ".timestamp",
        1767355200,
    ),
    (
        {"device_id": "dev-a", "variables": {"a": 1}, "tiemstamp": "noon"},
        ".tiemstamp",
        "noon",
    ),
    (Sample("dev-a", {"a": 1}, NOON.replace(tzinfo=None)), ".timestamp", None),
    (7, "", 7),
]


@pytest.mark.parametrize(("given", "field", "value"), INVALID)
async def test_invalid_sample_fails_alone_and_its_field_is_named(
    anyone: Client, given: SampleLike, field: str, value: object
) -> None:
    result = await anyone.send_batch(
        [Sample("dev-a", {"a": 1}), given, Sample("dev-a", {"a": 2})]
    )
    assert _counts(result) == (2, 1, 0)
    (failure,) = result.failures
    assert failure is result[1]
    error = failure.error
    assert isinstance(error, ValidationError)
    assert error.field == f"samples[1]{field}"
    assert str(error).startswith(f"samples[1]{field} ")
    assert str(error).endswith(error.remedy)
    assert value is None or error.value == value
    is_device = field == ".device_id"
    assert failure.kind == (
        protocol.WRONG_DEVICE if is_device else protocol.WRONG_PAYLOAD
    )
    assert failure.message == str(error)


@pytest.mark.parametrize(
    ("ids", "field"),
    [
        (["a", "b", "a"], "samples[2].id"),
        (["1", None, "c"], "samples[1].id"),
        ([3, "b", "c"], "samples[0].id"),
        (["", "b", "c"], "samples[0].id"),
    ],
)
async def test_ids_by_which_no_result_could_be_found_are_refused(
    sandbox: Sandbox, client: Client, ids: list[Any], field: str
) -> None:
    samples = [Sample("dev-a", {"a": 1}, id=each) for each in ids]
    with pytest.raises(ValidationError) as caught:
        await client.send_batch(samples)
    assert caught.value.field == field
    assert not sandbox.requests


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": 0},
        {"max_concurrency": 65},
        {"max_concurrency": 1.5},
        {"timeout": 0},
        {"timeout": -1},
    ],
)
async def test_options_that_make_no_sense_are_refused(
    sandbox: Sandbox, client: Client, options: Mapping[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        await client.send_batch([Sample("dev-a", {"a": 1})], **options)
    assert caught.value.field == next(iter(options))
    assert not sandbox.requests


async def test_sample_with_a_time_fails_alone_under_a_device_token(
    sandbox: Sandbox, client: Client
) -> None:
    result = await client.send_batch(
        [Sample("dev-a", {"a": 1}, NOON), Sample("dev-a", {"a": 2})]
    )
    assert _counts(result) == (1, 1, 0)
    assert isinstance(result[0].error, CapabilityError)
    assert "user key" in str(result[0].error)
    assert len(sandbox.store.values("dev-a")) == 1


async def test_device_of_another_organisation_fails_alone(
    sandbox: Sandbox, anyone: Client
) -> None:
    result = await anyone.send_batch(
        [
            Sample("dev-b", {"a": 1}),
            Sample("dev-a", {"a": 2}),
            Sample("dev-b", {"a": 3}),
        ]
    )
    assert _counts(result) == (1, 2, 0)
    assert all(
        isinstance(each.error, PermissionDeniedError) for each in result.failures
    )
    assert sum("dev-b" in path for path in _posts(sandbox)) <= 1


async def test_sample_on_which_the_server_fails_does_so_alone(
    sandbox: Sandbox, anyone: Client
) -> None:
    poison(sandbox, "bad")
    result = await anyone.send_batch(
        [Sample("dev-a", {"bad": 1}), Sample("dev-a", {"good": 2})]
    )
    assert _counts(result) == (1, 1, 0)
    assert result[0].suspect
    assert isinstance(result[0].error, ServerError)


async def test_first_error_stops_a_batch_that_is_told_to(
    sandbox: Sandbox, client: Client
) -> None:
    poison(sandbox, "bad")
    variables = ["good", "bad", "good", "good"]
    result = await client.send_batch(
        [Sample("dev-a", {name: n}) for n, name in enumerate(variables)],
        stop_on_first_error=True,
        max_concurrency=1,
    )
    assert _counts(result) == (1, 1, 2)
    assert [each.is_not_sent for each in result] == [False, False, True, True]
    assert result[3].error is result[1].error
    assert result[3].kind == protocol.TRY_LATER
    assert not result[3].suspect
    assert not result.is_complete


async def test_first_error_stops_the_requests_of_a_user(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """What goes in the same request is stored all the same."""
    poison(sandbox, "bad")
    samples = [Sample("dev-a", {"bad" if n == 3 else "good": n}) for n in range(150)]
    async with client_class(sandbox.url, user_key=ALICE_KEY) as client:
        result = await client.send_batch(samples, stop_on_first_error=True)
    assert _counts(result) == (99, 1, 50)


async def test_what_lies_before_the_first_invalid_sample_is_sent(
    sandbox: Sandbox, anyone: Client
) -> None:
    samples = [Sample("dev-a", {"a": n if n != 2 else math.nan}) for n in range(5)]
    samples.append(Sample("a/b", {"a": 1}))
    result = await anyone.send_batch(samples, stop_on_first_error=True)
    assert _counts(result) == (2, 2, 2)
    assert result[4].error is result[2].error
    assert len(sandbox.store.values("dev-a")) == 2


async def test_foreign_device_stops_what_lies_behind_it(anyone: Client) -> None:
    result = await anyone.send_batch(
        [
            Sample("dev-a", {"a": 1}),
            Sample("dev-b", {"a": 1}),
            Sample("dev-a2", {"a": 1}),
        ],
        stop_on_first_error=True,
        max_concurrency=1,
    )
    assert _counts(result) == (1, 1, 1)
    assert result[2].is_not_sent


@pytest.mark.parametrize(
    ("fault", "error"), [("http_503", ServerError), ("reset", NetworkError)]
)
async def test_server_that_is_away_is_not_asked_for_each_sample(
    sandbox: Sandbox, client: Client, fault: str, error: type[Exception]
) -> None:
    await client.send_data("dev-a", {"a": 1})
    sandbox.faults.set(fault)
    before = len(sandbox.requests)
    result = await client.send_batch(
        [Sample("dev-a", {"a": n}) for n in range(50)], max_concurrency=2
    )
    assert _counts(result) == (0, 1, 49)
    assert isinstance(result[0].error, error)
    assert {each.kind for each in result} == {protocol.TRY_LATER}
    assert len(sandbox.requests) == before + 1


async def test_devices_on_which_the_server_fails_at_once_stop_the_batch_once(
    client_class: ClientClass,
) -> None:
    answering = asyncio.Barrier(2)

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=401)
        await answering.wait()
        return web.Response(status=503)

    async with (
        served(answer) as url,
        client_class(url, api_key=TOKEN, **OFTEN) as client,
    ):
        result = await client.send_batch(
            [Sample(f"d{n % 2}", {"a": n}) for n in range(10)], max_concurrency=2
        )
    assert _counts(result) == (0, 2, 8)
    assert {each.status for each in result} == {503}


async def test_refused_credential_is_not_tried_for_each_sample(
    client_class: ClientClass,
    sandbox: Sandbox,
) -> None:
    async with client_class(
        sandbox.url, api_key="99999999-1111-4111-8111-111111111111"
    ) as client:
        result = await client.send_batch([Sample("dev-a", {"a": n}) for n in range(50)])
    assert _counts(result) == (0, 1, 49)
    assert isinstance(result[0].error, AuthenticationError)
    assert {each.kind for each in result} == {protocol.SIGN_IN}


async def test_lost_answers_are_marked_and_those_never_sent_are_not(
    sandbox: Sandbox, anyone: Client
) -> None:
    await anyone.send_data("dev-a", {"a": 0})
    await anyone.send_batch([Sample("dev-a", {"a": 0})])
    sandbox.faults.set("reset_after_commit")
    result = await anyone.send_batch([Sample("dev-a", {"a": n}) for n in range(150)])
    marked = [each.may_have_arrived for each in result]
    assert any(marked)
    assert not any(each.may_have_arrived for each in result if each.is_not_sent)
    assert all(each.may_have_arrived for each in result.failures)
    assert result.delivered == 0


async def test_what_is_not_answered_in_time_is_told_from_what_was_not_sent(
    client_class: ClientClass,
) -> None:
    yes, no = http_answer(200, STORED), http_answer(401, b"")
    async with (
        scripted(no, yes, silence) as server,
        client_class(server.url, api_key=TOKEN, **OFTEN) as client,
    ):
        result = await client.send_batch(
            [Sample("dev-a", {"a": n}) for n in range(4)], timeout=0.5
        )
    assert _counts(result) == (1, 1, 2)
    assert [each.may_have_arrived for each in result] == [False, True, False, False]
    assert isinstance(result[2].error, NetworkError)
    assert len(server.requests) == 3


async def test_sample_whose_turn_comes_too_late_is_not_sent(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It is known at once that the pace leaves no time for it."""
    pace = RateLimit(per_second=0.001, burst=2)
    async with client_class(
        sandbox.url, api_key=TOKEN, rate_limit=pace, retry=ONCE
    ) as client:
        result = await client.send_batch(
            [Sample("dev-a", {"a": n}) for n in range(3)], timeout=60
        )
    assert _counts(result) == (1, 0, 2)
    assert result[1].kind == protocol.TRY_LATER
    assert len(sandbox.requests) == 2


async def test_time_that_is_over_before_the_credential_is_known_sends_nothing(
    client_class: ClientClass,
) -> None:
    async with (
        scripted(silence) as server,
        client_class(server.url, api_key=TOKEN) as client,
    ):
        result = await client.send_batch([Sample("dev-a", {"a": 1})], timeout=0.05)
    assert _counts(result) == (0, 0, 1)
    assert not result[0].may_have_arrived


async def test_bulk_that_is_not_answered_in_time_may_have_arrived(
    client_class: ClientClass,
) -> None:
    listed = http_answer(200, b'[{"externalId":"dev-a","name":"A"}]')
    async with (
        scripted(listed, silence) as server,
        client_class(server.url, user_key=ALICE_KEY) as client,
    ):
        result = await client.send_batch(
            [Sample("dev-a", {"a": n}) for n in range(150)], timeout=0.5
        )
    assert _counts(result) == (0, 100, 50)
    assert result[0].may_have_arrived
    assert not result[149].may_have_arrived


async def test_cancelled_batch_leaves_nothing_on_its_way() -> None:
    async with (
        scripted(http_answer(401), silence) as server,
        AsyncSensorVisionClient(server.url, api_key=TOKEN, **OFTEN) as client,
    ):
        sending = asyncio.ensure_future(
            client.send_batch([Sample(f"d{n}", {"a": n}) for n in range(9)])
        )
        await eventually(lambda: len(server.requests) == 5)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await eventually(lambda: server.closed == 4)
        assert len(server.requests) == 5


async def test_refused_numbers_fail_alone(client_class: ClientClass) -> None:
    """A server may refuse what the client would let pass."""
    refusal = http_answer(400, b'{"success":false,"message":"No"}')
    yes, no = http_answer(200, STORED), http_answer(401, b"")
    async with (
        scripted(no, refusal, yes) as server,
        client_class(server.url, api_key=TOKEN, **OFTEN) as other,
    ):
        result = await other.send_batch(
            [Sample("dev-a", {"a": 1}), Sample("dev-a", {"a": 2})]
        )
    assert _counts(result) == (1, 1, 0)
    assert isinstance(result[0].error, PayloadError)


def test_result_shows_its_counts_and_nothing_else() -> None:
    assert repr(BatchResult([])) == "<BatchResult delivered=0 failed=0 not_sent=0>"


@pytest.mark.parametrize(
    "credential", [{"user_key": ALICE_KEY}, {"api_key": ALICE_KEY}]
)
async def test_send_data_stores_a_time(
    client_class: ClientClass, sandbox: Sandbox, credential: dict[str, Any]
) -> None:
    async with client_class(sandbox.url, **credential) as client:
        await client.send_data("dev-a", {"a": 1}, NOON)
    assert b'"2026-01-02T12:00:00.000000Z"' in sandbox.requests[-1].body
    assert len(sandbox.store.values("dev-a")) == 1


async def test_send_data_tries_a_time_again(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    async with client_class(
        sandbox.url, user_key=ALICE_KEY, retry=RetryPolicy(first_delay_s=0)
    ) as client:
        sandbox.faults.set("http_503", times=1, path=BULK)
        await client.send_data("dev-a", {"a": 1}, NOON)
    assert len(sandbox.store.values("dev-a")) == 1


@pytest.mark.parametrize(
    ("device_id", "variables", "timestamp", "field"),
    [
        ("a/b", {"a": 1}, NOON, "device id"),
        ("dev-a", {"a": True}, NOON, "a"),
        ("dev-a", {"a": 1}, NOON.replace(tzinfo=None), "timestamp"),
    ],
)
async def test_send_data_names_what_can_not_be_sent_of_the_past(
    sandbox: Sandbox,
    client: Client,
    device_id: str,
    variables: Mapping[str, Any],
    timestamp: dt.datetime,
    field: str,
) -> None:
    with pytest.raises(ValidationError) as caught:
        await client.send_data(device_id, variables, timestamp)
    assert caught.value.field == field
    assert not sandbox.requests


async def test_send_data_with_a_time_is_not_a_device_tokens(
    sandbox: Sandbox, client: Client
) -> None:
    with pytest.raises(CapabilityError, match="Leave the timestamp out"):
        await client.send_data("dev-a", {"a": 1}, NOON)
    assert not sandbox.store.values("dev-a")


async def test_send_data_of_the_past_to_a_foreign_device_is_refused(
    client_class: ClientClass,
    sandbox: Sandbox,
) -> None:
    async with client_class(sandbox.url, user_key=ALICE_KEY) as client:
        with pytest.raises(PermissionDeniedError):
            await client.send_data("dev-b", {"a": 1}, NOON)
    assert not sandbox.store.values("dev-b")
