"""Write logs as JSON, one object a line, with nothing secret in them."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import Iterable

from .exceptions import SensorVisionError
from .redaction import redacted, redacted_data
from .secret import Secret

_TOLD_OF_ERRORS = (
    "code",
    "field",
    "status",
    "error_type",
    "correlation_id",
    "retry_after_s",
)

# What every record has, so that the rest is what the caller has added.
_ORDINARY = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "taskName",
}


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON.

    Its members: `time` (ISO 8601, UTC), `level`, `logger`, `message`; where there are
    some, `extra` (what the caller has added), `exception` and `stack` (their texts), and
    `error` (of a `SensorVisionError`: its code, HTTP status, and how the server's log
    names the request). Secrets are blackened in all of them, see `redaction.redacted`.

    Args:
        secrets: kept alive, so that they are blackened for as long as this formats.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of JSON."""
        line: dict[str, object] = {
            "time": _instant(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        extra = {
            name: value for name, value in vars(record).items() if name not in _ORDINARY
        }
        if extra:
            line["extra"] = redacted_data(extra)
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, SensorVisionError):
            line["error"] = _facts(error)
        if record.exc_info:
            text = self.formatException(record.exc_info)
            line["exception"] = redacted(text)
        if record.stack_info:
            line["stack"] = redacted(record.stack_info)
        return json.dumps(line)


def _instant(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _facts(error: SensorVisionError) -> dict[str, object]:
    """Return what is known of an error by name; none of it is a secret."""
    told = {name: getattr(error, name, None) for name in _TOLD_OF_ERRORS}
    named = {name: value for name, value in told.items() if value is not None}
    return {"type": type(error).__name__, **named}
