"""Simple ingest beyond the vectors: paths, headers, ranges, and what a reading changes."""

from decimal import Decimal
import json
import uuid

import pytest

from sandbox import Sandbox

from .conftest import ALICE_KEY, DEV_A_TOKEN, JSON_TYPE, Client
from .wire import send

_PATH = "/api/v1/ingest"


@pytest.mark.parametrize(
    "path",
    [
        "a%2Fb",
        "a%2fb",
        "a%5Cb",
        "a%00b",
        "a|b",
        "a[b",
        'a"b',
        "a^b",
        "a{b}",
        "a%zzb",
        "a%4",
    ],
)
async def test_container_refuses_path_with_a_page(client: Client, path: str) -> None:
    """Characters that may not stand in a URL are answered before the application."""
    reply = await client.ingest(path, '{"t":1}')
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"
    assert "X-Correlation-ID" not in reply.headers


@pytest.mark.parametrize("target", [b"/api/v1/ingest/a b", b"/api/v1/ingest/\xc3\xa4"])
async def test_container_refuses_raw_bytes_in_the_request_line(
    sandbox: Sandbox, target: bytes
) -> None:
    """A raw blank and raw bytes beyond ASCII are refused too."""
    from .wire import exchange, parse

    head = b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    raw = await exchange(sandbox.url, head + b"Content-Length: 0\r\n\r\n")
    reply = parse(raw, "POST")
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"


@pytest.mark.parametrize(
    "path",
    ["a%25b", "a;b", "a%3Bb", "a%2Eb", "/a", "a//b", "a%0Ab", "a%0d", "a%E2%80%A8"],
)
async def test_firewall_answers_with_an_empty_401(client: Client, path: str) -> None:
    """What the firewall refuses is masked as a missing login."""
    reply = await client.ingest(path, '{"t":1}')
    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "device_id"),
    [
        ("plus+and:at@comma,(x)", "plus+and:at@comma,(x)"),
        ("a%20b", "a b"),
        ("%F0%9F%98%80" * 64, "\U0001f600" * 64),
        ("up/../DEV", "DEV"),
        ("./DEV", "DEV"),
        ("Case", "Case"),
    ],
)
async def test_device_id_is_the_decoded_segment(
    client: Client, path: str, device_id: str
) -> None:
    """64 characters may be anything that a path lets through."""
    assert (await client.ingest(path, '{"t":1}')).status == 200
    (row,) = client.sandbox.store.values(device_id)
    assert row.value == 1


async def test_container_refuses_to_leave_the_root(sandbox: Sandbox) -> None:
    """There is nothing above the first segment."""
    assert (await send(sandbox.url, "GET", "/../api")).status == 400


@pytest.mark.parametrize("path", ["a/b", "", ".", "a/..", "dev-a/x/"])
async def test_path_of_another_shape_is_not_found(client: Client, path: str) -> None:
    """Two segments, or none, are nobody's."""
    reply = await client.ingest(path, '{"t":1}')
    assert reply.status == 404
    assert reply.json()["title"] == "Resource Not Found"
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "application/json;charset=UTF-8", "Application/JSON"),
        *("application/vnd.api+json", 'application/json; charset="utf-16"'),
        "application/json;charset=US-ASCII",
    ],
)
async def test_json_media_types_are_read(client: Client, content_type: str) -> None:
    """Any JSON in a Unicode charset will do."""
    reply = await client.ingest("dev-a", '{"t":1}', Content_Type=content_type)
    assert reply.status == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json;charset=latin-1", "json", "", "text/json"],
)
async def test_other_media_types_are_a_server_error(
    client: Client, content_type: str
) -> None:
    """An unsupported type is a 500, as any mistake below the JSON schema."""
    reply = await client.ingest("dev-a", '{"t":1}', Content_Type=content_type)
    assert reply.status == 500
    assert reply.json()["errorType"] == "HttpMediaTypeNotSupportedException"


async def test_gzip_is_not_unpacked(client: Client) -> None:
    """A compressed body is not JSON."""
    import gzip

    body = gzip.compress(b'{"t":1}')
    reply = await client.ingest("dev-a", body, Content_Encoding="gzip")
    assert reply.status == 500
    assert reply.json()["errorType"] == "HttpMessageNotReadableException"


async def test_refused_accept_stores_all_the_same(client: Client) -> None:
    """Only the answer is refused to a client that takes no JSON."""
    reply = await client.ingest("dev-a", '{"t":1}', Accept="text/csv")
    assert reply.status == 500
    assert reply.json()["errorType"] == "HttpMediaTypeNotAcceptableException"
    assert len(client.sandbox.store.values("dev-a")) == 1


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html, application/json;q=0.5", "application/*"]
)
async def test_accept_that_admits_json_is_served(client: Client, accept: str) -> None:
    """Ranges and lists are understood."""
    assert (await client.ingest("dev-a", '{"t":1}', Accept=accept)).status == 200


async def test_foreign_origin_is_refused(client: Client) -> None:
    """A page of another site may not post."""
    reply = await client.ingest("dev-a", '{"t":1}', Origin="https://elsewhere.invalid")
    assert (reply.status, reply.body) == (403, b"Invalid CORS request")


@pytest.mark.parametrize("key", [DEV_A_TOKEN.upper().replace("1", "A"), "1" * 36, "x"])
async def test_key_that_is_no_lower_case_uuid_is_malformed(
    client: Client, key: str
) -> None:
    """Upper case is refused as any other spelling."""
    reply = await client.ingest("dev-a", '{"t":1}', X_API_Key=key)
    assert reply.status == 401
    assert reply.json()["message"] == "Invalid API key format. Expected UUID."
    assert "WWW-Authenticate" not in reply.headers


async def test_device_of_another_organisation_is_forbidden(client: Client) -> None:
    """External ids are unique over the whole server."""
    reply = await client.ingest("dev-b", '{"t":true}')
    assert reply.status == 403
    assert reply.json() == {
        "success": False,
        "message": "Cannot send data to device in different organization",
    }


async def test_valid_jwt_beside_the_token_is_ignored(client: Client) -> None:
    """Only a bearer token that is no JWT spoils a request."""
    bearer = f"Bearer {await client.login()}"
    assert (await client.ingest("dev-a", '{"t":1}', Authorization=bearer)).status == 200


@pytest.mark.parametrize(
    "bearer", ["Bearer x.y.z", "bearer", "Bearer a b", "Bearer =="]
)
async def test_bad_bearer_spoils_even_a_public_path(
    client: Client, bearer: str
) -> None:
    """The check comes before any handler."""
    reply = await send(
        client.sandbox.url,
        "GET",
        "/api/v1/connectivity/http",
        {"Authorization": bearer},
    )
    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("name", "largest", "too_large"),
    [
        ("power_factor", "99.9994", "99.9995"),
        ("frequency", "999.9994", "-999.9995"),
        ("voltage", "9999999.9994", "9999999.9995"),
        ("current", "9999999.9994", "9999999.9995"),
        ("kw_consumption", "999999999.9994", "999999999.9995"),
        ("other", "99999999999999.999999", "99999999999999.9999995"),
    ],
)
async def test_values_must_fit_their_columns(
    client: Client, name: str, largest: str, too_large: str
) -> None:
    """The reserved five have smaller ranges, judged after rounding."""
    refused = await client.ingest("dev-a", json.dumps({"t": 1, name: too_large}))
    assert refused.json()["errorType"] == "UnexpectedRollbackException"
    assert client.sandbox.store.values("dev-a") == []
    accepted = await client.ingest("dev-a", json.dumps({name: largest}))
    assert accepted.status == 200


async def test_absent_reserved_names_become_zero(client: Client) -> None:
    """The old table has no nulls."""
    await client.ingest("dev-a", '{"voltage":230.12345,"t":1}')
    (record,) = client.sandbox.store.rows("SELECT * FROM telemetry_records")
    assert record["voltage"] == "230.123"
    assert record["frequency"] == "0.000"


async def test_last_value_needs_a_strictly_later_time(client: Client) -> None:
    """An equal time is stored, but not shown; an earlier one sets last seen back."""
    for value, second in ((1, 10), (2, 10), (3, 5)):
        at = f"2026-01-01T00:00:{second:02}Z"
        item = {"deviceId": "dev-a", "timestamp": at, "variables": {"t": value}}
        assert (await client.user("POST", "/api/v1/data/bulk", [item])).status == 200
    store = client.sandbox.store
    assert [row.value for row in store.values("dev-a")] == [1, 2, 3]
    (variable,) = store.rows("SELECT * FROM variables")
    assert Decimal(variable["last_value"]) == 1
    device = store.device("dev-a")
    assert device is not None
    assert device.last_seen_at == 1_767_225_605_000_000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("outdoorTemp_c", "Outdoor Temp C"),
        ("CO2_ppm", "Co2 Ppm"),
        ("", ""),
        ("_x", "X"),
    ],
)
async def test_new_variable_gets_a_name_for_people(
    client: Client, name: str, shown: str
) -> None:
    """Underscores and humps become blanks."""
    await client.ingest("dev-a", json.dumps({name: 1}))
    (variable,) = client.sandbox.store.rows("SELECT * FROM variables")
    assert (variable["display_name"], variable["decimal_places"]) == (shown, 2)


async def test_silent_device_goes_offline_and_connects_again(client: Client) -> None:
    """After an hour without data the server's job marks a device."""
    sandbox = client.sandbox
    await client.ingest("dev-a", '{"t":1}')
    sandbox.clock.advance(3600 + 200)
    listed = (await client.user("GET", "/api/v1/devices")).json()
    assert {device["status"] for device in listed} == {"OFFLINE"}
    await client.ingest("dev-a", '{"t":1}')
    assert sandbox.store.events("dev-a") == ["DEVICE_CONNECTED"]


async def test_correlation_id_is_echoed_or_made(client: Client) -> None:
    """Every answer of the application carries one."""
    given = await client.ingest("dev-a", "{}", X_Correlation_ID="mine")
    assert given.headers["X-Correlation-ID"] == "mine"
    made = await client.ingest("dev-a", "{}")
    assert uuid.UUID(made.headers["X-Correlation-ID"])
    assert made.headers["X-Content-Type-Options"] == "nosniff"


async def test_answer_is_chunked_to_http_1_1_and_closed_to_1_0(client: Client) -> None:
    """A raw client must handle both."""
    headers = {"X-API-Key": DEV_A_TOKEN, **JSON_TYPE}
    replies = [
        await send(
            client.sandbox.url, "POST", f"{_PATH}/dev-a", headers, "{}", version=v
        )
        for v in ("1.1", "1.0")
    ]
    assert replies[0].headers["Transfer-Encoding"] == "chunked"
    assert not {"Transfer-Encoding", "Content-Length"} & set(replies[1].headers)
    assert replies[0].json() == replies[1].json()


async def test_connection_is_closed_after_a_hundred_requests(client: Client) -> None:
    """The container gives each connection a hundred requests."""
    from .wire import exchange

    request = (
        f"POST {_PATH}/dev-a HTTP/1.1\r\nHost: x\r\nX-API-Key: {DEV_A_TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        '{"t":1}'
    )
    raw = await exchange(client.sandbox.url, request.encode() * 101)
    assert raw.count(b"HTTP/1.1 200") == 100
    assert raw.count(b"Connection: close") == 1


async def test_request_head_is_limited_to_8_kilobytes(client: Client) -> None:
    """Headers beyond that are refused with the container's page."""
    extra = {f"X-{number}": "x" * 800 for number in range(11)}
    reply = await client.ingest("dev-a", '{"t":1}', **extra)
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_wrong_method_is_a_server_error(client: Client, method: str) -> None:
    """There is no 405 here, and no Allow header."""
    reply = await send(client.sandbox.url, method, f"{_PATH}/dev-a")
    assert reply.status == 500
    assert "Allow" not in reply.headers
    if method != "HEAD":
        error_type = reply.json()["errorType"]
        assert error_type == "HttpRequestMethodNotSupportedException"


async def test_requests_are_kept_as_they_arrived(client: Client) -> None:
    """A test can look at the wire."""
    await client.ingest("a%20b", '{ "t" : 1 }', X_Extra="yes")
    arrived = client.sandbox.requests[-1]
    assert (arrived.method, arrived.path) == ("POST", "/api/v1/ingest/a%20b")
    assert arrived.headers["x-extra"] == "yes"
    assert arrived.body == b'{ "t" : 1 }'


async def test_expect_continue_is_answered(sandbox: Sandbox) -> None:
    """A client that asks before it sends its body is told to go on."""
    from .wire import exchange

    head = (
        f"POST {_PATH}/dev-a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"X-API-Key: {ALICE_KEY}\r\nContent-Type: application/json\r\n"
        "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    )
    raw = await exchange(sandbox.url, head.encode())
    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401")
