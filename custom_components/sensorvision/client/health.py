"""Say how a server is, by its own account."""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import Any, Mapping

from .exceptions import NotSensorVisionError, raise_for
from .protocol import Request
from .user_protocol import no_answer, read_reply

_UP = "UP"


@dataclass(frozen=True)
class Health:
    """How a server is, by its own account.

    It calls itself down as soon as anything is down that it uses, such as its mail
    server, or if its disk runs full: it may take readings all the same.

    Attributes:
        is_up: whether all is well.
        status: in the server's word: `UP`, `DOWN`, `OUT_OF_SERVICE` or `UNKNOWN`.
        components: the same by name of what it uses, as far as it tells; a server in
            production tells nothing.
    """

    is_up: bool
    status: str
    components: Mapping[str, str]


def health_request() -> Request:
    """Build the public request for the server's health."""
    return Request("GET", "/actuator/health", {"Accept": "application/json"}, b"")


def read_health(status: int, headers: Mapping[str, str], body: bytes) -> Health:
    """Read what a server says of its health: with 503, too, if it isn't well.

    Raises:
        AnswerError: that was not said, but a subclass tells what.
    """
    try:
        data: Any = json.loads(body)
    # Deep nesting raises the second one.
    except (ValueError, RecursionError):
        data = None
    said = data.get("status") if isinstance(data, dict) else None
    # Of problems (RFC 7807) it is the HTTP status.
    if status not in (200, 503) or not isinstance(said, str):
        raise_for(read_reply(status, headers, body).answer)
        raise NotSensorVisionError(no_answer(status))
    components = data.get("components")
    return Health(
        said == _UP,
        said,
        {
            name: str(component.get("status", "UNKNOWN"))
            for name, component in (
                components.items() if isinstance(components, dict) else ()
            )
            if isinstance(component, dict)
        },
    )
