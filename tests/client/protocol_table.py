"""What protocol.py says, one row a case; the same rows run on CPython and on MicroPython.

Run on a board's interpreter as `micropython protocol_table.py FOLDER`, where FOLDER holds
protocol.py; it prints one JSON list with the outcome of every row.
"""

import json
import sys

TYPE_CHECKING = False  # MicroPython has no `typing`.
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    # Its name, the function of protocol.py, the arguments, and what comes of it.
    Row = tuple[str, str, tuple[object, ...], object]
    Outcome = dict[str, object]

TOKEN = "11111111-1111-4111-8111-111111111111"

DEVICE_ID_REMEDY = "Take 1 to 64 letters, digits, dots, underscores or hyphens"
TOKEN_REMEDY = "Copy it again from the device's page in SensorVision"
NAME_REMEDY = "Take 1 to 100 characters"
NUMBER_REMEDY = "Send an int or a float, such as 1 or 0"
RANGE_REMEDY = "Send a finite number below 1e14"

_HEADERS = {
    "X-API-Key": TOKEN,
    "Content-Type": "application/json",
    "Accept": "application/json",
}


def post(path: str, body: Outcome) -> Outcome:
    """Return the outcome of a row that makes an ingest request."""
    return {"method": "POST", "path": path, "headers": _HEADERS, "body": body}


def refused(field: str, remedy: str, text: str) -> Outcome:
    """Return the outcome of a row that raises a ValidationError."""
    return {"refused": field, "remedy": remedy, "text": text}


def answer(kind: str, status: int, message: str, **members: object) -> Outcome:
    """Return the outcome of a row that reads an answer."""
    outcome: Outcome = {
        "kind": kind,
        "status": status,
        "message": message,
        "error_type": "",
        "retry_after_s": None,
        "suspect": False,
        "is_json": True,
    }
    outcome.update(members)
    return outcome


def page(
    kind: str, status: int, message: str = "No reason given", **members: object
) -> Outcome:
    """Return the outcome of a row that reads an answer which is no JSON object."""
    return answer(kind, status, message, is_json=False, **members)


def verdict(success: bool, message: str) -> bytes:
    """Return the body with which the ingest endpoint answers."""
    return json.dumps({"success": success, "message": message}).encode()


def problem(title: str, error_type: str | None = None, **members: str) -> bytes:
    """Return a problem's body."""
    body = {"type": "about:blank", "title": title}
    body.update(members)
    if error_type is not None:
        body["errorType"] = error_type
    return json.dumps(body).encode()


HTML = b"<html><head><title>Hello</title></head></html>"
NO_HEADERS: dict[str, str] = {}
UNREADABLE = "HttpMessageNotReadableException"
ROLLBACK = "UnexpectedRollbackException"
TROUBLE = "Something Went Wrong"


def _device_ids() -> Iterator[Row]:
    """Yield device ids."""
    for device_id in ("a", "dev-a", "Home_1.pump", "x" * 64, "...", "-", "0"):
        yield "device id " + device_id, "check_device_id", (device_id,), device_id
    for name, no_id, shown in (
        ("empty", "", "''"),
        ("too long", "x" * 65, "'" + "x" * 65 + "'"),
        ("dot", ".", "'.'"),
        ("two dots", "..", "'..'"),
        ("slash", "a/b", "'a/b'"),
        ("blank", "a b", "'a b'"),
        ("percent", "50%", "'50%'"),
        ("line feed", "a\n", "'a\\n'"),
        ("colon", "a:b", "'a:b'"),
        ("none", None, "None"),
        ("number", 7, "7"),
    ):
        text = "device id " + shown + " cannot be used. " + DEVICE_ID_REMEDY
        yield (
            "device id refused: " + name,
            "check_device_id",
            (no_id,),
            refused("device id", DEVICE_ID_REMEDY, text),
        )


def _tokens() -> Iterator[Row]:
    """Yield device tokens."""
    yield "token", "check_token", (TOKEN,), TOKEN
    yield "token between blanks", "check_token", (" " + TOKEN + "\n",), TOKEN
    text = "device token '***' is not a UUID in lower case. " + TOKEN_REMEDY
    for name, token in (
        ("empty", ""),
        ("upper case", "ABCDEF00-1111-4111-8111-111111111111"),
        ("no hyphens", TOKEN.replace("-", "")),
        ("one digit short", TOKEN[:-1]),
        ("not hexadecimal", "g" + TOKEN[1:]),
        ("groups of other lengths", "111111111-111-4111-8111-111111111111"),
        ("none", None),
    ):
        outcome = refused("device token", TOKEN_REMEDY, text)
        yield "token refused: " + name, "check_token", (token,), outcome


def _variables() -> Iterator[Row]:
    """Yield names and numbers."""
    largest_float = 99999999999999.98
    for name, variables in (
        ("int", {"a": 1}),
        ("float", {"a": 21.5}),
        ("negative", {"a": -40.25}),
        ("zero", {"a": 0}),
        ("largest int", {"a": 99999999999999}),
        ("largest float", {"a": largest_float}),
        ("longest name", {"n" * 100: 1}),
        ("name with blanks in it", {"a b": 1}),
        ("largest power factor", {"power_factor": 99.999}),
        ("largest voltage", {"voltage": -9999999.999}),
        ("several", {"a": 1, "b": 2.5}),
    ):
        yield "variables: " + name, "check_variables", (variables,), None
    yield (
        "variables refused: none",
        "check_variables",
        ({},),
        refused(
            "variables",
            "Send at least one number",
            "variables {} hold nothing. Send at least one number",
        ),
    )
    for no_name, shown in (
        ("", "''"),
        ("  ", "'  '"),
        ("n" * 101, "'" + "n" * 99 + "..."),
        (1, "1"),
    ):
        yield (
            "variable name refused: " + shown,
            "check_variables",
            ({no_name: 1},),
            refused(
                "variable name",
                NAME_REMEDY,
                "variable name " + shown + " cannot be used. " + NAME_REMEDY,
            ),
        )
    for no_number, shown in (
        (True, "True"),
        (None, "None"),
        ("21.5", "'21.5'"),
        ([1], "[1]"),
    ):
        yield (
            "value refused: " + shown,
            "check_variables",
            ({"good": 1, "temperature": no_number},),
            refused(
                "temperature",
                NUMBER_REMEDY,
                "temperature " + shown + " is not a number. " + NUMBER_REMEDY,
            ),
        )
    for outlier, shown in (
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (10**14, "100000000000000"),
        (-(10**14), "-100000000000000"),
        (1e300, "1e+300"),
    ):
        yield (
            "value refused: " + shown,
            "check_variables",
            ({"temperature": outlier},),
            refused(
                "temperature",
                RANGE_REMEDY,
                "temperature " + shown + " is out of range. " + RANGE_REMEDY,
            ),
        )
    for name, value, shown, limit in (
        ("power_factor", 100, "100", "100"),
        ("power_factor", 99.9995, "99.9995", "100"),
        ("frequency", -1000, "-1000", "1000"),
        ("voltage", 10**7, "10000000", "1e+07"),
        ("current", 10**7, "10000000", "1e+07"),
        ("kw_consumption", 10**9, "1000000000", "1e+09"),
    ):
        remedy = "Send less than " + limit + ", or choose another name"
        yield (
            "reserved name refused: " + name + " " + shown,
            "check_variables",
            ({name: value},),
            refused(
                name,
                remedy,
                name
                + " "
                + shown
                + " is out of range for this reserved name. "
                + remedy,
            ),
        )


def _requests() -> Iterator[Row]:
    """Yield requests."""
    yield (
        "ingest",
        "ingest_request",
        ("dev-a", TOKEN, {"temperature": 21.5, "on": 1}),
        post("/api/v1/ingest/dev-a", {"temperature": 21.5, "on": 1}),
    )
    yield (
        "ingest of a name beyond ASCII",
        "ingest_request",
        ("Home.1", TOKEN, {'h\u00f6he "m"': -0.25}),
        post("/api/v1/ingest/Home.1", {'h\u00f6he "m"': -0.25}),
    )
    yield (
        "ingest refused: device id",
        "ingest_request",
        ("a/b", TOKEN, {"a": 1}),
        refused(
            "device id",
            DEVICE_ID_REMEDY,
            "device id 'a/b' cannot be used. " + DEVICE_ID_REMEDY,
        ),
    )
    yield (
        "ingest refused: value",
        "ingest_request",
        ("dev-a", TOKEN, {"a": False}),
        refused("a", NUMBER_REMEDY, "a False is not a number. " + NUMBER_REMEDY),
    )


def _classes() -> Iterator[Row]:
    """Yield answers of every class."""
    stored = "Data received successfully"
    nothing = "At least one numeric variable is required"
    foreign = "Cannot send data to device in different organization"
    boolean = (
        "Unsupported data type for field 'a': Boolean (expected number or numeric"
        " string)"
    )
    for name, status, body, outcome in (
        ("stored", 200, verdict(True, stored), answer("delivered", 200, stored)),
        (
            "nothing to store",
            400,
            verdict(False, nothing),
            answer("wrong_payload", 400, nothing),
        ),
        (
            "boolean",
            400,
            verdict(False, boolean),
            answer("wrong_payload", 400, boolean),
        ),
        ("container's 400", 400, HTML, page("wrong_device", 400)),
        (
            "no key",
            401,
            verdict(False, "X-API-Key header is required"),
            answer("sign_in", 401, "X-API-Key header is required"),
        ),
        (
            "unknown key",
            401,
            verdict(False, "Invalid API key"),
            answer("sign_in", 401, "Invalid API key"),
        ),
        ("firewall", 401, b"", page("wrong_device", 401)),
        (
            "foreign device",
            403,
            verdict(False, foreign),
            answer("wrong_device", 403, foreign),
        ),
        ("proxy forbids", 403, HTML, page("wrong_device", 403)),
        (
            "wrong path",
            404,
            problem("Resource Not Found", detail="No endpoint"),
            answer("wrong_device", 404, "No endpoint"),
        ),
        ("page not found", 404, HTML, page("wrong_device", 404)),
        ("not a method of this page", 405, HTML, page("wrong_device", 405)),
        ("gone", 410, HTML, page("wrong_device", 410)),
        ("not implemented", 501, HTML, page("wrong_device", 501)),
        ("request timeout", 408, HTML, page("try_later", 408)),
        (
            "conflict",
            409,
            problem("Data Conflict", "DataIntegrityViolationException"),
            answer(
                "try_later",
                409,
                "Data Conflict",
                error_type="DataIntegrityViolationException",
                suspect=True,
            ),
        ),
        ("conflict of a proxy", 409, HTML, page("try_later", 409)),
        ("too large", 413, HTML, page("wrong_payload", 413)),
        ("too early", 425, HTML, page("try_later", 425)),
        (
            "rollback",
            500,
            problem(TROUBLE, ROLLBACK),
            answer("try_later", 500, TROUBLE, error_type=ROLLBACK, suspect=True),
        ),
        (
            "old rollback",
            500,
            verdict(False, "Failed to process data: numeric field overflow"),
            answer(
                "try_later",
                500,
                "Failed to process data: numeric field overflow",
                suspect=True,
            ),
        ),
        (
            "oldest rollback",
            500,
            problem("Internal Server Error"),
            answer("try_later", 500, "Internal Server Error", suspect=True),
        ),
        (
            "unknown defect",
            500,
            problem(TROUBLE, "NullPointerException"),
            answer(
                "try_later",
                500,
                TROUBLE,
                error_type="NullPointerException",
                suspect=True,
            ),
        ),
        (
            "pool exhausted",
            500,
            problem(TROUBLE, "CannotCreateTransactionException"),
            answer(
                "try_later", 500, TROUBLE, error_type="CannotCreateTransactionException"
            ),
        ),
        (
            "database away",
            500,
            problem(TROUBLE, "DataAccessResourceFailureException"),
            answer(
                "try_later",
                500,
                TROUBLE,
                error_type="DataAccessResourceFailureException",
            ),
        ),
        (
            "mapper's trouble",
            500,
            problem(TROUBLE, "JpaSystemException"),
            answer("try_later", 500, TROUBLE, error_type="JpaSystemException"),
        ),
        (
            "lock not had",
            500,
            problem(TROUBLE, "CannotAcquireLockException"),
            answer("try_later", 500, TROUBLE, error_type="CannotAcquireLockException"),
        ),
        ("500 page", 500, HTML, page("try_later", 500)),
        ("502 page", 502, HTML, page("try_later", 502)),
        ("503 page", 503, HTML, page("try_later", 503)),
        ("504 page", 504, HTML, page("try_later", 504)),
        (
            "redirect",
            301,
            HTML,
            page("try_later", 301, "A redirect to another address"),
        ),
        (
            "captive portal",
            200,
            HTML,
            page("try_later", 200, "No answer of SensorVision's"),
        ),
        (
            "nothing",
            204,
            b"",
            page("try_later", 204, "No answer of SensorVision's"),
        ),
        (
            "another JSON server",
            200,
            b'{"status":"ok"}',
            answer("try_later", 200, "No answer of SensorVision's"),
        ),
        (
            "success as a word",
            200,
            b'{"success":"true"}',
            answer("try_later", 200, "No answer of SensorVision's"),
        ),
        (
            "created",
            201,
            verdict(True, stored),
            answer("try_later", 201, "No answer of SensorVision's"),
        ),
        (
            "list",
            200,
            b"[true]",
            page("try_later", 200, "No answer of SensorVision's"),
        ),
        (
            "half of the JSON",
            200,
            b'{"success":tr',
            page("try_later", 200, "No answer of SensorVision's"),
        ),
        ("no UTF-8", 503, b"\xff\xfe", page("try_later", 503)),
        ("nested too deep", 400, b"[" * 60000, page("wrong_device", 400)),
        (
            "message of another type",
            503,
            b'{"message":{"a":1},"errorType":5}',
            answer("try_later", 503, "No reason given"),
        ),
        (
            "message and title",
            500,
            problem("Title", ROLLBACK, message="Message", detail="Detail"),
            answer("try_later", 500, "Message", error_type=ROLLBACK, suspect=True),
        ),
        (
            "very long message",
            503,
            verdict(False, "x" * 5000),
            answer("try_later", 503, "x" * 300),
        ),
    ):
        yield "answer: " + name, "read_answer", (status, NO_HEADERS, body), outcome
    for error_type in (
        UNREADABLE,
        "HttpMediaTypeNotSupportedException",
        "HttpRequestMethodNotSupportedException",
        "HttpMediaTypeNotAcceptableException",
    ):
        yield (
            "answer: " + error_type,
            "read_answer",
            (500, NO_HEADERS, problem(TROUBLE, error_type)),
            answer("wrong_payload", 500, TROUBLE, error_type=error_type),
        )


def _waits() -> Iterator[Row]:
    """Yield answers that ask to wait, in every spelling."""
    for name, headers, body, seconds in (
        ("none", NO_HEADERS, HTML, None),
        ("seconds", {"retry-after": "5"}, HTML, 5),
        ("zero", {"retry-after": "0"}, HTML, 0),
        ("blanks around", {"retry-after": " 7 "}, HTML, 7),
        ("date", {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, HTML, None),
        ("negative", {"retry-after": "-1"}, HTML, None),
        ("fraction", {"retry-after": "1.5"}, HTML, None),
        ("empty", {"retry-after": ""}, HTML, None),
        ("superscript", {"retry-after": "\u00b2"}, HTML, None),
        ("a year", {"retry-after": "31536000"}, HTML, 3600),
        ("digits without end", {"retry-after": "9" * 5000}, HTML, 3600),
        ("old header", {"x-rate-limit-retry-after-seconds": "30"}, HTML, 30),
        ("body", NO_HEADERS, b'{"retryAfter":12}', 12),
        ("body as text", NO_HEADERS, b'{"retryAfter":"13"}', 13),
        ("body of another type", NO_HEADERS, b'{"retryAfter":true}', None),
        ("header before body", {"retry-after": "1"}, b'{"retryAfter":12}', 1),
        ("date, then body", {"retry-after": "soon"}, b'{"retryAfter":12}', 12),
    ):
        make = answer if body.startswith(b"{") else page
        outcome = make("try_later", 429, "No reason given", retry_after_s=seconds)
        yield "retry after: " + name, "read_answer", (429, headers, body), outcome


def rows() -> list[Row]:
    """Return every row: its name, the function, its arguments and the outcome."""
    found: list[Row] = []
    for part in (
        _device_ids,
        _tokens,
        _variables,
        _requests,
        _classes,
        _waits,
    ):
        found.extend(part())
    return found


def outcome_of(
    protocol: ModuleType, function: str, arguments: tuple[object, ...]
) -> object:
    """Call a function of protocol.py and put what it says in terms of JSON."""
    try:
        result = getattr(protocol, function)(*arguments)
    except protocol.ValidationError as err:
        return {"refused": err.field, "remedy": err.remedy, "text": str(err)}
    except (AttributeError, RuntimeError, TypeError, ValueError) as err:
        return {"crashed": repr(err)}
    if isinstance(result, protocol.Request):
        return {
            "method": result.method,
            "path": result.path,
            "headers": result.headers,
            "body": json.loads(result.body.decode()) if result.body else None,
        }
    if isinstance(result, protocol.Answer):
        return {name: getattr(result, name, None) for name in answer("", 0, "")}
    return result


def main() -> None:
    """Print the outcome of every row as one JSON list."""
    sys.path.insert(0, sys.argv[1])
    # No statement: on a board it is a module of another package.
    protocol = __import__("protocol")

    outcomes = [
        outcome_of(protocol, function, arguments)
        for _, function, arguments, _ in rows()
    ]
    print(json.dumps(outcomes))  # noqa: T201


if __name__ == "__main__":
    main()
