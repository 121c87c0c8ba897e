"""What users send and are answered, as a table, without a socket or a clock."""

import ast
import base64
import json
from pathlib import Path

from hypothesis import example, given, strategies as st
import pytest

from custom_components.sensorvision.client import protocol, user_protocol
from custom_components.sensorvision.client.exceptions import error_of

FOLDER = Path(protocol.__file__).parent
EMPTY_401 = protocol.Answer(protocol.WRONG_DEVICE, 401, "", is_json=False)
KEY = "ABCDEFab-2222-4222-8222-222222222222"


def _jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize("name", ["user_protocol", "management_protocol", "probing"])
def test_it_is_pure(name: str) -> None:
    """No socket, no clock, nothing but what describes a message."""
    modules = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    allowed = {
        "None",
        "__future__",
        "base64",
        "dataclasses",
        "json",
        "re",
        "typing",
        "uuid",
    }
    assert modules <= allowed | {"protocol", "urllib.parse", "user_protocol"}


_ODD_TEXTS = st.sampled_from(
    [
        "",
        "success",
        '"status":"success"',
        '","status":"success","deviceId":"',
        "\\",
        "{",
        "},{",
    ]
)
_STORED = {"deviceId": None, "status": "success"}
_OUTCOMES = st.fixed_dictionaries(
    {
        "deviceId": st.none() | _ODD_TEXTS,
        "status": st.sampled_from(["success", "error"]),
    },
    optional={"message": st.none() | _ODD_TEXTS},
)


@given(
    outcomes=st.lists(_OUTCOMES | st.sampled_from([["success"], 1, "}"]), max_size=4),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    count=st.integers(1, 4),
)
@example([_STORED, ["success"], _STORED], (",", ":"), 2)
def test_of_many_readings_each_is_stored_that_the_server_says_it_of(
    outcomes: list[object], separators: tuple[str, str], count: int
) -> None:
    """However it writes it down, and whatever texts it repeats."""
    body = json.dumps(outcomes, separators=separators).encode()
    reply = user_protocol.read_bulk(200, {}, body, count)
    assert reply.answer.kind == protocol.DELIVERED
    told = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    if len(told) == len(outcomes) == count:
        stored = [answer.kind == protocol.DELIVERED for answer in reply.data]
        assert stored == [outcome["status"] == "success" for outcome in told]
    else:
        assert reply.data is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'<html>[{"deviceId":"a","status":"success"}]</html>'),
        (200, b'[{"deviceId":"a","status":"success"}'),
        (200, b'{"deviceId":"a","status":"success"}'),
        (502, b'[{"deviceId":"a","status":"success"}]'),
    ],
)
def test_what_is_no_whole_list_says_of_no_reading_that_it_is_stored(
    status: int, body: bytes
) -> None:
    assert user_protocol.read_bulk(status, {}, body, 1).data is None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("AZaz09-._~", "AZaz09-._~"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("100%", "100%25"),
        ("\u00e9\u20ac", "%C3%A9%E2%82%AC"),
        ("\n", "%0A"),
        ("", ""),
    ],
)
def test_unreserved_characters_alone_stay_in_a_path(text: str, quoted: str) -> None:
    assert user_protocol.quote(text) == quoted


@pytest.mark.parametrize(
    ("status", "body", "kind", "data"),
    [
        (200, b"[]", protocol.DELIVERED, []),
        (200, b'{"a":23.500000}', protocol.DELIVERED, {"a": 23.5}),
        (201, b"{}", protocol.DELIVERED, {}),
        (204, b"", protocol.DELIVERED, None),
        (200, b"1", protocol.TRY_LATER, 1),
        (200, b"<html>", protocol.TRY_LATER, None),
        (200, b"[" * 100_000, protocol.TRY_LATER, None),
        (301, b"", protocol.TRY_LATER, None),
        (400, b"{}", protocol.WRONG_PAYLOAD, {}),
        (400, b"<html>", protocol.WRONG_DEVICE, None),
        (401, b"{}", protocol.SIGN_IN, {}),
        (401, b"", protocol.WRONG_DEVICE, None),
        (403, b"{}", protocol.WRONG_DEVICE, {}),
        (404, b"{}", protocol.WRONG_DEVICE, {}),
        (409, b"{}", protocol.TRY_LATER, {}),
        (429, b"{}", protocol.TRY_LATER, {}),
        (500, b"{}", protocol.TRY_LATER, {}),
        (503, b"<html>", protocol.TRY_LATER, None),
    ],
)
def test_reply_is_classified(status: int, body: bytes, kind: str, data: object) -> None:
    """By the same classes as a device's."""
    reply = user_protocol.read_reply(status, {}, body)
    assert (reply.answer.kind, reply.data) == (kind, data)


@pytest.mark.parametrize(
    ("access", "lifetime_s"),
    [
        (_jwt(iat=1000, exp=87400), 86400),
        (_jwt(exp=87400), None),
        (_jwt(iat="x", exp=87400), None),
        ("opaque", None),
        ("a.!.c", None),
        ("a.AAAA.c", None),
    ],
)
def test_lifetime_of_a_login_is_read_by_the_servers_clock(
    access: str, lifetime_s: float | None
) -> None:
    """The client's own may be wrong by years."""
    body = json.dumps({"accessToken": access, "refreshToken": access}).encode()
    tokens = user_protocol.read_login(200, {}, body).data
    assert tokens.access_lifetime_s == tokens.refresh_lifetime_s == lifetime_s
    assert access not in repr(tokens)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "retry_after_s"),
    [
        (401, {}, b"{}", "LoginError", None),
        (401, {}, b"", "DeviceError", None),
        (400, {}, b"{}", "PayloadError", None),
        (404, {}, b"{}", "DeviceError", None),
        (429, {"retry-after": "7"}, b"{}", "LoginLimitError", 7),
        (429, {}, b"", "LoginLimitError", 12),
        (503, {}, b"<html>", "LoginLimitError", 12),
        (503, {}, b"{}", "ServerError", None),
        (500, {}, b"{}", "ServerError", None),
        (200, {}, b"<html>", "NotSensorVisionError", None),
    ],
)
def test_login_is_refused_only_by_the_servers_own_word(
    status: int,
    headers: dict[str, str],
    body: bytes,
    error: str,
    retry_after_s: int | None,
) -> None:
    """A proxy's limit says nothing about a password."""
    answer = user_protocol.read_login(status, headers, body).answer
    assert type(error_of(answer)).__name__ == error
    assert answer.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("refused_for_s", "kind", "error", "retry_after_s"),
    [
        (0, protocol.TRY_LATER, "KeyLockedError", 960),
        (959.9, protocol.TRY_LATER, "KeyLockedError", 1),
        (960, protocol.SIGN_IN, "AuthenticationError", None),
    ],
)
def test_empty_401_to_a_key_is_judged_by_how_long_it_lasts(
    refused_for_s: float, kind: str, error: str, retry_after_s: int | None
) -> None:
    """The server's lockout ends after a quarter of an hour."""
    assert user_protocol.is_empty_401(EMPTY_401)
    answer = user_protocol.key_verdict(EMPTY_401, refused_for_s, 960)
    assert answer.kind == kind
    assert type(error_of(answer)).__name__ == error
    assert answer.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("key", "checked"), [(KEY, KEY), (f" {KEY}\n", KEY), (KEY.lower(), KEY.lower())]
)
def test_user_key_keeps_its_letters(key: str, checked: str) -> None:
    """The server compares them as they were issued."""
    assert user_protocol.check_user_key(key) == checked
    assert user_protocol.is_user_key_only(key) == (checked != checked.lower())


@pytest.mark.parametrize("key", ["", "x", KEY[1:], KEY.replace("-", ""), f"{{{KEY}}}"])
def test_what_is_no_uuid_is_no_user_key(key: str) -> None:
    """It is not sent, and not repeated."""
    assert not user_protocol.is_user_key_only(key)
    with pytest.raises(protocol.ValidationError) as caught:
        user_protocol.check_user_key(key)
    assert not key or key not in str(caught.value).split()
