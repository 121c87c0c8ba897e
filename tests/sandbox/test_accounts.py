"""Signing in, devices and their tokens, variables, and what the roles allow."""

from datetime import UTC, datetime, timedelta
import json

import jwt
import pytest

from .conftest import ALICE, ALICE_KEY, DEV_A_TOKEN, JSON_TYPE, Client
from .wire import Reply, send

_LOGIN = "/api/v1/auth/login"
_REFRESH = "/api/v1/auth/refresh"
_REGISTER = "/api/v1/auth/register"
_BOB = {
    "username": "bob",
    "email": "bob@example.invalid",
    "password": "bob-password",
    "firstName": "Bob",
    "lastName": "Example",
}


def _lifetime(token: str) -> timedelta:
    """Return how long a token lives from now."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC)


async def _me(client: Client, token: str) -> Reply:
    """Ask who a token's user is."""
    headers = {"Authorization": f"Bearer {token}"}
    return await send(client.sandbox.url, "GET", "/api/v1/auth/me", headers)


@pytest.mark.parametrize(
    ("extra", "refresh_days"), [({}, 7), ({"rememberMe": True}, 30)]
)
async def test_login_gives_two_tokens_with_their_lifetimes(
    client: Client, extra: dict[str, bool], refresh_days: int
) -> None:
    """A day for the access token, a week or a month for the other."""
    tokens = (await client.post(_LOGIN, {**ALICE, **extra})).json()
    assert abs(_lifetime(tokens["accessToken"]) - timedelta(days=1)) < timedelta(
        minutes=1
    )
    lifetime = _lifetime(tokens["refreshToken"])
    assert abs(lifetime - timedelta(days=refresh_days)) < timedelta(minutes=1)
    assert (await _me(client, tokens["accessToken"])).json()["username"] == "alice"


async def test_refresh_token_opens_the_api_too(client: Client) -> None:
    """The server does not tell the two apart."""
    tokens = (await client.post(_LOGIN, ALICE)).json()
    assert (await _me(client, tokens["refreshToken"])).status == 200


async def test_login_by_email(client: Client) -> None:
    """The name may be the address."""
    account = {"username": "alice@example.invalid", "password": "alice-password"}
    assert (await client.post(_LOGIN, account)).status == 200


@pytest.mark.parametrize(
    ("account", "status", "title"),
    [
        ({**ALICE, "password": "wrong"}, 401, "Invalid Credentials"),
        ({**ALICE, "username": "nobody"}, 401, "Invalid Credentials"),
        ({**ALICE, "password": "\ud800"}, 401, "Invalid Credentials"),
        ({"username": "alice"}, 400, "Validation Failed"),
        ({"username": " ", "password": 5}, 400, "Validation Failed"),
    ],
)
async def test_bad_login_is_a_problem(
    client: Client, account: dict[str, object], status: int, title: str
) -> None:
    """Wrong credentials and missing fields differ."""
    reply = await client.post(_LOGIN, account)
    assert (reply.status, reply.json()["title"]) == (status, title)
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_refresh_renews_both_tokens(client: Client) -> None:
    """Both are new, and both work."""
    old = (await client.post(_LOGIN, ALICE)).json()
    new = (await client.post(_REFRESH, {"refreshToken": old["refreshToken"]})).json()
    assert new["refreshToken"] != old["refreshToken"]
    assert (await _me(client, new["accessToken"])).status == 200


@pytest.mark.parametrize("kind", ["accessToken", None])
async def test_refresh_refuses_anything_else(client: Client, kind: str | None) -> None:
    """Neither an access token nor nonsense will do."""
    tokens = (await client.post(_LOGIN, ALICE)).json()
    reply = await client.post(_REFRESH, {"refreshToken": tokens[kind] if kind else "x"})
    assert (reply.status, reply.json()["title"]) == (400, "Bad Request")


async def test_token_expires_after_its_day_and_a_minute(client: Client) -> None:
    """Sixty seconds of leeway are granted."""
    token = await client.login()
    client.sandbox.clock.advance(24 * 3600 + 50)
    assert (await _me(client, token)).status == 200
    client.sandbox.clock.advance(20)
    assert (await _me(client, token)).status == 401


@pytest.mark.parametrize(
    ("organization", "sees_dev_b"),
    [({}, False), ({"organizationName": "Organization B"}, True)],
)
async def test_register_makes_or_joins_an_organisation(
    client: Client, organization: dict[str, str], *, sees_dev_b: bool
) -> None:
    """An existing organisation is joined by its mere name."""
    reply = await client.post(_REGISTER, {**_BOB, **organization})
    assert reply.json()["username"] == "bob"
    headers = {"Authorization": f"Bearer {reply.json()['accessToken']}"}
    listed = await send(client.sandbox.url, "GET", "/api/v1/devices", headers)
    assert bool(listed.json()) == sees_dev_b


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"username": "bo"}, "Validation Failed"),
        ({"password": "short"}, "Validation Failed"),
        ({"email": ""}, "Validation Failed"),
        ({"username": "alice"}, "Bad Request"),
    ],
)
async def test_bad_registration_is_refused(
    client: Client, change: dict[str, str], title: str
) -> None:
    """Lengths are checked, and names are unique."""
    reply = await client.post(_REGISTER, {**_BOB, **change})
    assert (reply.status, reply.json()["title"]) == (400, title)


async def _as_key(
    client: Client, method: str, path: str, body: str | None = None
) -> Reply:
    """Send a request with alice's user key."""
    headers = {"X-API-Key": ALICE_KEY, **JSON_TYPE}
    return await send(client.sandbox.url, method, path, headers, body)


async def test_user_key_opens_devices_but_neither_roles_nor_me(client: Client) -> None:
    """A key's roles are mis-prefixed, and one handler stumbles over it."""
    devices = await _as_key(client, "GET", "/api/v1/devices")
    assert devices.status == 200
    path = f"/api/v1/devices/{devices.json()[0]['id']}/variables"
    variables = await _as_key(client, "GET", path)
    assert (variables.status, variables.json()["title"]) == (403, "Access Denied")
    assert (await _as_key(client, "GET", "/api/v1/auth/me")).status == 500
    assert (await _as_key(client, "POST", "/api/v1/api-keys", "{}")).status == 409
    assert len((await _as_key(client, "GET", "/api/v1/api-keys")).json()) == 1


async def test_device_lives_from_creation_to_deletion(client: Client) -> None:
    """Its token is never shown by the device itself, and dies with it."""
    created = await client.user(
        "POST", "/api/v1/devices", {"externalId": "new", "name": "New"}
    )
    assert created.status == 201
    assert "token" not in created.body.decode().lower()
    again = await client.user(
        "POST", "/api/v1/devices", {"externalId": "new", "name": "New"}
    )
    assert (again.status, again.json()["detail"]) == (400, "Device already exists: new")
    changed = await client.user("PUT", "/api/v1/devices/new", {"location": "Hall"})
    assert (changed.json()["location"], changed.json()["name"]) == ("Hall", "New")
    rotated = await client.user("POST", "/api/v1/devices/new/rotate-token")
    token = rotated.json()["apiToken"]
    assert (await client.ingest("new", '{"t":1}', X_API_Key=token)).status == 200
    assert (await client.user("DELETE", "/api/v1/devices/new")).status == 204
    dead = await client.ingest("dev-a", '{"t":1}', X_API_Key=token)
    assert dead.json()["message"] == "Invalid API key"
    assert client.sandbox.store.values("new") == []
    assert (await client.user("GET", "/api/v1/devices/new")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"externalId": "x" * 65, "name": "n"}, 409),
        ({"name": "n"}, 400),
        ({"externalId": "b", "name": ""}, 400),
    ],
)
async def test_bad_device_is_refused(
    client: Client, body: dict[str, str], status: int
) -> None:
    """Names are needed, and must fit."""
    assert (await client.user("POST", "/api/v1/devices", body)).status == status


async def test_foreign_device_is_forbidden(client: Client) -> None:
    """The other organisation's device exists, but is not ours."""
    reply = await client.user("GET", "/api/v1/devices/dev-b")
    assert (reply.status, reply.json()["title"]) == (403, "Access Denied")


async def test_rotation_takes_effect_at_once(client: Client) -> None:
    """There is no grace for the old token."""
    reply = (await client.user("POST", "/api/v1/devices/dev-a/token/rotate")).json()
    assert reply["success"] is True
    assert not reply["tokenCreatedAt"].endswith("Z")
    assert (await client.ingest("dev-a", "{}")).status == 401
    assert (await client.ingest("dev-a", "{}", X_API_Key=reply["token"])).status == 400


async def test_token_is_shown_masked_generated_once_and_revoked(client: Client) -> None:
    """A token can be taken away, and then be made anew."""
    path = "/api/v1/devices/dev-a/token"
    shown = await client.user("GET", path)
    assert DEV_A_TOKEN not in shown.body.decode()
    assert (await client.user("POST", f"{path}/generate")).status == 400
    assert (await client.user("DELETE", path)).status == 200
    assert (await client.ingest("dev-a", "{}")).status == 401
    made = (await client.user("POST", f"{path}/generate")).json()["token"]
    assert (await client.ingest("dev-a", "{}", X_API_Key=made)).status == 400


async def _store(client: Client, **values: object) -> str:
    """Store five readings of a variable; return the path of the device's variables."""
    items = [
        {
            "deviceId": "dev-a",
            "timestamp": f"2026-01-01T00:00:0{second}Z",
            "variables": {"t": second + 0.5},
        }
        for second in (3, 1, 2, 4, 5)
    ]
    await client.user("POST", "/api/v1/data/bulk", items)
    devices = (await client.user("GET", "/api/v1/devices")).json()
    return f"/api/v1/devices/{devices[0]['id']}/variables"


async def test_values_are_read_back_with_six_decimals(client: Client) -> None:
    """Ascending between two times, or the newest first."""
    path = await _store(client)
    (variable,) = (await client.user("GET", path)).json()
    one = f"{path}/{variable['id']}"
    span = "startTime=2026-01-01T00:00:02Z&endTime=2026-01-01T00:00:04Z"
    listed = await client.user("GET", f"{one}/values?{span}")
    assert b'"value":2.500000' in listed.body
    assert [row["value"] for row in listed.json()] == [2.5, 3.5, 4.5]
    newest = (await client.user("GET", f"{one}/values/latest?count=2")).json()
    assert [row["timestamp"][-3:] for row in newest] == ["05Z", "04Z"]
    assert (await client.user("GET", f"{path}/latest")).json() == {"t": 5.5}
    statistics = (await client.user("GET", f"{one}/statistics?{span}")).json()
    assert (statistics["count"], statistics["average"]) == (3, 3.5)
    assert (await client.user("GET", f"{one}/values")).json() == []


async def test_variable_gets_its_unit_and_name(client: Client) -> None:
    """This is the only way to give one a unit."""
    path = await _store(client)
    (variable,) = (await client.user("GET", path)).json()
    one = f"{path}/{variable['id']}"
    change = {
        "unit": "°C",
        "displayName": "Hall",
        "color": "#12aBcd",
        "decimalPlaces": 1,
    }
    changed = (await client.user("PUT", one, {**change, "minValue": -5})).json()
    assert {name: changed[name] for name in change} == change
    assert (await client.user("GET", one)).json()["minValue"] == -5


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "x" * 51},
        {"color": "red"},
        {"decimalPlaces": 11},
        {"minValue": "a"},
        {"icon": 5},
    ],
)
async def test_bad_change_of_a_variable_is_refused(
    client: Client, change: dict[str, object]
) -> None:
    """Each field has its own rule."""
    path = await _store(client)
    (variable,) = (await client.user("GET", path)).json()
    reply = await client.user("PUT", f"{path}/{variable['id']}", change)
    assert (reply.status, list(reply.json()["errors"])) == (400, list(change))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/devices/dev-a/variables", 500),
        ("/api/v1/devices/00000000-0000-4000-8000-000000000000/variables", 404),
        ("{variables}/x", 500),
        ("{variables}/99", 404),
        ("{variables}/1/values?startTime=yesterday", 500),
        ("{variables}/1/values/latest?count=x", 500),
        ("{foreign}", 403),
    ],
)
async def test_variables_are_addressed_by_database_ids(
    client: Client, path: str, status: int
) -> None:
    """An external id in their place is a server error."""
    variables = await _store(client)
    foreign = client.sandbox.store.device("dev-b")
    assert foreign is not None
    path = path.format(
        variables=variables, foreign=f"/api/v1/devices/{foreign.uuid}/variables"
    )
    assert (await client.user("GET", path)).status == status


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("aggregation=AVG", [3.5]),
        ("aggregation=MIN", [1.5]),
        ("aggregation=MAX", [5.5]),
        ("aggregation=SUM", [17.5]),
        ("aggregation=COUNT&interval=1m", [5]),
    ],
)
async def test_values_are_aggregated(
    client: Client, query: str, values: list[float]
) -> None:
    """By the external id, and with a user key too."""
    await _store(client)
    span = "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"
    path = f"/api/v1/analytics/aggregate?deviceId=dev-a&variable=t&{span}&{query}"
    reply = await _as_key(client, "GET", path)
    assert [row["value"] for row in reply.json()] == values


async def test_reserved_name_is_aggregated_from_the_zero_filled_table(
    client: Client,
) -> None:
    """Readings without a voltage count as zero volts."""
    await _store(client)
    span = "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"
    path = f"/api/v1/analytics/aggregate?deviceId=dev-a&variable=voltage&{span}"
    (row,) = (await client.user("GET", f"{path}&aggregation=AVG")).json()
    assert (row["value"], row["count"]) == (0, 5)
    assert (await client.user("GET", f"{path}&aggregation=MEDIAN")).status == 500


async def test_events_tell_what_happened(client: Client) -> None:
    """Newest first, without a zone."""
    await client.ingest("new", '{"t":1}')
    events = (await client.user("GET", "/api/v1/events")).json()
    assert [event["eventType"] for event in events] == [
        "DEVICE_CONNECTED",
        "DEVICE_CREATED",
    ]


async def test_metrics_show_latest_values_without_a_login(client: Client) -> None:
    """The application label tells the product's age."""
    await client.ingest('q"', "{}")
    await client.ingest("dev-a", json.dumps({"out side": 1.5}))
    reply = await send(client.sandbox.url, "GET", "/actuator/prometheus")
    lines = reply.body.decode().splitlines()
    assert (
        'iot_dynamic_out_side{application="indcloud",deviceId="dev-a",variable="out side"} 1.5'
        in lines
    )
    assert 'iot_device_status{application="indcloud",deviceId="dev-a"} 1' in lines


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/nothing", 401), ("/actuator/health/liveness", 401), ("/nothing", 404)],
)
async def test_unknown_path_asks_for_a_login_below_the_api(
    client: Client, path: str, status: int
) -> None:
    """Only a user learns that there is nothing."""
    assert (await send(client.sandbox.url, "GET", path)).status == status
    assert (await client.user("GET", path)).status == 404


async def test_command_without_mqtt_says_so(client: Client) -> None:
    """A sandbox without a broker cannot hand anything over."""
    body = {"command": "blink"}
    reply = await client.user("POST", "/api/v1/devices/dev-a/commands", body)
    assert reply.json()["message"] == "Failed to send command: MQTT is off"


async def test_token_of_an_account_that_is_gone_is_refused(client: Client) -> None:
    """It is well signed, but nobody's."""
    token = client.sandbox.context.security.issue("gone", kind="access", lifetime_s=60)
    reply = await _me(client, token)
    assert (reply.status, reply.body) == (401, b"")
