"""Rate limits, the lockout of user keys, and servers of other days."""

import asyncio

import pytest

from sandbox import Mode, Sandbox, Settings

from .conftest import ALICE_KEY, DEV_A_TOKEN, JSON_TYPE, Client
from .wire import Reply, send

_CONNECTIVITY = "/api/v1/connectivity/http"


async def _get(client: Client, path: str, **headers: str) -> Reply:
    """Send a GET."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await send(client.sandbox.url, "GET", path, named)


async def test_sixty_plugin_requests_a_minute_for_all_anonymous_callers(
    client: Client,
) -> None:
    """The 61st is refused, until a minute is over; a user has a window of their own."""
    for _ in range(60):
        assert (await _get(client, _CONNECTIVITY)).status == 200
    refused = await _get(client, _CONNECTIVITY)
    assert refused.status == 429
    assert refused.headers["Content-Type"] == "application/json;charset=ISO-8859-1"
    assert refused.body == (
        b'{"error": "Rate limit exceeded", "message": "Maximum 60 plugin operations per '
        b'minute. Please try again later."}'
    )
    assert "Retry-After" not in refused.headers
    assert (await client.user("GET", _CONNECTIVITY)).status == 200
    client.sandbox.clock.advance(60)
    assert (await _get(client, _CONNECTIVITY)).status == 200


async def test_ingest_is_not_limited(client: Client) -> None:
    """Since 2025-11-23 data and devices are exempt."""
    replies = await asyncio.gather(
        *(client.ingest("dev-a", '{"t":1}') for _ in range(120))
    )
    assert {reply.status for reply in replies} == {200}


async def test_ten_failed_keys_lock_user_keys_out_for_fifteen_minutes(
    client: Client,
) -> None:
    """Each ingest with a device token is such a failure; ingest itself goes on."""
    for _ in range(9):
        await client.ingest("dev-a", '{"t":1}')
    client.sandbox.clock.advance(14 * 60)
    assert (await client.ingest("dev-a", '{"t":1}')).status == 200
    locked = await _get(client, "/api/v1/devices", X_API_Key=ALICE_KEY)
    assert (locked.status, locked.body) == (401, b"")
    assert (await client.ingest("dev-a", '{"t":1}')).status == 200
    assert (await client.user("GET", "/api/v1/devices")).status == 200
    client.sandbox.clock.advance(61)
    assert (await _get(client, "/api/v1/devices", X_API_Key=ALICE_KEY)).status == 200


async def test_success_clears_the_failures(client: Client) -> None:
    """Nine failures and a success leave ten more."""
    for _ in range(2):
        for _ in range(9):
            await client.ingest("dev-a", '{"t":1}')
        assert (
            await _get(client, "/api/v1/devices", X_API_Key=ALICE_KEY)
        ).status == 200


@pytest.fixture
async def hosted() -> Client:
    """Return a client that is not connected to anything yet."""
    return Client(Sandbox(Settings(fixtures="contract", nginx=True)))


async def test_proxy_lets_a_burst_through_and_then_answers_503(hosted: Client) -> None:
    """Ten a second, twenty more at once; data is exempt."""
    async with hosted.sandbox as sandbox:
        sandbox.clock.hold()
        statuses = [(await hosted.ingest("dev-a", '{"t":1}')).status for _ in range(23)]
        assert statuses == [200] * 21 + [503] * 2
        refused = await hosted.ingest("dev-a", '{"t":1}')
        assert refused.headers["Content-Type"] == "text/html"
        assert b"503 Service Temporarily Unavailable" in refused.body
        assert (await hosted.user("POST", "/api/v1/data/bulk", [])).status == 200
        sandbox.clock.advance(2)
        assert (await hosted.ingest("dev-a", '{"t":1}')).status == 200


async def test_proxy_limits_logins_and_bodies(hosted: Client) -> None:
    """Five logins a minute, three more at once; ten megabytes a body."""
    async with hosted.sandbox:
        statuses = [
            (await hosted.post("/api/v1/auth/login", {})).status for _ in range(5)
        ]
        assert statuses == [400, 400, 400, 400, 503]
        too_large = await hosted.ingest("dev-a", b" " * (10 * 1024 * 1024 + 1))
        assert too_large.status == 413


async def _old(mode: str) -> Client:
    """Return a client of a server that behaves as an old one."""
    settings = Settings(fixtures="contract", modes=frozenset({Mode(mode)}))
    return Client(Sandbox(settings))


async def test_old_server_creates_in_the_default_organisation() -> None:
    """The next post with the same token is then forbidden."""
    client = await _old("before_2026_01_18")
    async with client.sandbox as sandbox:
        assert (await client.ingest("new", '{"t":1}')).status == 200
        assert (await client.ingest("new", '{"t":1}')).status == 403
        assert sandbox.store.events("new") == ["DEVICE_CREATED"]
        assert (await client.ingest("dev-a/", '{"t":1}')).status == 500


async def test_old_server_loses_unknown_names() -> None:
    """It answers 200 all the same, and has no variables to list."""
    client = await _old("before_2025_12_06")
    async with client.sandbox as sandbox:
        body = '{"t":1,"voltage":230,"big":1e14}'
        assert (await client.ingest("dev-a", body)).status == 200
        assert [row.variable for row in sandbox.store.values("dev-a")] == ["voltage"]
        devices = (await client.user("GET", "/api/v1/devices")).json()
        assert "id" not in devices[0]
        uuid = sandbox.store.devices()[0].uuid
        path = f"/api/v1/devices/{uuid}/variables"
        assert (await client.user("GET", path)).status == 404


async def test_old_server_answers_a_failure_with_its_own_json() -> None:
    """The token counts as used, because the controller had no transaction yet."""
    client = await _old("before_2025_11_22")
    async with client.sandbox as sandbox:
        reply = await client.ingest("dev-a", '{"t":1e14}')
        assert reply.status == 500
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.json()["message"].startswith("Failed to process data: ")
        assert sandbox.store.values("dev-a") == []
        device = sandbox.store.device("dev-a")
        assert device is not None
        assert device.token_last_used_at is not None


async def test_old_server_limits_every_caller_to_a_hundred_a_minute() -> None:
    """The bucket is filled anew each minute; login is exempt."""
    client = await _old("before_2025_11_23")
    async with client.sandbox as sandbox:
        for left in range(99, -1, -1):
            reply = await client.ingest("dev-a", "{}")
            assert reply.headers["X-Rate-Limit-Remaining"] == str(left)
        refused = await client.ingest("dev-a", "{}")
        wait_s = refused.json()["retryAfter"]
        assert refused.status == 429
        assert 50 <= wait_s <= 60
        assert refused.headers["X-Rate-Limit-Retry-After-Seconds"] == str(wait_s)
        assert refused.json() == {
            "error": "Too Many Requests",
            "message": f"Rate limit exceeded. Please try again in {wait_s} seconds.",
            "retryAfter": wait_s,
        }
        assert await client.login()
        sandbox.clock.advance(60)
        assert (await client.ingest("dev-a", "{}")).status == 400


async def test_old_server_gives_a_thousand_to_who_comes_for_data_first() -> None:
    """The first request decides about the size of the bucket."""
    client = await _old("before_2025_11_23")
    async with client.sandbox:
        reply = await client.user("POST", "/api/v1/data/bulk", [])
        assert reply.headers["X-Rate-Limit-Remaining"] == "999"
        assert (await client.user("GET", "/api/v1/events")).status == 200


async def test_server_without_connectivity_asks_for_a_login() -> None:
    """The path is not public there, and not there."""
    client = await _old("no_connectivity")
    async with client.sandbox:
        assert (await _get(client, _CONNECTIVITY)).status == 401
        assert (await client.user("GET", _CONNECTIVITY)).status == 404
        metrics = await _get(client, "/actuator/prometheus")
        assert b'application="sensorvision"' in metrics.body


async def test_modes_are_switched_while_it_runs(client: Client) -> None:
    """Only the modes named are on afterwards; an unknown one is refused."""
    url, path = client.sandbox.url, "/_sandbox/modes"
    reply = await send(url, "PUT", path, JSON_TYPE, '{"modes":["no_connectivity"]}')
    assert reply.json()["modes"] == ["no_connectivity"]
    assert (await _get(client, _CONNECTIVITY)).status == 401
    refused = await send(url, "PUT", path, JSON_TYPE, '{"modes":["yesterday"]}')
    assert (refused.status, "yesterday" in refused.json()["error"]) == (400, True)
    assert (await send(url, "PUT", path, JSON_TYPE, "[]")).status == 400
    await send(url, "PUT", path, JSON_TYPE, '{"modes":[]}')
    assert (await _get(client, _CONNECTIVITY)).status == 200
    assert (await send(url, "GET", path)).json()["modes"] == []


@pytest.mark.parametrize(
    ("given", "path", "status"),
    [
        ('{"health":"DOWN"}', "/actuator/health", 503),
        ('{"modes":["no_connectivity"]}', _CONNECTIVITY, 401),
        ('{"mode":"no_connectivity"}', _CONNECTIVITY, 401),
        ("{}", _CONNECTIVITY, 200),
        ("", _CONNECTIVITY, 200),
    ],
)
async def test_reset_applies_what_is_given(
    client: Client, given: str, path: str, status: int
) -> None:
    """Everything else is as after a first start."""
    await client.ingest("new", '{"t":1}')
    token = await client.login()
    client.sandbox.faults.set("http_503")
    reset = await send(client.sandbox.url, "POST", "/_sandbox/reset", body=given)
    assert reset.status == 204
    assert (await _get(client, path)).status == status
    assert client.sandbox.store.device("new") is None
    bearer = {"Authorization": f"Bearer {token}"}
    me = await send(client.sandbox.url, "GET", "/api/v1/auth/me", bearer)
    assert me.status == 200


async def test_reset_gives_states_and_counts(client: Client) -> None:
    """Preconditions of single requests can be given."""
    given = '{"device_status":{"dev-a":"OFFLINE"},"failed_user_keys":10,"auto_provision":false,"nginx":false}'
    await send(client.sandbox.url, "POST", "/_sandbox/reset", body=given)
    locked = await _get(client, "/api/v1/devices", X_API_Key=ALICE_KEY)
    assert locked.status == 401
    assert (await client.ingest("nobody", '{"t":1}')).status == 500
    await client.ingest("dev-a", '{"t":1}')
    assert client.sandbox.store.events("dev-a") == ["DEVICE_CONNECTED"]


@pytest.mark.parametrize(
    "given", ['{"moon":"full"}', '{"broker":"sideways"}', "[]", "{"]
)
async def test_reset_refuses_what_it_does_not_know(client: Client, given: str) -> None:
    """Nothing is changed then."""
    await client.ingest("dev-a", '{"t":1}')
    reply = await send(client.sandbox.url, "POST", "/_sandbox/reset", body=given)
    assert reply.status == 400
    assert reply.json()["error"]
    assert len(client.sandbox.store.values("dev-a")) == 1


async def test_token_of_the_fixtures_is_what_the_contract_says(client: Client) -> None:
    """The fixtures are those of the vectors."""
    device = client.sandbox.store.device("dev-a")
    assert device is not None
    assert device.api_token == DEV_A_TOKEN
