"""Read times as people and programs write them."""

from __future__ import annotations

import datetime as dt
import re

from sensorvision.models import parse_instant

_SECONDS = re.compile(r"\d{9,10}(\.\d+)?")
_REMEDY = "Write it with its zone, such as 2026-01-31T12:00:00Z, or as Unix seconds"


def read_moment(text: str) -> dt.datetime:
    """Return a time in UTC.

    Args:
        text: ISO 8601 with a zone, a blank in place of the `T` at will, or seconds
            since 1970.

    Raises:
        ValueError: it is neither, or of no certain moment; the text says what to do.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return dt.datetime.fromtimestamp(float(text), dt.timezone.utc)
    try:
        return parse_instant(text.replace(" ", "T", 1))
    except ValueError:
        raise ValueError(
            f"timestamp {text!r} is no certain moment. {_REMEDY}"
        ) from None
