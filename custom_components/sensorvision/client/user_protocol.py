"""Say what a user may send to a SensorVision server, and what its answers mean.

Pure as `protocol` is: opens no socket and reads no clock. A board has a device token
alone and needs none of this, so it runs on CPython only.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
import json
import re
from typing import Any, Callable, Mapping
from urllib.parse import quote as _quote
import uuid

from . import protocol
from .protocol import Answer, Request, ValidationError

KEY_LOCKED = "The server ignores user keys from this address for a while"
KEY_REFUSED = "No user has this key"
LOGINS_USED_UP = "The server takes no more logins for the moment"
LOGIN_REFUSED = "The server refused this user name and password"

LOGIN_SPACING_S = 12
_BULK_PATH = "/api/v1/data/bulk"
_JSON_BOTH_WAYS = {"Accept": "application/json", "Content-Type": "application/json"}
_INCOMPLETE_ITEM = "deviceId and variables are required"
_NO_SUCH_DEVICE = "Device not found"
_DEVICE_EXISTS = "already exists"

# What the server makes where it is given none.
_CORRELATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Reply:
    """An answer, and the JSON that came with it, None without any."""

    answer: Answer
    data: Any = None


# Classifies what came back: status, headers by their names in lower case, and body.
Reader = Callable[[int, Mapping[str, str], bytes], Reply]


@dataclass(frozen=True)
class Tokens:
    """What a login gives.

    Attributes:
        access: opens the API.
        refresh: is exchanged for new ones.
        access_lifetime_s: how long the first is valid, or None if it does not say.
        refresh_lifetime_s: how long the second is valid, or None if it does not say.
    """

    access: str
    refresh: str
    access_lifetime_s: float | None
    refresh_lifetime_s: float | None

    def __repr__(self) -> str:
        """Show nothing of either."""
        return "Tokens(***)"


def check_user_key(key: str) -> str:
    """Return a user key without the blanks around it, its letters as they were issued.

    Raises:
        ValidationError: it is not a UUID.
    """
    key = key.strip() if isinstance(key, str) else ""
    try:
        is_uuid = str(uuid.UUID(key)) == key.lower()
    except ValueError:
        is_uuid = False
    if not is_uuid:
        # Raised outside of the handler, whose exception repeats the text.
        raise ValidationError(
            "user key", "***", "is not a UUID", "Copy it again from your profile"
        )
    return key


def is_user_key_only(key: str) -> bool:
    """Tell whether a key is a UUID that no device can have: theirs are in lower case."""
    try:
        return check_user_key(key) != key.strip().lower()
    except ValidationError:
        return False


def check_login(username: str | None, password: str | None) -> tuple[str, str]:
    """Return what is needed to log in, as it was given.

    Raises:
        ValidationError: one of them is missing.
    """
    if not username or not username.strip():
        raise ValidationError(
            "user name", username, "is missing", "Give the name that you log in with"
        )
    if not password:
        raise ValidationError(
            "password", "***", "is missing", "Give the password that you log in with"
        )
    return username, password


def login_request(username: str, password: str) -> Request:
    """Build the request that exchanges a password for tokens."""
    return request(
        "POST", "/api/v1/auth/login", {"username": username, "password": password}
    )


def refresh_request(refresh_token: str) -> Request:
    """Build the request that exchanges a refresh token for new tokens."""
    return request("POST", "/api/v1/auth/refresh", {"refreshToken": refresh_token})


def ingest_request(device_id: str, variables: Mapping[str, int | float]) -> Request:
    """Build the request that stores numbers of an existing device as true now.

    Unlike its siblings this endpoint looks whose device it is.

    Raises:
        ValidationError: see `protocol.check_device_id` and `protocol.check_variables`.
    """
    protocol.check_variables(dict(variables))
    path = f"/api/v1/data/ingest/{device_segment(device_id)}"
    return request("POST", path, {"variables": dict(variables)})


def devices_request() -> Request:
    """Build the request that lists the user's devices."""
    return request("GET", "/api/v1/devices")


def device_request(device_id: str) -> Request:
    """Build the request that shows one device."""
    return request("GET", f"/api/v1/devices/{device_segment(device_id)}")


def register_request(device_id: str, details: Mapping[str, object]) -> Request:
    """Build the request that makes a device of the user's organisation."""
    protocol.check_device_id(device_id)
    return request("POST", "/api/v1/devices", {"externalId": device_id, **details})


def bulk_request(items: list[dict[str, object]]) -> Request:
    """Build the request that stores many readings, each by itself."""
    return request("POST", _BULK_PATH, items)


def bulk_request_of(body: bytes) -> Request:
    """Build the same of a body that was put together elsewhere."""
    return Request("POST", _BULK_PATH, dict(_JSON_BOTH_WAYS), body)


def bulk_item(
    device_id: str, variables: Mapping[str, int | float], timestamp: str | None
) -> dict[str, object]:
    """Return one reading of many.

    A single one that the server can't read would make it refuse all of them.

    Raises:
        ValidationError: see `protocol.check_device_id` and `protocol.check_variables`.
    """
    protocol.check_variables(dict(variables))
    item: dict[str, object] = {
        "deviceId": protocol.check_device_id(device_id),
        "variables": dict(variables),
    }
    if timestamp is not None:
        item["timestamp"] = timestamp
    return item


def metrics_request() -> Request:
    """Build the public request for the metrics, where the server says what it is."""
    return Request("GET", "/actuator/prometheus", {"Accept": "text/plain"}, b"")


def request(method: str, path: str, body: object = None) -> Request:
    """Build a request with or without a JSON body."""
    if body is None:
        return Request(method, path, {"Accept": "application/json"}, b"")
    headers = dict(_JSON_BOTH_WAYS)
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return Request(method, path, headers, text.encode())


def with_headers(unsigned: Request, headers: Mapping[str, str]) -> Request:
    """Return a request with more headers."""
    merged = {**unsigned.headers, **headers}
    return Request(unsigned.method, unsigned.path, merged, unsigned.body)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Classify what came back from the ingest endpoint, and note the request's name.

    Every answer of the server's application carries it (contract 1.10).
    """
    answer = protocol.read_answer(status, dict(headers), body)
    answer.correlation_id = _named(headers)
    return answer


def read_reply(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Classify what came back from an endpoint for users.

    An empty 401 is for its caller to judge, by `key_verdict` or by a new login.
    """
    try:
        data = json.loads(body)
    # Deep nesting raises the second one.
    except (ValueError, RecursionError):
        data = None
    is_yes = status in (200, 201) and isinstance(data, (dict, list))
    if is_yes or status == 204:
        return Reply(_delivered(status, headers), data)
    return Reply(read_answer(status, headers, body), data)


def read_login(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Classify what came back from a login; its data are then the `Tokens`.

    Nothing that the server says is passed on, for it may repeat the password.
    """
    reply = read_reply(status, headers, body)
    tokens = _tokens(reply.data) if reply.answer.kind == protocol.DELIVERED else None
    if tokens is not None:
        return Reply(reply.answer, tokens)
    return Reply(_traced(_login_refusal(reply.answer), reply.answer))


def _login_refusal(answer: Answer) -> Answer:
    """Return what an answer to a login means that gave no tokens."""
    status, is_json = answer.status, answer.is_json
    if status == 401 and is_json:
        return Answer(protocol.SIGN_IN, status, LOGIN_REFUSED)
    # The proxy of the hosted server takes five logins a minute and says 503 to others.
    if status == 429 or (status == 503 and not is_json):
        wait_s = answer.retry_after_s or LOGIN_SPACING_S
        return Answer(protocol.TRY_LATER, status, LOGINS_USED_UP, retry_after_s=wait_s)
    kind = protocol.TRY_LATER if status < 300 else answer.kind
    message = "The server did not answer as one does to a login"
    return Answer(kind, status, message, "", answer.retry_after_s, is_json=is_json)


def objects(data: object) -> list[dict[str, Any]] | None:
    """Return a list of JSON objects as such, or None if it is anything else."""
    if isinstance(data, list) and all(isinstance(item, dict) for item in data):
        return data
    return None


def read_bulk(
    status: int, headers: Mapping[str, str], body: bytes, count: int
) -> Reply:
    """Classify what came back to many readings; its data are then an `Answer` to each.

    They are None if there is but one answer to all of them.

    Args:
        status: HTTP status.
        headers: values by name in lower case.
        body: the whole body.
        count: how many readings were sent.
    """
    if status == 200 and _says_that_all_are_stored(body, count):
        # What is said of them is the same.
        stored = _delivered(status, headers)
        return Reply(stored, [stored] * count)
    reply = read_reply(status, headers, body)
    outcomes = objects(reply.data)
    if (
        reply.answer.kind != protocol.DELIVERED
        or outcomes is None
        or len(outcomes) != count
    ):
        return Reply(reply.answer)
    return Reply(
        reply.answer,
        [
            reply.answer
            if outcome.get("status") == "success"
            else _traced(_bulk_failure(outcome, status), reply.answer)
            for outcome in outcomes
        ],
    )


def _says_that_all_are_stored(body: bytes, count: int) -> bool:
    """Tell it without reading all of it, which would take as long as all the rest.

    Within a text of JSON a quote is always escaped (RFC 8259, section 7), so that the
    members that are counted can't be of a text. Nor can there be anything between the
    objects, if each but the first begins right behind another.
    """
    is_list_of_objects = (
        body.startswith(b"[{")
        and body.endswith(b"}]")
        and body.count(b"{") == count
        and body.count(b"},{") == count - 1
    )
    return (
        is_list_of_objects
        and body.count(b'"deviceId":') == count
        and body.count(b'"status":"success"') == count
    )


def no_answer(status: int) -> Answer:
    """Return what a yes means that does not hold what the server would have said."""
    return Answer(
        protocol.TRY_LATER, status, "No answer of SensorVision's", is_json=False
    )


def refused_device(answer: Answer) -> Answer:
    """Return the refusal of a device as one that no change of the data mends."""
    refusal = Answer(
        protocol.WRONG_DEVICE,
        answer.status,
        answer.message,
        answer.error_type,
        is_json=answer.is_json,
    )
    return _traced(refusal, answer)


def is_empty_401(answer: Answer) -> bool:
    """Tell whether the server said no more than that it does not know who is asking."""
    return answer.status == 401 and not answer.is_json


def is_unknown_device(answer: Answer) -> bool:
    """Tell whether the server has no such device, rather than no such path."""
    return answer.status == 404 and answer.message.startswith(_NO_SUCH_DEVICE)


def is_taken_device(answer: Answer) -> bool:
    """Tell whether a device can't be registered because its id is in use."""
    return answer.status == 400 and _DEVICE_EXISTS in answer.message


def key_verdict(answer: Answer, refused_for_s: float, locked_for_s: float) -> Answer:
    """Judge an empty 401 to a user key.

    After ten failed look-ups the server ignores keys from an address until a quarter of
    an hour has passed; every post with a device token is such a look-up.

    Args:
        answer: the empty 401.
        refused_for_s: how long ago the first of them came, without a success since.
        locked_for_s: how long it may be a lockout.
    """
    if refused_for_s >= locked_for_s:
        refusal = Answer(protocol.SIGN_IN, 401, KEY_REFUSED, is_json=False)
        return _traced(refusal, answer)
    left_s = max(1, round(locked_for_s - refused_for_s))
    locked = Answer(
        protocol.TRY_LATER, 401, KEY_LOCKED, retry_after_s=left_s, is_json=False
    )
    return _traced(locked, answer)


def device_segment(device_id: str) -> str:
    """Return a device id as a segment of a path.

    Raises:
        ValidationError: see `protocol.check_device_id`.
    """
    # It needs no percent-encoding: each of its characters is unreserved.
    return protocol.check_device_id(device_id)


def quote(text: str) -> str:
    """Percent-encode a path segment as UTF-8 (RFC 3986, section 2.3).

    Unreserved characters stay as they are: the server refuses them encoded.
    """
    return _quote(text, safe="")


def correlation_id_of(answer: Answer) -> str | None:
    """Return how the server's log names the request, or None if it did not say."""
    named: str | None = getattr(answer, "correlation_id", None)
    return named


def _delivered(status: int, headers: Mapping[str, str]) -> Answer:
    answer = Answer(protocol.DELIVERED, status, "")
    answer.correlation_id = _named(headers)
    return answer


def _named(headers: Mapping[str, str]) -> str | None:
    """Return how the server names a request, in its answer's headers."""
    named = headers.get("x-correlation-id", "")
    return named if _CORRELATION_ID.fullmatch(named) else None


def _traced(answer: Answer, source: Answer) -> Answer:
    """Return an answer that says which request the one is of that it was made from."""
    answer.correlation_id = correlation_id_of(source)
    return answer


def _bulk_failure(outcome: Mapping[str, Any], status: int) -> Answer:
    """Classify what the server says of one reading of many that it has not stored."""
    message = str(outcome.get("message"))[: protocol.MAX_MESSAGE_CHARS]
    if message == _INCOMPLETE_ITEM:
        return Answer(protocol.WRONG_PAYLOAD, status, message)
    # The server says the same of a number that it can't store and of a lost race.
    return Answer(protocol.TRY_LATER, status, message, suspect=True)


def _tokens(data: object) -> Tokens | None:
    if not isinstance(data, dict):
        return None
    access, refresh = data.get("accessToken"), data.get("refreshToken")
    if not isinstance(access, str) or not isinstance(refresh, str):
        return None
    # Anything else could not stand in a header.
    if not access.isascii() or not access.isprintable():
        return None
    return Tokens(access, refresh, _lifetime_s(access), _lifetime_s(refresh))


def _lifetime_s(token: str) -> float | None:
    """Return how long a new JWT is valid, by the clock of the server alone."""
    try:
        segment = token.split(".")[1]
        claims = json.loads(
            base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        )
        return float(claims["exp"] - claims["iat"])
    except (ValueError, LookupError, TypeError):
        return None
