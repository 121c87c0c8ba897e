"""Tell how old a server is by what it can do: it has no word for its version."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
from typing import Iterable, Tuple

from .probing import probe_request
from .protocol import Answer, Request

USER_KEYS_SINCE = dt.date(2025, 12, 1)
CONNECTIVITY_CHECK_SINCE = dt.date(2025, 12, 4)
# Until then only five variables were stored, and the others answered as if they were.
ANY_VARIABLE_SINCE = dt.date(2025, 12, 6)
INDCLOUD_SINCE = dt.date(2025, 12, 28)
# Until then a device that a token makes went to an organization of its own. On the same
# day a slash at a path's end began to be accepted.
TOKENS_OWN_THEIR_DEVICES_SINCE = dt.date(2026, 1, 18)

_WRONG_METHOD = "HttpRequestMethodNotSupportedException"

# Whether a server has something, None if it did not tell, and the day it came.
Finding = Tuple["bool | None", dt.date]


@dataclass(frozen=True)
class ServerAge:
    """Between which days a server's version is from.

    Attributes:
        not_before: it is of this day or later, or None if that is unknown.
        before: it is older than this day, or None if it may be of today.
    """

    not_before: dt.date | None = None
    before: dt.date | None = None

    @property
    def loses_readings(self) -> bool:
        """Whether it says yes to readings and keeps only those of five variables."""
        return self._is_before(ANY_VARIABLE_SINCE)

    @property
    def misplaces_devices(self) -> bool:
        """Whether it gives a device that a token makes away and then refuses it."""
        return self._is_before(TOKENS_OWN_THEIR_DEVICES_SINCE)

    def _is_before(self, day: dt.date) -> bool:
        return self.before is not None and self.before <= day


def age_of(findings: Iterable[Finding]) -> ServerAge:
    """Return how old a server is by what it was found to have and to lack."""
    findings = list(findings)
    return ServerAge(
        max((day for has, day in findings if has), default=None),
        min((day for has, day in findings if has is False), default=None),
    )


def slash_request(device_id: str) -> Request:
    """Build a request with a slash at its path's end, for `takes_slash`.

    It has no credential, so that it can store nothing and counts as no failed try.
    """
    request = probe_request(device_id, "")
    headers = {
        name: value for name, value in request.headers.items() if name != "X-API-Key"
    }
    return Request(request.method, f"{request.path}/", headers, request.body)


def takes_slash(answer: Answer) -> bool | None:
    """Tell whether the ingest endpoint was found, or None if somebody else answered."""
    if answer.status == 401 and answer.is_json:
        return True
    is_nowhere = answer.status in (404, 405) or answer.error_type == _WRONG_METHOD
    return False if is_nowhere and answer.is_json else None
