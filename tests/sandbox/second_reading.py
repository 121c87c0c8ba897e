"""The server's rules for values, read a second time and written down in another way.

Nothing here comes from the sandbox: a character-by-character reader and integer
arithmetic judge what the sandbox does with decoders, regular expressions and decimals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
import math
import unicodedata

UNREADABLE = "HttpMessageNotReadableException"
ROLLED_BACK = "UnexpectedRollbackException"
STORED = "Data received successfully"

_MICRO = 10**6
_LEGACY_UNITS = {
    "kw_consumption": 10**12,
    "voltage": 10**10,
    "current": 10**10,
    "power_factor": 10**5,
    "frequency": 10**6,
}
"""The first number of thousandths that no longer fits."""


class Unreadable(Exception):
    """The text is not JSON."""


@dataclass(frozen=True)
class Number:
    """A number's characters."""

    text: str


@dataclass(frozen=True)
class Judgement:
    """What must be answered, and what must be stored in millionths."""

    status: int
    text: str
    stored: dict[str, int] = field(default_factory=dict)


class Reader:
    """Reads one JSON value from the start of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next character, or nothing at the end."""
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        """Consume a character."""
        character = self.peek()
        # An undecodable byte was let through as a lone surrogate.
        if not character or "\udc80" <= character <= "\udcff":
            raise Unreadable
        self.at += 1
        return character

    def expect(self, text: str) -> None:
        """Consume exactly this."""
        for character in text:
            if self.take() != character:
                raise Unreadable

    def blanks(self) -> None:
        """Consume blanks."""
        while self.peek() and self.peek() in " \t\r\n":
            self.at += 1

    def value(self) -> object:
        """Consume a value."""
        self.blanks()
        match self.peek():
            case "{":
                return self.members()
            case "[":
                return self.items()
            case '"':
                return self.string()
            case "t":
                self.expect("true")
                return True
            case "f":
                self.expect("false")
                return False
            case "n":
                self.expect("null")
                return None
        return self.number()

    def members(self) -> list[tuple[str, object]]:
        """Consume an object; of equal names the first place and the last value count."""
        self.expect("{")
        found: list[tuple[str, object]] = []
        self.blanks()
        if self.peek() == "}":
            self.take()
            return found
        while True:
            self.blanks()
            name = self.string()
            self.blanks()
            self.expect(":")
            value = self.value()
            places = [i for i, (known, _) in enumerate(found) if known == name]
            if places:
                found[places[0]] = (name, value)
            else:
                found.append((name, value))
            self.blanks()
            if self.take_one_of(",}") == "}":
                return found

    def items(self) -> tuple[object, ...]:
        """Consume an array."""
        self.expect("[")
        found: list[object] = []
        self.blanks()
        if self.peek() == "]":
            self.take()
            return ()
        while True:
            found.append(self.value())
            self.blanks()
            if self.take_one_of(",]") == "]":
                return tuple(found)

    def take_one_of(self, characters: str) -> str:
        """Consume one of these characters."""
        character = self.take()
        if character not in characters:
            raise Unreadable
        return character

    def string(self) -> str:
        """Consume a string."""
        self.expect('"')
        text = ""
        while (character := self.take()) != '"':
            if character < " ":
                raise Unreadable
            text += self.escape() if character == "\\" else character
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def escape(self) -> str:
        """Consume what follows a backslash."""
        character = self.take_one_of('"\\/bfnrtu')
        if character != "u":
            return dict(zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True))[character]
        code = 0
        for _ in range(4):
            code = 16 * code + "0123456789abcdef".index(
                self.take_one_of("0123456789abcdefABCDEF").lower()
            )
        return chr(code)

    def number(self) -> Number:
        """Consume a number as RFC 8259 spells it."""
        start = self.at
        if self.peek() == "-":
            self.take()
        if self.peek() == "0":
            self.take()
        else:
            self.digits()
        if self.peek() == ".":
            self.take()
            self.digits()
        if self.peek() and self.peek() in "eE":
            self.take()
            if self.peek() and self.peek() in "+-":
                self.take()
            self.digits()
        if self.at - start > 1000:
            raise Unreadable
        return Number(self.text[start : self.at])

    def digits(self) -> None:
        """Consume at least one digit."""
        self.take_one_of("0123456789")
        while self.peek() and self.peek() in "0123456789":
            self.take()


def parse(body: bytes) -> object:
    """Read the JSON value at the start of a UTF-8 body."""
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return Reader(text).value()


def _units(digits: int, exponent: int, scale: int) -> int:
    """Return ``digits · 10^exponent`` in units of ``10^-scale``, half away from zero."""
    shift = exponent + scale
    size = len(str(abs(digits))) + shift
    if not digits or size < -1:
        return 0
    if size > 40:
        return 10**40 if digits > 0 else -(10**40)
    exact = Fraction(abs(digits)) * Fraction(10) ** shift
    rounded = math.floor(exact + Fraction(1, 2))
    return rounded if digits > 0 else -rounded


def _java_decimal(text: str) -> tuple[int, int] | None:
    """Return digits and exponent of what Java's BigDecimal would read, else None."""
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    mantissa, mark, exponent = rest, "", ""
    for letter in "eE":
        if letter in rest:
            mantissa, mark, exponent = rest.partition(letter)
            break
    whole, _, fraction = mantissa.partition(".")
    digits = _digits(whole + fraction)
    if digits is None or not digits:
        return None
    power = 0
    if mark:
        negative = exponent.startswith("-")
        power_digits = _digits(exponent[1:] if exponent[:1] in ("+", "-") else exponent)
        if not power_digits or len(power_digits.lstrip("0")) > 10:
            return None
        power = int(power_digits) * (-1 if negative else 1)
        if not -(2**31) <= power < 2**31:
            return None
    power -= len(fraction)
    if not -(2**31) <= -power < 2**31:
        return None
    return int(sign + digits), power


def _digits(text: str) -> str | None:
    """Return the ASCII spelling of decimal digits of the basic plane, None for others."""
    spelled = ""
    for character in text:
        value = unicodedata.decimal(character, None)
        if value is None or ord(character) > 0xFFFF:
            return None
        spelled += str(value)
    return spelled


def _double(text: str) -> tuple[int, int] | None:
    """Return digits and exponent of a double's shortest spelling; None if it overflows."""
    number = float(text)
    if number in (math.inf, -math.inf):
        return None
    mantissa, _, power = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    return int(whole + fraction), int(power or 0) - len(fraction)


_WRONG_TYPES = ((bool, "Boolean"), (tuple, "ArrayList"), (list, "LinkedHashMap"))


def _convert(name: str, value: object) -> tuple[int, int] | str:
    """Return digits and exponent of a member of a simple ingest, or why it is refused."""
    if isinstance(value, Number):
        return _double(value.text) or (
            "Character I is neither a decimal digit number, decimal point, "
            'nor "e" notation exponential mark.'
        )
    if isinstance(value, str):
        return _java_decimal(value) or (
            f"Invalid numeric value for field '{name}': '{value}' is not a valid number"
        )
    (kind,) = (kind for of, kind in _WRONG_TYPES if isinstance(value, of))
    return (
        f"Unsupported data type for field '{name}': {kind} "
        "(expected number or numeric string)"
    )


def _fits(name: str, digits: int, exponent: int) -> bool:
    """Tell whether a value fits every column that it goes to, and its name too."""
    limit = _LEGACY_UNITS.get(name)
    if limit is not None and abs(_units(digits, exponent, 3)) >= limit:
        return False
    if len(name) > 100 or "\0" in name:
        return False
    return abs(_units(digits, exponent, 6)) < 10**14 * _MICRO


def judge(body: bytes) -> Judgement:
    """Judge the body of a simple ingest that is otherwise in order."""
    try:
        members = parse(body)
    except Unreadable:
        return Judgement(500, UNREADABLE)
    if not isinstance(members, list):
        return Judgement(500, UNREADABLE)
    numbers: dict[str, tuple[int, int]] = {}
    for name, value in members:
        if value is None:
            continue
        converted = _convert(name, value)
        if isinstance(converted, str):
            return Judgement(400, converted)
        numbers[name] = converted
    if not numbers:
        return Judgement(400, "At least one numeric variable is required")
    if not all(_fits(name, *number) for name, number in numbers.items()):
        return Judgement(500, ROLLED_BACK)
    stored = {name: _units(*number, 6) for name, number in numbers.items()}
    return Judgement(200, STORED, stored)


@dataclass(frozen=True)
class BulkItem:
    """What one item of a bulk request must leave: its message, time and values."""

    message: str
    at: datetime | None = None
    stored: dict[str, int] = field(default_factory=dict)


def judge_bulk(body: bytes) -> list[BulkItem] | None:
    """Judge a bulk request; None if it does not bind."""
    try:
        items = parse(body)
        if not isinstance(items, tuple):
            return None
        return [_judge_item(dict(_object(item))) for item in items]
    except Unreadable:
        return None


def _object(value: object) -> list[tuple[str, object]]:
    """Return the members of an object."""
    if not isinstance(value, list):
        raise Unreadable
    return value


def _judge_item(item: dict[str, object]) -> BulkItem:
    """Judge one item."""
    device_id, timestamp = _text(item.get("deviceId")), _text(item.get("timestamp"))
    variables = item.get("variables")
    numbers = None if variables is None else dict(_bound(_object(variables)))
    if item.get("metadata") is not None:
        _object(item["metadata"])
    if device_id is None or numbers is None:
        return BulkItem("deviceId and variables are required")
    failed = BulkItem("Internal server error")
    at = None
    if timestamp is not None and (at := _instant(timestamp)) is None:
        return failed
    kept = {name: number for name, number in numbers.items() if number is not None}
    if not all(_fits(name, *number) for name, number in kept.items()):
        return failed
    if len(device_id) > 64 or "\0" in device_id:
        return failed
    stored = {name: _units(*number, 6) for name, number in kept.items()}
    return BulkItem("Telemetry data ingested successfully", at, stored)


def _text(value: object) -> str | None:
    """Turn a scalar into a text."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    raise Unreadable


def _bound(
    members: list[tuple[str, object]],
) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Bind values exactly; anything but numbers, numeric strings and null does not bind."""
    for name, value in members:
        if value is None:
            yield name, None
            continue
        if not isinstance(value, (Number, str)):
            raise Unreadable
        text = value.text if isinstance(value, Number) else value
        if isinstance(value, str):
            while text and (text[0] <= " " or text[-1] <= " "):
                text = text[1:] if text[0] <= " " else text[:-1]
            if not text:
                yield name, None
                continue
        number = _java_decimal(text)
        if number is None:
            raise Unreadable
        yield name, number


def _instant(text: str) -> datetime | None:
    """Return the instant of an ISO text with a zone, None if the server refuses it."""
    if len(text) < 20 or any(c not in "0123456789-:.+TtZz" for c in text):
        return None
    zone_at = max(text.rfind(c) for c in "Zz+-")
    local, zone = text[:zone_at], text[zone_at:]
    seconds, point, fraction = local.partition(".")
    if len(seconds) != 19 or seconds[10] not in "Tt":
        return None
    if point and not (0 < len(fraction) <= 9 and fraction.isdecimal()):
        return None
    if zone in ("Z", "z"):
        offset = timedelta()
    elif len(zone) == 6 and zone[3] == ":" and (zone[1:3] + zone[4:]).isdecimal():
        minutes = int(zone[1:3]) * 60 + int(zone[4:])
        if int(zone[4:]) > 59 or minutes > 18 * 60:
            return None
        offset = timedelta(minutes=minutes if zone[0] == "+" else -minutes)
    else:
        return None
    day, time_of_day = seconds[:10], seconds[11:]
    extra = timedelta()
    if time_of_day == "24:00:00" and not fraction.strip("0"):
        time_of_day, extra = "00:00:00", timedelta(days=1)
    elif time_of_day == "23:59:60":
        time_of_day = "23:59:59"
    try:
        at = datetime.strptime(f"{day}T{time_of_day}+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    micros = math.floor(Fraction(int(fraction.ljust(9, "0")), 1000) + Fraction(1, 2))
    return at + extra - offset + timedelta(microseconds=micros)
