"""The newest values that a watch knows, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt
from typing import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from .output import age, instant, is_json, number, warn
from .tables import table


@dataclass(frozen=True)
class Newest:
    """The newest value of a variable."""

    device_id: str
    variable: str
    value: float
    unit: str
    timestamp: dt.datetime

    def as_json(self) -> dict[str, object]:
        """Return it as a line of JSON has it, which `replay` reads."""
        return {
            "device": self.device_id,
            "variable": self.variable,
            "value": self.value,
            "unit": self.unit or None,
            "timestamp": instant(self.timestamp),
        }


Update = Callable[[Sequence[Newest]], None]


class Values:
    """The newest value of each variable.

    Attributes:
        trouble: why nothing new comes, or "".
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._values: dict[tuple[str, str], Newest] = {}

    def fail(self, problem: str) -> None:
        """Note that nothing new comes for now; a program is told once."""
        if is_json() and not self.trouble:
            warn(problem)
        self.trouble = f"{problem.rstrip('.')}. Trying again."

    def take(self, found: Iterable[Newest]) -> list[Newest]:
        """Take in what was found; return what is new of it."""
        new = []
        for each in found:
            key = each.device_id, each.variable
            before = self._values.get(key)
            if before is None or each.timestamp > before.timestamp:
                self._values[key] = each
                new.append(each)
        return new

    def shown(self, now: dt.datetime | None = None) -> RenderableType:
        """Return a table of them, with how old each is now."""
        now = now or dt.datetime.now(dt.timezone.utc)
        rows = [
            (
                each.device_id,
                each.variable,
                " ".join(filter(None, (number(each.value), each.unit))),
                age(each.timestamp, now),
            )
            for _, each in sorted(self._values.items())
        ]
        if not rows:
            return Text(self.trouble or "No values yet.")
        shown = table(("device", "variable", "value", "age"), rows)
        return Group(shown, Text(self.trouble)) if self.trouble else shown
