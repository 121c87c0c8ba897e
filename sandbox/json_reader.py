"""JSON as the server's reader takes it: strict, but blind to what follows the value.

Numbers keep the text they were written with, because what they become depends on where
they stand: some go through a double, some stay exact.
"""

from codecs import BOM_UTF8
from collections.abc import Mapping
import json
import re
from typing import NoReturn

MAX_NUMBER_CHARS = 1000
MAX_NESTING = 1000
MAX_NAME_CHARS = 50_000
MAX_STRING_CHARS = 20_000_000

_BLANKS = " \t\r\n"
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


type Json = str | bool | list[Json] | dict[str, Json] | None
"""What is read: numbers are among the texts, as `Literal`."""

type PlainJson = (
    str | bool | int | float | list[PlainJson] | dict[str, PlainJson] | None
)
"""The same with Python's numbers."""


class JsonError(ValueError):
    """The bytes are not JSON that the server would read."""


class Literal(str):
    """A number as it was written."""

    __slots__ = ()


def _number(text: str) -> Literal:
    """Keep a number's text, within the length that the server's reader allows."""
    if len(text) > MAX_NUMBER_CHARS:
        raise JsonError(f"number of {len(text)} characters")
    return Literal(text)


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's own reader would take."""
    raise JsonError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_refuse_constant
)


def read(body: bytes) -> Json:
    """Return the first JSON value of a body; numbers are `Literal`.

    Args:
        body: UTF-8, -16 or -32, with or without a byte order mark.

    Raises:
        JsonError: There is no value, it is malformed, or it exceeds a limit.
    """
    text = _decode(body)
    start = len(text) - len(text.lstrip(_BLANKS))
    try:
        value: Json
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as err:
        raise JsonError(str(err)) from err
    except RecursionError as err:
        raise JsonError("nested too deeply") from err
    if isinstance(value, Literal) and end < len(text) and text[end] not in _BLANKS:
        raise JsonError("a number must be followed by a blank")
    _check_limits(text, start, end, value)
    return value


def _decode(body: bytes) -> str:
    """Decode the body; what follows the value may be undecodable."""
    encoding = json.detect_encoding(body)
    if body.startswith(BOM_UTF8):
        # Or the place of an error would be told without it.
        body, encoding = body.removeprefix(BOM_UTF8), "utf-8"
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as err:
        return body[: err.start].decode(encoding, errors="ignore") + "\ufffd"


def _check_limits(text: str, start: int, end: int, value: Json) -> None:
    """Apply the limits that only a large body can exceed."""
    if text.count("[", start, end) + text.count("{", start, end) > MAX_NESTING:
        depth = 0
        for character in _STRING.sub("", text[start:end]):
            if character in "[{":
                depth += 1
                if depth > MAX_NESTING:
                    raise JsonError("nested too deeply")
            elif character in "]}":
                depth -= 1
    if end - start > MAX_NAME_CHARS:
        _check_lengths(value)


def _check_lengths(value: Json) -> None:
    """Refuse names and strings that are too long."""
    if isinstance(value, dict):
        for name, member in value.items():
            if len(name) > MAX_NAME_CHARS:
                raise JsonError("member name too long")
            _check_lengths(member)
    elif isinstance(value, list):
        for member in value:
            _check_lengths(member)
    elif isinstance(value, str) and len(value) > MAX_STRING_CHARS:
        raise JsonError("string too long")


def plain_object(members: Mapping[str, Json]) -> dict[str, PlainJson]:
    """Turn the literals of an object's members into Python numbers."""
    return {name: plain(member) for name, member in members.items()}


def plain(value: Json) -> PlainJson:
    """Turn literals into Python numbers, for storing JSON as JSON."""
    if isinstance(value, Literal):
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if isinstance(value, dict):
        return plain_object(value)
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value
