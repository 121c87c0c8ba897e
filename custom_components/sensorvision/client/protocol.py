"""Say what to send to a SensorVision server and what its answers mean.

Pure: opens no socket and reads no clock. The very same file runs on CPython 3.8 and
later and on MicroPython, which has no `typing`, `dataclasses` or `enum`.
"""

import json

MAX_DEVICE_ID_CHARS = 64
MAX_VARIABLE_NAME_CHARS = 100
VALUE_LIMIT = 1e14

MAX_MESSAGE_CHARS = 300
MAX_RETRY_AFTER_S = 3600

# The server copies these five into a table of smaller numbers with three decimals,
# where one that does not fit makes the whole request fail.
RESERVED_VARIABLE_LIMITS = {
    "kw_consumption": 10**9,
    "voltage": 10**7,
    "current": 10**7,
    "power_factor": 100,
    "frequency": 1000,
}

DELIVERED = "delivered"
TRY_LATER = "try_later"
SIGN_IN = "sign_in"
WRONG_DEVICE = "wrong_device"
WRONG_PAYLOAD = "wrong_payload"

# What is used once has no name: on a board each name takes room.
_NUMBERS = (int, float)


class SensorVisionError(Exception):
    """The root of everything this client raises.

    Attributes:
        code: what happened, as a word that stays the same; unset on a board.
    """

    # An annotation alone takes no room on a board.
    code: "str"


class ValidationError(SensorVisionError):
    """Something was refused before it was sent.

    Attributes:
        field: what was refused, in the caller's words.
        value: its value, or `***` for a secret.
        remedy: what to do about it, a sentence.
    """

    def __init__(self, field: "str", value: "object", problem: "str", remedy: "str"):
        super().__init__("{} {} {}. {}".format(field, _shown(value), problem, remedy))
        self.field = field
        self.value = value
        self.remedy = remedy


class Request:
    """One HTTP request: method, path below the server's URL, headers and body."""

    def __init__(
        self,
        method: "str",
        path: "str",
        headers: "dict[str, str]",
        body: "bytes",
    ):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


class Answer:
    """What an HTTP answer means.

    Attributes:
        kind: the class of answer, on which alone a sender acts: `DELIVERED`,
            `TRY_LATER`, `SIGN_IN`, `WRONG_DEVICE` or `WRONG_PAYLOAD`.
        status: HTTP status.
        message: what the server said, or what can be said in its place.
        error_type: the server's name of its error, or "".
        retry_after_s: seconds that the server asks to wait, an hour at most, or None.
        suspect: whether a `TRY_LATER` may be the payload's fault after all, so that
            after a few tries it should be split to find the culprit.
        is_json: whether the body was a JSON object, as the server's own answers are
            and the pages of a proxy in front of it are not.
        correlation_id: how the server's log names the request; unset on a board, and of
            what did not come over HTTP.
    """

    correlation_id: "str | None"

    def __init__(
        self,
        kind: "str",
        status: "int",
        message: "str",
        error_type: "str" = "",
        retry_after_s: "int | None" = None,
        suspect: "bool" = False,
        is_json: "bool" = True,
    ):
        self.kind = kind
        self.status = status
        self.message = message
        self.error_type = error_type
        self.retry_after_s = retry_after_s
        self.suspect = suspect
        self.is_json = is_json


def check_device_id(device_id: "str") -> "str":
    """Return a device id that every endpoint of the server can address.

    Raises:
        ValidationError: it is empty, longer than 64 characters, `.` or `..`, or holds
            anything but letters, digits, `.`, `_` and `-`.
    """
    if (
        not isinstance(device_id, str)
        or not 0 < len(device_id) <= MAX_DEVICE_ID_CHARS
        or device_id in (".", "..")
        or device_id.strip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
        )
    ):
        raise ValidationError(
            "device id",
            device_id,
            "cannot be used",
            "Take 1 to 64 letters, digits, dots, underscores or hyphens",
        )
    return device_id


def check_token(token: "str") -> "str":
    """Return a device token without the blanks around it.

    Raises:
        ValidationError: it is not a UUID in lower case, as the server issues them.
    """
    token = token.strip() if isinstance(token, str) else ""
    groups = [len(group) for group in token.split("-")]
    if groups != [8, 4, 4, 4, 12] or token.strip("0123456789abcdef-"):
        raise ValidationError(
            "device token",
            "***",
            "is not a UUID in lower case",
            "Copy it again from the device's page in SensorVision",
        )
    return token


def check_variables(variables: "dict[str, int | float]") -> None:
    """Make sure that the server would store every variable.

    Args:
        variables: numbers by variable name.

    Raises:
        ValidationError: there is none, a name is empty or longer than 100 characters,
            or a value is no finite number below its limit: one such member would make
            the server refuse all of them.
    """
    if not variables:
        raise ValidationError(
            "variables", variables, "hold nothing", "Send at least one number"
        )
    # By names: on a board each pair of `items()` would be garbage.
    for name in variables:
        value = variables[name]
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > MAX_VARIABLE_NAME_CHARS
        ):
            raise ValidationError(
                "variable name", name, "cannot be used", "Take 1 to 100 characters"
            )
        if isinstance(value, bool) or not isinstance(value, _NUMBERS):
            raise ValidationError(
                name, value, "is not a number", "Send an int or a float, such as 1 or 0"
            )
        # Written so that NaN, which compares false with everything, is refused too.
        if not abs(value) < VALUE_LIMIT:
            raise ValidationError(
                name, value, "is out of range", "Send a finite number below 1e14"
            )
        limit = RESERVED_VARIABLE_LIMITS.get(name)
        # From half of that table's last decimal on it is rounded up to its limit.
        if limit and abs(value) >= limit - 0.0005:
            raise ValidationError(
                name,
                value,
                "is out of range for this reserved name",
                "Send less than {:g}, or choose another name".format(limit),
            )


def ingest_request(
    device_id: "str", token: "str", variables: "dict[str, int | float]"
) -> "Request":
    """Build the request that stores numbers as true now, all of them or none.

    Raises:
        ValidationError: see `check_device_id` and `check_variables`.
    """
    check_variables(variables)
    return Request(
        "POST",
        # It needs no percent-encoding: each of its characters is unreserved (RFC 3986).
        "/api/v1/ingest/" + check_device_id(device_id),
        {
            "X-API-Key": token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        json.dumps(variables, separators=(",", ":")).encode(),
    )


def read_answer(status: "int", headers: "dict[str, str]", body: "bytes") -> "Answer":
    """Classify what came back from the ingest endpoint.

    Args:
        status: HTTP status.
        headers: header values by name in lower case.
        body: the whole body, whatever its type: it may be JSON, HTML or empty.
    """
    try:
        data = json.loads(body.decode())
    # The last two are raised when it is nested too deep.
    except (ValueError, RuntimeError, MemoryError):
        data = None
    is_json = isinstance(data, dict)
    if not is_json:
        data = {}
    error_type = data.get("errorType")
    if not isinstance(error_type, str):
        error_type = ""
    kind = _kind(status, is_json, data.get("success"), error_type)
    # A rolled-back transaction hides its cause: a number that can't be stored looks
    # like a race between two requests.
    suspect = (
        kind == TRY_LATER
        and is_json
        and (
            status == 409
            or (
                status == 500
                and not _has_any(
                    error_type, "CannotCreateTransaction", "Data", "Jpa", "Lock"
                )
            )
        )
    )
    return Answer(
        kind,
        status,
        _message(status, kind, data),
        error_type,
        None if kind == DELIVERED else _retry_after_s(headers, data),
        suspect,
        is_json,
    )


def _kind(
    status: "int", is_json: "bool", success: "object", error_type: "str"
) -> "str":
    if status == 200 and success is True:
        return DELIVERED
    if (
        (status == 400 and is_json)
        or status == 413
        or (
            status == 500
            and error_type.startswith("Http")
            and _has_any(error_type, "NotReadable", "NotSupported", "NotAcceptable")
        )
    ):
        return WRONG_PAYLOAD
    if status == 401 and is_json:
        return SIGN_IN
    if status == 501 or (400 <= status < 500 and status not in (408, 409, 425, 429)):
        return WRONG_DEVICE
    return TRY_LATER


def _has_any(text: "str", *words: "str") -> "bool":
    return any(word in text for word in words)


def _message(status: "int", kind: "str", data: "dict[str, object]") -> "str":
    if 200 <= status < 300 and kind != DELIVERED:
        return "No answer of SensorVision's"
    if 300 <= status < 400:
        return "A redirect to another address"
    message = data.get("message") or data.get("detail") or data.get("title")
    if not isinstance(message, str):
        return "No reason given"
    return message if len(message) <= MAX_MESSAGE_CHARS else message[:MAX_MESSAGE_CHARS]


def _retry_after_s(
    headers: "dict[str, str]", data: "dict[str, object]"
) -> "int | None":
    for value in (
        headers.get("retry-after"),
        headers.get("x-rate-limit-retry-after-seconds"),
        data.get("retryAfter"),
    ):
        # `Retry-After` may also be a date, which a board without a clock can't read.
        text = str(value).strip()
        if text and not text.strip("0123456789"):
            return min(int(text[:10]), MAX_RETRY_AFTER_S)
    return None


def _shown(value: "object") -> "str":
    try:
        text = repr(value)
    except ValueError:
        return "of thousands of digits"
    return text if len(text) <= 100 else text[:100] + "..."
