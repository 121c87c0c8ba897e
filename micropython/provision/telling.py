"""Say what happens: to a person as sentences, to a program as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
import io
import json
import sys
from typing import Any, TextIO

import click

# The whole command line keeps the wish under this name.
_JSON_KEY = "sensorvision.json"


def _note(context: click.Context, _option: click.Parameter, is_json: bool) -> None:
    """Keep the wish where every part of the command finds it."""
    if is_json:
        context.meta[_JSON_KEY] = True


json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_note,
    help="Print lines of JSON, for programs.",
)


def is_json() -> bool:
    """Tell whether the running command is to speak JSON."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(_JSON_KEY))


def tell(text: str, event: str = "message", **facts: object) -> None:
    """Say that something has happened.

    Args:
        text: to a person.
        event: a stable word for it.
        **facts: what a program wants to know of it.
    """
    if is_json():
        click.echo(_line({"event": event, "text": text.strip(), **facts}))
    else:
        click.echo(text)


def warn(text: str) -> None:
    """Say what is wrong, where it does not end the command by itself."""
    click.echo(_line({"warning": text}) if is_json() else text, err=True)


def tell_error(code: str, text: str) -> None:
    """Say what has ended the command.

    Args:
        code: a stable word for it.
        text: what is wrong, and in the sentences behind the first what to do.
    """
    if is_json():
        problem, _, remedy = text.partition(". ")
        told = {"error": code, "message": problem, "remedy": remedy}
        click.echo(_line(told), err=True)
    else:
        click.echo(f"{text}.", err=True)


def ask(text: str, **options: Any) -> str:  # noqa: ANN401
    """Ask the person at the terminal, beside what a program reads."""
    return str(click.prompt(text, err=is_json(), **options))


def bar_file() -> TextIO:
    """Return where progress is drawn, which a program does not look at."""
    return io.StringIO() if is_json() else sys.stdout


def _line(told: Mapping[str, object]) -> str:
    return json.dumps(told, ensure_ascii=False)
