"""Blacken what may stand in no log, in whatever words somebody else has written it."""

from __future__ import annotations

import json
import math
import re
from typing import Mapping
from urllib.parse import quote, quote_plus

from .secret import MASK, known_secrets

# Shorter ones are parts of ordinary words, and are blackened as whole words alone.
_MIN_CHARS_WITHIN_WORDS = 6
_MAX_DEPTH = 8

_SECRET_WORDS = (
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
    "userkey",
)
_NOT_A_LETTER = re.compile(r"[^a-z]")
_SPELT = "|".join(word.replace("key", "[-_ ]?key") for word in _SECRET_WORDS)

_SHAPES = (
    # An account in a URL.
    (re.compile(r"(://)[^/\s@]+(?=@)"), rf"\1{MASK}"),
    # A name and what it is, as in headers, query strings, JSON and Python.
    (
        re.compile(
            rf"((?:{_SPELT})s?[\"']?\s*[=:]\s*)"
            r"(?:(?:bearer|basic)\s+)?(?:\"[^\"]*\"|'[^']*'|[^\s,;&}\])]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    # A JSON web token (RFC 7519): its header begins with `{"`.
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    # A device token or a user key (contract 1.1, 2.1).
    (
        re.compile(
            r"(?<![\da-f])[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE
        ),
        MASK,
    ),
)


def redacted(text: str) -> str:
    """Return a text with `***` in place of everything that may be a secret.

    That is every `Secret` alive in this process, also as a URL, JSON or Python spells
    it; what stands behind a name such as `password=`; and whatever has the shape of a
    token: UUIDs and JSON web tokens.
    """
    text = without_known(text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def without_known(text: str) -> str:
    """Return a text with `***` in place of each `Secret` alive, and else as it was."""
    for value in known_secrets():
        for spelt in _spellings(value):
            text = _without(text, spelt)
    return text


def redacted_data(data: object, depth: int = 0) -> object:
    """Return data as JSON can hold it, with `***` in place of what may be a secret.

    Args:
        data: anything; what JSON does not know is told as its text.
        depth: how deep in other data it is.
    """
    if data is None or isinstance(data, (bool, int)):
        return data
    if isinstance(data, float):
        return data if math.isfinite(data) else str(data)
    if depth < _MAX_DEPTH:
        if isinstance(data, Mapping):
            return {
                redacted(str(key)): (
                    MASK
                    if is_secret_name(str(key)) and not isinstance(value, bool)
                    else redacted_data(value, depth + 1)
                )
                for key, value in data.items()
            }
        if isinstance(data, (list, tuple, set, frozenset)):
            return [redacted_data(item, depth + 1) for item in data]
    return redacted(str(data))


def is_secret_name(name: str) -> bool:
    """Tell whether what has such a name is likely to be a secret."""
    letters = _NOT_A_LETTER.sub("", name.lower())
    return any(word in letters for word in _SECRET_WORDS)


def _spellings(value: str) -> set[str]:
    """Return a text as it is, and as it stands in URLs, in JSON and in Python."""
    return {
        value,
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
    }


def _without(text: str, spelt: str) -> str:
    if len(spelt) >= _MIN_CHARS_WITHIN_WORDS:
        return text.replace(spelt, MASK)
    return re.sub(rf"(?<!\w){re.escape(spelt)}(?!\w)", MASK, text)
