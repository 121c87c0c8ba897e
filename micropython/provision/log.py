"""Follow what a board prints until its first reading has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import time

import serial  # type: ignore[import-untyped]

from .errors import ProvisionError
from .ports import check_access

_BAUD = 115200
_READ_TIMEOUT_S = 0.2
_REOPEN_INTERVAL_S = 0.5

_DELIVERED = "delivered "
# A person has to act before anything can arrive: no use in waiting.
_HOPELESS = ("settings: ", "refused: ")
_TROUBLE = (*_HOPELESS, "not delivered: ", "dropped ", "sensor ")


@dataclass(frozen=True)
class Outcome:
    """How the board's first minute went.

    Attributes:
        delivered: what arrived at the server, or None.
        trouble: the last trouble that the board spoke of, or "".
    """

    delivered: str | None
    trouble: str


def follow(lines: Iterator[str], show: Callable[[str], None]) -> Outcome:
    """Read a board's log until a reading has been delivered, or can't be.

    Args:
        lines: what the board prints; ends at a deadline.
        show: is given every line.
    """
    trouble = ""
    for line in lines:
        show(line)
        if line.startswith(_DELIVERED):
            return Outcome(line[len(_DELIVERED) :], trouble)
        if line.startswith(_TROUBLE):
            trouble = line
        if line.startswith(_HOPELESS):
            break
    return Outcome(None, trouble)


def lines(port: str, timeout_s: float) -> Iterator[str]:
    """Yield what a board prints, until a deadline.

    A port that goes away is opened again: a board with USB of its own takes its port along
    when it resets.

    Args:
        port: the board's.
        timeout_s: seconds until the deadline.
    """
    deadline_s = time.monotonic() + timeout_s
    rest = b""
    while time.monotonic() < deadline_s:
        try:
            with serial.Serial(
                check_access(port), _BAUD, timeout=_READ_TIMEOUT_S
            ) as connection:
                while time.monotonic() < deadline_s:
                    *whole, rest = (
                        rest + connection.read(connection.in_waiting or 1)
                    ).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace").strip()
        except (OSError, ProvisionError):
            time.sleep(_REOPEN_INTERVAL_S)
