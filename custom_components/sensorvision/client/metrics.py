"""Tell a program's own meters what each request cost, and what came of it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
import re
from typing import Iterator

OK = "ok"
CANCELLED = "cancelled"

# As the exceptions that most such answers are raised as, whose codes these are.
_OUTCOMES = {400: "payload", 401: "auth", 403: "permission", 413: "payload"}

_ID = re.compile(r"(?<=/)(?P<kind>ingest|devices|variables)/(?!latest$)[^/]+")

_ATTEMPT: ContextVar[int] = ContextVar("_ATTEMPT", default=1)


@dataclass(frozen=True)
class RequestMetrics:
    """One request over the wire, and what came of it.

    Attributes:
        method: HTTP method.
        path: path below the server's URL, with `{id}` in place of each id.
        status: HTTP status, or 0 if no answer came.
        seconds: from sending to the last byte that was read; waiting for the client's own
            rate limit does not count.
        bytes_sent: length of the body.
        bytes_received: length of the body as far as it was read, unpacked.
        attempt: 1, or more if the client tries again.
        outcome: `ok`, `cancelled`, or the code of the exception that such an answer mostly
            becomes, such as `auth` or `timeout`.
    """

    method: str
    path: str
    status: int
    seconds: float
    bytes_sent: int
    bytes_received: int
    attempt: int
    outcome: str


def outcome_of(status: int) -> str:
    """Return what a status says by itself of what came of a request."""
    if 200 <= status < 300:
        return OK
    if 300 <= status < 400:
        return "redirect"
    if status == 429:
        return "rate_limit"
    return _OUTCOMES.get(status, "device" if status < 500 else "server")


def template_of(path: str) -> str:
    """Return a request's path without ids and query, of which there are but a few."""
    return _ID.sub(r"\g<kind>/{id}", path.partition("?")[0])


@contextmanager
def numbered(attempt: int) -> Iterator[None]:
    """Let the requests inside be told as those of an attempt, counted from 1."""
    token = _ATTEMPT.set(attempt)
    try:
        yield
    finally:
        _ATTEMPT.reset(token)


def attempt_number() -> int:
    """Return the number of the attempt that this request is part of."""
    return _ATTEMPT.get()
