"""The data family: times, binding, organisations, and each item on its own."""

from datetime import UTC, datetime

import pytest

from sandbox import Sandbox, Settings
from sandbox.instants import format_instant, parse_instant, parse_local

from .conftest import ALICE_KEY, DEV_A_TOKEN, JSON_TYPE, Client
from .wire import send

_INGEST = "/api/v1/data/ingest"
_BULK = "/api/v1/data/bulk"


def _item(device_id: str = "dev-a", **members: object) -> dict[str, object]:
    """Return a reading of one variable."""
    return {"deviceId": device_id, "variables": {"t": 1}, **members}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"),
        ("2024-01-15t10:30:00.5z", "2024-01-15T10:30:00.500Z"),
        ("2024-01-15T10:30:00.123456789+05:30", "2024-01-15T05:00:00.123456789Z"),
        ("2024-12-31T24:00:00Z", "2025-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
        ("9999-12-31T23:59:59-18:00", "+10000-01-01T17:59:59Z"),
        ("0000-01-01T00:00:00+18:00", "-0001-12-31T06:00:00Z"),
    ],
)
def test_instants_are_normalised(text: str, written: str) -> None:
    """What is read is written in UTC with the fewest groups of three digits."""
    assert format_instant(parse_instant(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        *("2024-01-15T10:30:00", "2024-01-15T10:30:00+0200", "2024-01-15T10:30:00+02"),
        *("2024-01-15 10:30:00Z", "2024-01-15T10:30Z", "2024-01-15", "1700000000"),
        *(" 2024-01-15T10:30:00Z", "2024-02-30T10:30:00Z", "2024-01-15T10:30:00+18:01"),
        *("2024-01-15T24:00:01Z", "2024-01-15T25:00:00Z", "2024-01-15T10:30:00.Z"),
    ],
)
def test_texts_that_are_no_instants_are_refused(text: str) -> None:
    """The zone, the T and the seconds must be there."""
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


def test_local_time_is_read_as_utc() -> None:
    """MQTT takes times without a zone, and without seconds."""
    assert parse_local("2024-01-15T10:30") == parse_instant("2024-01-15T10:30:00Z")
    with pytest.raises(ValueError, match=r"time of day"):
        parse_local("2024-01-15T24:00")


async def test_epoch_in_milliseconds_lands_in_a_far_year(client: Client) -> None:
    """The older endpoint takes numbers for seconds, and the store holds any year."""
    body = {"timestamp": 1_700_000_000_000, "variables": {"t": 1}}
    reply = await client.user("POST", f"{_INGEST}/dev-a", body)
    assert reply.status == 200
    devices = (await client.user("GET", "/api/v1/devices")).json()
    assert devices[0]["lastSeenAt"] == "+55840-11-08T22:13:20Z"


@pytest.mark.parametrize(
    ("timestamp", "status"),
    [
        ("1700000000", 200),
        ("1700000000.25", 200),
        (" ", 200),
        (None, 200),
        ("2024-01-15T12:30:00+02:00", 200),
        ("yesterday", 500),
        (True, 500),
        ([], 500),
        (1e30, 500),
    ],
)
async def test_older_endpoint_reads_epoch_seconds_or_iso(
    client: Client, timestamp: object, status: int
) -> None:
    """What is neither fails as unreadable."""
    body = {"timestamp": timestamp, "variables": {"t": 1}}
    assert (await client.user("POST", f"{_INGEST}/dev-a", body)).status == status


@pytest.mark.parametrize(
    ("member", "stored"),
    [
        ('"variables":{"t":" 1.5 ","n":null,"b":"  "}', ["1.500000"]),
        ('"variables":{"t":null}', []),
    ],
)
async def test_blank_and_null_values_count_but_are_not_stored(
    client: Client, member: str, stored: list[str]
) -> None:
    """The answer counts all members."""
    reply = await client.user("POST", _INGEST, body=f'{{"deviceId":"dev-a",{member}}}')
    assert reply.json()["variablesReceived"] == member.count(":") - 1
    values = client.sandbox.store.values("dev-a")
    assert [str(row.value) for row in values] == stored


@pytest.mark.parametrize(
    "body",
    [
        *('{"variables":[]}', '{"deviceId":{},"variables":{}}', "[]", "null", "", "7"),
        *('{"deviceId":"a","variables":{"t":"x"}}', '{"deviceId":"a","metadata":[]}'),
        '{"deviceId":"a","timestamp":[],"variables":{"t":1}}',
    ],
)
async def test_what_does_not_bind_is_unreadable(client: Client, body: str) -> None:
    """A wrong type anywhere fails the request as a whole."""
    reply = await client.user("POST", _INGEST, body=body)
    assert reply.json()["errorType"] == "HttpMessageNotReadableException"


async def test_device_id_may_be_a_number_but_not_blank(client: Client) -> None:
    """Scalars are turned into text."""
    reply = await client.user(
        "POST", _INGEST, body='{"deviceId":1.50,"variables":{"t":1}}'
    )
    assert reply.json()["deviceId"] == "1.50"
    reply = await client.user("POST", _INGEST, _item(" "))
    assert (reply.status, reply.json()["message"]) == (400, "deviceId is required")


async def test_unknown_device_lands_in_the_default_organisation(client: Client) -> None:
    """It is made, but its maker cannot see it."""
    assert (await client.user("POST", _BULK, [_item("new")])).status == 200
    assert client.sandbox.store.device("new") is not None
    assert (await client.user("GET", "/api/v1/devices/new")).status == 403


async def test_bulk_stops_at_a_null_and_keeps_what_came_before(client: Client) -> None:
    """A null element is the one that breaks the server's loop."""
    body = '[{"deviceId":"dev-a","variables":{"t":1}},null,{"deviceId":"x","variables":{}}]'
    reply = await client.user("POST", _BULK, body=body)
    assert reply.json()["errorType"] == "NullPointerException"
    assert len(client.sandbox.store.values("dev-a")) == 1
    assert client.sandbox.store.device("x") is None


async def test_bulk_item_that_fails_leaves_nothing_of_itself(client: Client) -> None:
    """Each item is a transaction of its own."""
    items = [
        _item("first"),
        {"deviceId": "second", "variables": {"a": 1, "b": 1e14}},
        _item("third", metadata={"location": 5}),
        _item("dev-a", timestamp=""),
        _item(""),
    ]
    answers = (await client.user("POST", _BULK, items)).json()
    statuses = [answer["status"] for answer in answers]
    assert statuses == ["success", "error", "error", "error", "success"]
    ids = {device.external_id for device in client.sandbox.store.devices()}
    assert {"first", ""} <= ids
    assert not {"second", "third"} & ids


@pytest.mark.parametrize(
    ("path", "device_token", "status", "message"),
    [
        ("dev-a", DEV_A_TOKEN, 200, "Telemetry data ingested successfully"),
        ("dev-a2", DEV_A_TOKEN, 403, "Device ID mismatch"),
        ("dev-a", "unknown", 401, "Invalid device token"),
    ],
)
async def test_device_token_is_checked_where_it_is_given(
    client: Client, path: str, device_token: str, status: int, message: str
) -> None:
    """It is only looked at after the user was let in."""
    headers = {**JSON_TYPE, "X-API-Key": ALICE_KEY, "X-Device-Token": device_token}
    url, body = client.sandbox.url, '{"variables":{"t":1}}'
    reply = await send(url, "POST", f"{_INGEST}/{path}", headers, body)
    assert (reply.status, reply.json()["message"]) == (status, message)


async def test_older_endpoint_does_not_create_devices(client: Client) -> None:
    """An unknown device is not found."""
    reply = await client.user("POST", f"{_INGEST}/nobody", {"variables": {"t": 1}})
    assert (reply.status, reply.json()["detail"]) == (404, "Device not found: nobody")


@pytest.mark.parametrize(
    ("items", "status", "counts"),
    [
        (
            [_item("dev-a"), _item("dev-a2")],
            200,
            {"successCount": 2, "failureCount": 0},
        ),
        ([_item("dev-a"), _item("dev-b")], 403, {"successCount": 0, "failureCount": 2}),
    ],
)
async def test_older_bulk_counts(
    client: Client, items: list[object], status: int, counts: dict[str, int]
) -> None:
    """It checks organisations before it stores anything."""
    reply = await client.user("POST", f"{_INGEST}/bulk", {"telemetry": items})
    assert (reply.status, reply.json()) == (status, counts)
    assert bool(client.sandbox.store.values("dev-a")) == (status == 200)


async def test_older_bulk_is_all_or_nothing(client: Client) -> None:
    """One failure rolls every item back."""
    items = [_item("dev-a"), {"deviceId": "dev-a", "variables": {"t": 1e14}}]
    reply = await client.user("POST", f"{_INGEST}/bulk", {"telemetry": items})
    assert reply.json()["errorType"] == "UnexpectedRollbackException"
    assert client.sandbox.store.values("dev-a") == []
    unknown = await client.user("POST", f"{_INGEST}/bulk", {"telemetry": [_item("x")]})
    assert unknown.status == 404
    for body in ({}, {"telemetry": [None]}, {"telemetry": [{"variables": 5}]}):
        unreadable = await client.user("POST", f"{_INGEST}/bulk", body)
        assert unreadable.json()["errorType"] == "HttpMessageNotReadableException"


async def test_single_variable_takes_a_number_and_nothing_else(client: Client) -> None:
    """The documented object is not what the server reads."""
    assert (
        await client.user("POST", "/api/v1/data/dev-a/t", body='" 7 "')
    ).status == 200
    for body in ('{"value":1}', "null", '""', "true", "1x", ""):
        reply = await client.user("POST", "/api/v1/data/dev-a/t", body=body)
        assert reply.json()["errorType"] == "HttpMessageNotReadableException"
    reply = await client.user("POST", "/api/v1/data/dev-a/t", body="1e14")
    assert (reply.status, reply.json()["message"]) == (500, "Internal server error")


async def test_metadata_is_kept_and_writes_three_columns(client: Client) -> None:
    """Null clears a column; the rest is stored with the values."""
    metadata = {"location": "Hall", "sensor_type": None, "room": {"floor": 1}}
    await client.user("POST", _INGEST, _item(metadata=metadata))
    device = client.sandbox.store.device("dev-a")
    assert device is not None
    assert (device.location, device.sensor_type) == ("Hall", None)
    (row,) = client.sandbox.store.rows("SELECT context FROM variable_values")
    assert (
        row["context"]
        == '{"location": "Hall", "sensor_type": null, "room": {"floor": 1}}'
    )


@pytest.mark.parametrize(
    "metadata", ['{"a":"\\u0000"}', '{"a":1e999}', '{"location":"' + "x" * 256 + '"}']
)
async def test_metadata_that_the_database_refuses_fails_the_reading(
    client: Client, metadata: str
) -> None:
    """Nothing of the reading is stored."""
    body = f'{{"deviceId":"dev-a","variables":{{"t":1}},"metadata":{metadata}}}'
    reply = await client.user("POST", _INGEST, body=body)
    assert (reply.status, reply.json()["message"]) == (500, "Internal server error")
    assert client.sandbox.store.values("dev-a") == []


async def test_auto_provision_can_be_off() -> None:
    """Then an unknown device is a failure like any other."""
    settings = Settings(fixtures="contract", auto_provision=False)
    async with Sandbox(settings) as sandbox:
        client = Client(sandbox)
        reply = await client.ingest("nobody", '{"t":1}')
        assert reply.json()["errorType"] == "UnexpectedRollbackException"
        answers = (await client.user("POST", _BULK, [_item("nobody")])).json()
        assert answers[0]["message"] == "Internal server error"


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
async def test_browser_without_a_login_is_redirected(
    sandbox: Sandbox, accept: str
) -> None:
    """Anything else gets an empty 401."""
    reply = await send(sandbox.url, "GET", "/api/v1/devices", {"Accept": accept})
    assert (reply.status, reply.headers["Location"]) == (302, "/oauth2/login")


async def test_reserved_names_are_read_back_from_the_old_table(client: Client) -> None:
    """Query, latest and latest of one device."""
    at = "2026-01-01T00:00:00Z"
    item = {"deviceId": "dev-a", "timestamp": at, "variables": {"voltage": 230.5}}
    await client.user("POST", _BULK, [item])
    expected = {
        "deviceId": "dev-a",
        "timestamp": at,
        "kwConsumption": 0.0,
        "voltage": 230.5,
        "current": 0.0,
        "powerFactor": 0.0,
        "frequency": 0.0,
    }
    span = "from=2025-12-31T00:00:00Z&to=2026-01-02T00:00:00Z"
    queried = await client.user("GET", f"/api/v1/data/query?deviceId=dev-a&{span}")
    assert queried.json() == [expected]
    latest = await client.user("GET", "/api/v1/data/latest?deviceIds=dev-a,dev-a2")
    assert latest.json() == [expected]
    assert (await client.user("GET", "/api/v1/data/latest/dev-a")).json() == expected
    assert (await client.user("GET", "/api/v1/data/latest/dev-a2")).status == 404
    assert (await client.user("GET", "/api/v1/data/latest/dev-b")).status == 403
    assert (await client.user("GET", "/api/v1/data/latest/nobody")).status == 404
    assert (await client.user("GET", "/api/v1/data/query")).status == 500


async def test_stored_values_know_their_time(client: Client) -> None:
    """Nanoseconds are rounded to the microseconds that the database keeps."""
    at = "2026-01-01T00:00:00.0000015Z"
    await client.user("POST", _INGEST, _item(timestamp=at))
    (row,) = client.sandbox.store.values("dev-a")
    assert row.timestamp == datetime(2026, 1, 1, 0, 0, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [("1e9999999", 500), ("-1e9999999", 500), ("1e-9999999", 200)],
)
async def test_absurd_exponent_of_a_time_is_no_trouble(
    client: Client, seconds: str, status: int
) -> None:
    """It is too far away, or 1970."""
    body = f'{{"timestamp":{seconds},"variables":{{"t":1}}}}'
    reply = await client.user("POST", f"{_INGEST}/dev-a", body=body)
    assert reply.status == status


async def test_time_beyond_the_database_fails_the_reading(client: Client) -> None:
    """Java knows later instants than the database does."""
    body = {"timestamp": 10**13, "variables": {"t": 1}}
    reply = await client.user("POST", f"{_INGEST}/dev-a", body)
    assert reply.json()["errorType"] == "UnexpectedRollbackException"
    assert client.sandbox.store.values("dev-a") == []
