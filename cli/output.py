"""Say things to people, or the same as JSON to programs."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Sequence

import click

# The board's commands are given it by the same name, and import nothing from here.
JSON_KEY = "sensorvision.json"

_SECONDS = ((86400, "d"), (3600, "h"), (60, "min"))


def wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON, even one that can't be read."""
    before = list(arguments)
    return "--json" in (before[: before.index("--")] if "--" in before else before)


def is_json() -> bool:
    """Tell whether the running command is to speak JSON."""
    return bool(click.get_current_context().meta.get(JSON_KEY))


def say(text: str) -> None:
    """Say something to a person; a program is told by `show`."""
    if not is_json():
        click.echo(text)


def warn(text: str, **facts: object) -> None:
    """Tell of trouble that does not end the command."""
    if is_json():
        click.echo(_json({"warning": text, **facts}), err=True)
    else:
        click.echo(text, err=True)


def show(document: object) -> None:
    """Print a document of JSON on one line."""
    click.echo(_json(document))


def instant(moment: dt.datetime | None) -> str | None:
    """Return a moment as JSON has it: ISO, UTC, `Z`."""
    if moment is None:
        return None
    return moment.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")


def age(moment: dt.datetime | None, now: dt.datetime) -> str:
    """Say how long ago something was, in the two largest units."""
    if moment is None:
        return "never"
    seconds = round((now - moment).total_seconds())
    if seconds < 0:
        return f"in {-seconds} s"
    for size, unit in _SECONDS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def number(value: float) -> str:
    """Return a number as short as it can be said."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e14 else str(value)


def _json(document: Any) -> str:  # noqa: ANN401
    return json.dumps(document, ensure_ascii=False)
