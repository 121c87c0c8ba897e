"""From JSON values to the decimals that are stored: the rules of each endpoint."""

from decimal import ROUND_HALF_UP, Decimal
import math
import re

from .json_reader import Json, JsonError, Literal

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_DECIMAL = re.compile(r"[+-]?(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?)(\d+))?")

OVERFLOW_MESSAGE = (
    "Character I is neither a decimal digit number, decimal point, "
    'nor "e" notation exponential mark.'
)
_JAVA_TYPES = {bool: "Boolean", list: "ArrayList", dict: "LinkedHashMap"}


class RefusedValue(ValueError):
    """A member cannot be a reading; the text is the server's answer."""


class OutOfRange(ValueError):
    """A value does not fit its column."""


def parse_decimal(text: str) -> Decimal:
    """Read what Java's ``BigDecimal(String)`` reads, exactly.

    Any decimal digits of the basic plane will do; there may be neither blanks nor words.

    Raises:
        ValueError: It would throw a ``NumberFormatException``.
    """
    found = _DECIMAL.fullmatch(text)
    if found is None or (not text.isascii() and max(text) > "\uffff"):
        raise ValueError(f"{text!r} is not a decimal number")
    _, fraction, bare_fraction, sign, digits = found.groups()
    exponent = 0
    if digits is not None:
        exponent = int(sign + digits)
        if not _INT_MIN <= exponent <= _INT_MAX:
            raise ValueError("exponent overflow")
    scale = len(fraction or bare_fraction or "") - exponent
    if not _INT_MIN <= scale <= _INT_MAX:
        raise ValueError("scale out of range")
    return Decimal(text)


def double_to_decimal(number: float) -> Decimal:
    """Return the shortest decimal of a double, as ``BigDecimal.valueOf`` does."""
    return Decimal(repr(number))


def simple_value(name: str, value: Json) -> Decimal:
    """Convert one member of a simple ingest.

    Raises:
        RefusedValue: It is not a number; the message is the server's.
    """
    if type(value) is Literal:
        number = float(value)
        if math.isinf(number):
            raise RefusedValue(OVERFLOW_MESSAGE)
        return double_to_decimal(number)
    if isinstance(value, str):
        try:
            return parse_decimal(value)
        except ValueError:
            raise RefusedValue(
                f"Invalid numeric value for field '{name}': "
                f"'{value}' is not a valid number"
            ) from None
    raise RefusedValue(
        f"Unsupported data type for field '{name}': {_JAVA_TYPES[type(value)]} "
        "(expected number or numeric string)"
    )


def bound_value(value: Json) -> Decimal | None:
    """Bind one value of the ``/data`` family to a BigDecimal.

    Raises:
        JsonError: It does not bind, which fails the whole request.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise JsonError(f"{type(value).__name__} is not a number")
    text: str = value
    if type(value) is not Literal:
        text = _java_trim(value)
        if not text:
            return None
    try:
        return parse_decimal(text)
    except ValueError as err:
        raise JsonError(str(err)) from err


def mqtt_value(value: Json) -> Decimal | None:
    """Convert one variable of an MQTT message; None means that it is left out.

    Raises:
        OutOfRange: The number overflows a double, which drops the whole message.
    """
    if type(value) is not Literal:
        return None
    number = float(value)
    if math.isinf(number):
        raise OutOfRange(f"{value} overflows a double")
    return double_to_decimal(number)


def bound_text(value: Json) -> str | None:
    """Bind a scalar to a string, as the server's reader coerces numbers and booleans.

    Raises:
        JsonError: It is an array or an object.
    """
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    raise JsonError(f"{type(value).__name__} is not a string")


def is_blank(text: str) -> bool:
    """Tell whether Java calls the text blank; no-break spaces are not."""
    return all(c.isspace() and c not in "\x85\xa0\u2007\u202f" for c in text)


def _java_trim(text: str) -> str:
    """Strip everything up to U+0020 from both ends."""
    start, end = 0, len(text)
    while start < end and text[start] <= " ":
        start += 1
    while start < end and text[end - 1] <= " ":
        end -= 1
    return text[start:end]


def to_column(value: Decimal, *, places: int, integer_digits: int) -> Decimal:
    """Round half away from zero to a NUMERIC column.

    Raises:
        OutOfRange: The rounded value has too many integer digits.
    """
    if not value:
        return Decimal(0).scaleb(-places)
    if value.adjusted() > integer_digits:
        raise OutOfRange("numeric field overflow")
    if value.adjusted() < -places - 1:
        return Decimal(0).scaleb(-places)
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if rounded.adjusted() >= integer_digits and rounded:
        raise OutOfRange("numeric field overflow")
    return rounded or abs(rounded)
