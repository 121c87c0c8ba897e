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
    "kw_consumption": 1e9,
    "voltage": 1e7,
    "current": 1e7,
    "power_factor": 1e2,
    "frequency": 1e3,
}

DELIVERED = "delivered"
TRY_LATER = "try_later"
SIGN_IN = "sign_in"
WRONG_DEVICE = "wrong_device"
WRONG_PAYLOAD = "wrong_payload"

# Half of that table's last decimal: from there on a number is rounded up to its limit.
_RESERVED_ROUNDING = 0.0005

NOTHING_TO_STORE = "At least one numeric variable is required"

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_DEVICE_ID_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
_HEX_DIGITS = "0123456789abcdef"
_DIGITS = "0123456789"
_MAX_SHOWN_CHARS = 100

_PAYLOAD_ERROR_TYPES = (
    "HttpMessageNotReadableException",
    "HttpMediaTypeNotSupportedException",
    "HttpRequestMethodNotSupportedException",
    "HttpMediaTypeNotAcceptableException",
)
# Parts of the names of errors that say that the database, not the data, is the trouble.
_OUTAGE_WORDS = ("CannotCreateTransaction", "Data", "Jpa", "Lock")


class SensorVisionError(Exception):
    """The root of everything this client raises."""


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
    """

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
        or any(char not in _DEVICE_ID_CHARS for char in device_id)
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
    groups = token.split("-")
    if [len(group) for group in groups] != [8, 4, 4, 4, 12] or any(
        char not in _HEX_DIGITS for group in groups for char in group
    ):
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
    for name, value in variables.items():
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > MAX_VARIABLE_NAME_CHARS
        ):
            raise ValidationError(
                "variable name", name, "cannot be used", "Take 1 to 100 characters"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValidationError(
                name, value, "is not a number", "Send an int or a float, such as 1 or 0"
            )
        # Written so that NaN, which compares false with everything, is refused too.
        if not abs(value) < VALUE_LIMIT:
            raise ValidationError(
                name, value, "is out of range", "Send a finite number below 1e14"
            )
        limit = RESERVED_VARIABLE_LIMITS.get(name)
        if limit is not None and abs(value) >= limit - _RESERVED_ROUNDING:
            raise ValidationError(
                name,
                value,
                "is out of range for this reserved name",
                "Send less than {:g}, or choose another name".format(limit),
            )


def quote(text: "str") -> "str":
    """Percent-encode a path segment as UTF-8 (RFC 3986, section 2.3).

    Unreserved characters stay as they are: the server refuses them encoded.
    """
    return "".join(
        chr(byte) if byte in _UNRESERVED else "%{:02X}".format(byte)
        for byte in text.encode()
    )


def ingest_request(
    device_id: "str", token: "str", variables: "dict[str, int | float]"
) -> "Request":
    """Build the request that stores numbers as true now, all of them or none.

    Raises:
        ValidationError: see `check_device_id` and `check_variables`.
    """
    check_variables(variables)
    return _ingest(device_id, token, variables)


def probe_request(device_id: "str", token: "str") -> "Request":
    """Build the request that tries URL, token and device id and stores nothing.

    `is_probe_passed` reads its answer. Its only effect is the token's last-used time.

    Raises:
        ValidationError: see `check_device_id`.
    """
    return _ingest(device_id, token, {})


def connectivity_request() -> "Request":
    """Build the public request that tells whether this is a SensorVision server."""
    return Request(
        "GET", "/api/v1/connectivity/http", {"Accept": "application/json"}, b""
    )


def is_probe_passed(answer: "Answer") -> "bool":
    """Tell whether a probe found URL, token and device id good."""
    return answer.status == 400 and answer.message == NOTHING_TO_STORE


def read_answer(status: "int", headers: "dict[str, str]", body: "bytes") -> "Answer":
    """Classify what came back from the ingest endpoint.

    Args:
        status: HTTP status.
        headers: header values by name in lower case.
        body: the whole body, whatever its type: it may be JSON, HTML or empty.
    """
    data = _json_object(body)
    is_json = data is not None
    data = data or {}
    error_type = data.get("errorType")
    if not isinstance(error_type, str):
        error_type = ""
    kind, suspect = _kind(status, is_json, data.get("success"), error_type)
    return Answer(
        kind,
        status,
        _message(status, kind, data),
        error_type,
        _retry_after_s(headers, data),
        suspect,
        is_json,
    )


def _ingest(
    device_id: "str", token: "str", variables: "dict[str, int | float]"
) -> "Request":
    return Request(
        "POST",
        "/api/v1/ingest/" + quote(check_device_id(device_id)),
        {
            "X-API-Key": token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        json.dumps(variables, separators=(",", ":")).encode(),
    )


def _kind(
    status: "int", is_json: "bool", success: "object", error_type: "str"
) -> "tuple[str, bool]":
    if status == 200 and success is True:
        return DELIVERED, False
    if status == 400 and is_json:
        return WRONG_PAYLOAD, False
    if status == 401 and is_json:
        return SIGN_IN, False
    if status == 413 or (status == 500 and error_type in _PAYLOAD_ERROR_TYPES):
        return WRONG_PAYLOAD, False
    if status == 409:
        return TRY_LATER, is_json
    if status == 500:
        # A rolled-back transaction hides its cause: a number that can't be stored
        # looks like a race between two requests.
        is_outage = any(word in error_type for word in _OUTAGE_WORDS)
        return TRY_LATER, is_json and not is_outage
    if status == 501 or (400 <= status < 500 and status not in (408, 425, 429)):
        return WRONG_DEVICE, False
    return TRY_LATER, False


def _message(status: "int", kind: "str", data: "dict[str, object]") -> "str":
    if 200 <= status < 300 and kind != DELIVERED:
        return "No answer of SensorVision's"
    if 300 <= status < 400:
        return "A redirect to another address"
    message = data.get("message") or data.get("detail") or data.get("title")
    if not isinstance(message, str):
        return "No reason given"
    return message[:MAX_MESSAGE_CHARS]


def _json_object(body: "bytes") -> "dict[str, object] | None":
    try:
        data = json.loads(body.decode())
    # The last two are raised when it is nested too deep.
    except (ValueError, RuntimeError, MemoryError):
        return None
    return data if isinstance(data, dict) else None


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
        if text and all(char in _DIGITS for char in text):
            return min(int(text[:10]), MAX_RETRY_AFTER_S)
    return None


def _shown(value: "object") -> "str":
    try:
        text = repr(value)
    except ValueError:
        return "of thousands of digits"
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "..."
