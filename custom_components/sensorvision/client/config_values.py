"""Read one setting, from an argument, an environment's text or a file alike."""

from __future__ import annotations

import math
from pathlib import Path

from . import protocol
from .capabilities import INDCLOUD, SENSORVISION
from .protocol import ValidationError
from .secret import Secret
from .transport import normalize_url

TOPIC_PREFIXES = (INDCLOUD, SENSORVISION)

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class Unfit(ValueError):
    """A value that can't be what it was given for.

    Attributes:
        problem: what is wrong with it, without the value.
        remedy: what to do about it, a sentence.
        is_shown: whether the value may be repeated.
    """

    def __init__(self, problem: str, remedy: str, *, is_shown: bool = True) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.is_shown = is_shown


def read_text(value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise Unfit("is not a text", "Give some text, or leave it out")
    return value.strip()


def read_secret(value: object) -> Secret:
    """Return a secret that is not empty, with its blanks: they may belong to it."""
    if not isinstance(value, (str, Secret)) or not value:
        raise Unfit("is not a text", "Give it in quotes, or leave it out")
    return Secret(value)


def read_url(value: object) -> str:
    """Return a server's URL without the slash at its end."""
    try:
        return str(normalize_url(value if isinstance(value, str) else ""))
    except ValidationError as err:
        remedy = err.remedy
    # Raised outside of the handler; the text may hold a password.
    raise Unfit("is not a server's address", remedy, is_shown=False)


def read_urls(value: object) -> tuple[str, ...]:
    """Return URLs from a list, or from a text with commas or blanks between them."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, (list, tuple)):
        raise Unfit("is not a list", "Give URLs, with commas between them")
    return tuple(read_url(item) for item in value)


def read_device_id(value: object) -> str:
    """Return the id of a device."""
    try:
        return protocol.check_device_id(value if isinstance(value, str) else "")
    except ValidationError as err:
        raise Unfit("cannot be used", err.remedy) from err


def read_bool(value: object) -> bool:
    """Return yes or no."""
    text = str(value).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise Unfit("is neither yes nor no", "Give true or false")


def read_seconds(value: object) -> float:
    """Return a time to wait, which must end."""
    seconds = _number(value)
    if not 0 < seconds < math.inf:
        raise Unfit("is not a time", "Give seconds, such as 60")
    return seconds


def read_rate(value: object) -> float:
    """Return how many a second, or 0 for as many as there are."""
    rate = _number(value)
    if not 0 <= rate < math.inf:
        raise Unfit("is not a rate", "Give requests a second, or 0 for no limit")
    return rate


def read_count(value: object) -> int:
    """Return how often, or 0 for never."""
    count = _number(value)
    if not (0 <= count < math.inf and count.is_integer()):
        raise Unfit("is not a number of times", "Give a whole number, or 0 for never")
    return int(count)


def read_port(value: object) -> int:
    """Return a TCP port."""
    port = _number(value)
    if not (1 <= port <= 65535 and port.is_integer()):
        raise Unfit("is not a port", "Give a number from 1 to 65535")
    return int(port)


def read_host(value: object) -> str:
    """Return a host's name or address."""
    host = value.strip() if isinstance(value, str) else ""
    if not host or set(host) & set("/@ "):
        # It may be a URL with a password in it.
        raise Unfit(
            "is not a host's name or address",
            "Give it alone, such as broker.example.org; the port is mqtt_port",
            is_shown=False,
        )
    return host


def read_prefix(value: object) -> str:
    """Return what a server's topics begin with (contract 4.1)."""
    if value not in TOPIC_PREFIXES:
        raise Unfit(
            "is nothing that a server reads",
            f"Choose one of {', '.join(TOPIC_PREFIXES)}",
        )
    return str(value)


def read_path(value: object) -> Path:
    """Return a path, with the user's folder in place of `~`."""
    if not isinstance(value, Path):
        value = Path(read_text(value))
    return value.expanduser()


def read_file(value: object) -> Path:
    """Return the path of a file that is there."""
    path = read_path(value)
    if not path.is_file():
        raise Unfit("is no file", "Check the path")
    return path


def _number(value: object) -> float:
    """Return a number, or one that no bounds admit."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
