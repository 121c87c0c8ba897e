"""What a server may answer, and what a client has to make of it by the wire contract."""

from dataclasses import replace
import json

from .answer_case import DONE, OK, REFUSED, Case, Right
from .answer_servers import (
    TOKEN,
    YES,
    Order,
    Reply,
    Serve,
    absent,
    answer_of,
    deaf,
    drip,
    gush,
    late,
    redirecting,
    sandboxed,
    scripted,
    silence,
)

_ATTEMPTS = 3


_DONE_AGAIN = replace(DONE, posts=(2, 2))
_GIVEN_UP = replace(REFUSED, posts=(1, _ATTEMPTS))
_CUT = Right(says_stored=True, stored=(1, 2), posts=(2, 2))


def _problem(status: int, error_type: str) -> bytes:
    body = {
        "type": "about:blank",
        "title": "Something Went Wrong",
        "status": status,
        "detail": "An unexpected error occurred.",
        "errorType": error_type,
    }
    return answer_of(status, json.dumps(body).encode(), "application/problem+json")


def _no(message: str) -> bytes:
    return json.dumps({"success": False, "message": message}).encode()


def _page(status: int) -> bytes:
    return answer_of(status, b"<html><h1>nginx</h1></html>", "text/html")


def _once(answer: bytes) -> Serve:
    return scripted(Reply(answer), OK)


def _always(answer: bytes) -> Serve:
    return scripted(Reply(answer))


def _fault(name: str, **more: object) -> Serve:
    return sandboxed(**{name: {"times": 1, **more}})


_ANSWERS = (
    Case("200, success true", "1.3", sandboxed(), DONE),
    Case("200, success false", "8.1", _always(answer_of(200, _no("No"))), REFUSED),
    Case(
        "200, a captive portal's page",
        "8.1",
        sandboxed(html_200={}),
        _GIVEN_UP,
    ),
    Case(
        "201, success true",
        "8.1",
        scripted(Reply(answer_of(201, YES), stores=True)),
        Right(stored=(1, 1)),
    ),
    Case(
        "400, nothing to store",
        "1.3",
        _always(answer_of(400, _no("At least one numeric variable is required"))),
        REFUSED,
    ),
    Case(
        "401, token unknown",
        "1.3",
        sandboxed(),
        replace(REFUSED, kind="AuthenticationError"),
        Order(token="99999999-9999-4999-8999-999999999999"),  # noqa: S106
    ),
    Case(
        "401, empty: the firewall's",
        "1.5",
        _always(answer_of(401, WWW_Authenticate="Bearer")),
        replace(REFUSED, no_kind="AuthenticationError"),
    ),
    Case(
        "403, another organisation's device",
        "1.3",
        sandboxed(),
        replace(REFUSED, no_kind="AuthenticationError"),
        Order(device_id="dev-b"),
    ),
    Case("404, problem", "1.3", _always(_problem(404, "NoResourceFound")), REFUSED),
    Case("409 once", "1.3", _once(_problem(409, "DataIntegrity")), _DONE_AGAIN),
    Case("413, nginx", "1.3", _always(_page(413)), REFUSED),
    Case(
        "429 once, wait 1 s",
        "6.4",
        _fault("http_429", seconds=1.0),
        replace(_DONE_AGAIN, least_s=1),
    ),
    Case(
        "429, wait an hour",
        "6.4",
        sandboxed(http_429={"seconds": 3600.0}),
        replace(REFUSED, kind="RateLimitError", tells_pause=True),
    ),
    Case(
        "429 once, no word of waiting",
        "6.2",
        _once(answer_of(429, b'{"error": "Rate limit exceeded"}')),
        _DONE_AGAIN,
    ),
    Case(
        "301 to another host",
        "8.9",
        redirecting(301),
        REFUSED,
    ),
    Case("307 to another host", "8.9", redirecting(307), REFUSED),
)

_FAILURES = (
    *(
        Case(
            f"500 {error_type}",
            "1.6",
            scripted(Reply(_problem(500, error_type), stores=is_stored)),
            replace(REFUSED, stored=(int(is_stored), int(is_stored))),
        )
        for error_type, is_stored in (
            ("HttpMessageNotReadableException", False),
            ("HttpMediaTypeNotSupportedException", False),
            ("HttpRequestMethodNotSupportedException", False),
            ("HttpMediaTypeNotAcceptableException", True),
        )
    ),
    Case(
        "500 UnexpectedRollback once",
        "1.6, 8.6",
        _once(_problem(500, "UnexpectedRollbackException")),
        _DONE_AGAIN,
    ),
    Case("500 CannotCreateTransaction once", "1.6", _fault("http_500"), _DONE_AGAIN),
    Case(
        "500 of servers before 2025-11-22, once",
        "1.6",
        _once(answer_of(500, _no("Failed to process data: a race"))),
        _DONE_AGAIN,
    ),
    Case("500 for ever", "1.6", sandboxed(http_500={}), _GIVEN_UP),
    Case("502 once", "1.3", _fault("http_502"), _DONE_AGAIN),
    Case("503 once: nginx's limit", "6.5", _fault("http_503"), _DONE_AGAIN),
    Case("504 once", "1.3", _fault("http_504"), _DONE_AGAIN),
    Case("503 for ever", "6.5", sandboxed(http_503={}), _GIVEN_UP),
    Case("reset before it is stored, once", "9", _fault("reset"), _DONE_AGAIN),
    Case("reset after it is stored, once", "8.5", _fault("reset_after_commit"), _CUT),
    Case("answer cut in a chunk, once", "8.5", _fault("truncated_chunk"), _CUT),
    Case(
        "nobody listens",
        "9",
        absent,
        replace(REFUSED, posts=(0, 0), kind="NetworkError"),
    ),
    Case(
        "token in the answer's text",
        "8.1",
        _always(answer_of(500, _no(f"No device has {TOKEN}"))),
        _GIVEN_UP,
    ),
    Case(
        "an answer without an end",
        "8.1",
        scripted(Reply(gush)),
        _GIVEN_UP,
    ),
)

_GIVEN_UP = Right(
    says_stored=False,
    stored=(1, _ATTEMPTS),
    posts=(1, _ATTEMPTS),
    kind="NetworkError",
    most_s=3,
)

_TIMES = (
    Case(
        "no connection in time",
        "8.5",
        deaf,
        replace(REFUSED, posts=(0, 0), kind="NetworkError", most_s=3),
        Order(timeout_s=0.5),
    ),
    Case(
        "no answer in time",
        "8.5",
        scripted(Reply(silence, stores=True)),
        _GIVEN_UP,
        Order(timeout_s=0.5),
    ),
    Case(
        "an answer byte by byte",
        "8.5",
        scripted(Reply(drip, stores=True)),
        _GIVEN_UP,
        Order(timeout_s=0.5),
    ),
    Case(
        "cancelled while the server works",
        "8.5",
        scripted(Reply(late, stores=True), OK),
        Right(says_stored=True, stored=(2, 2), posts=(2, 2)),
        Order(cancel_after_s=0.3),
        is_async=True,
    ),
)

ANSWERS: tuple[Case, ...] = (*_ANSWERS, *_FAILURES, *_TIMES)
