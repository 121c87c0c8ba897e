"""Turn whatever can go wrong into one sentence, one remedy and one exit code."""

from __future__ import annotations

import json

import click

from sensorvision import (
    AuthenticationError,
    CapabilityError,
    ConfigError,
    DeviceError,
    DeviceExistsError,
    NetworkError,
    PayloadError,
    SensorVisionError,
    SubscriptionError,
    TokenExistsError,
    ValidationError,
)

from .exits import Exit

_EXITS: tuple[tuple[type[SensorVisionError], Exit], ...] = (
    (ConfigError, Exit.SETTINGS),
    (ValidationError, Exit.DATA),
    (CapabilityError, Exit.CAPABILITY),
    (NetworkError, Exit.NETWORK),
    (AuthenticationError, Exit.ACCOUNT),
    (DeviceError, Exit.ACCOUNT),
    (DeviceExistsError, Exit.ACCOUNT),
    (TokenExistsError, Exit.ACCOUNT),
    (PayloadError, Exit.DATA),
    (SubscriptionError, Exit.ACCOUNT),
)


class CommandError(Exception):
    """The command stops here.

    Attributes:
        code: a stable word for it, as the client's exceptions have.
        problem: what is wrong, a sentence without its stop.
        remedy: what to do about it, a sentence without its stop.
        exit: how the command ends.
    """

    def __init__(self, code: str, problem: str, remedy: str, exit_: Exit) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.exit = exit_

    @classmethod
    def of(
        cls,
        err: CommandError | click.ClickException | SensorVisionError | OSError,
    ) -> CommandError:
        """Say of another exception what the command says of it."""
        if isinstance(err, CommandError):
            return err
        if isinstance(err, click.ClickException):
            return cls("usage", err.format_message(), _usage_remedy(err), Exit.USAGE)
        if isinstance(err, SensorVisionError):
            return cls(*_words(err), exit_of(err))
        name = f"{err.filename} can't be used: " if err.filename else ""
        problem = f"{name}{err.strerror or type(err).__name__}"
        return cls("file", problem, "Check the path and its rights", Exit.DATA)

    def show(self, *, is_json: bool) -> None:
        """Tell the person, or the program, that called."""
        if is_json:
            document = {
                "error": self.code,
                "message": self.problem,
                "remedy": self.remedy,
            }
            click.echo(json.dumps(document, ensure_ascii=False), err=True)
        else:
            text = f"Error: {_stopped(self.problem)} {_stopped(self.remedy)}"
            click.echo(text.rstrip(), err=True)


def exit_of(err: SensorVisionError) -> Exit:
    """Return how the command ends after one of the client's exceptions."""
    return next((code for kind, code in _EXITS if isinstance(err, kind)), Exit.SERVER)


def _words(err: SensorVisionError) -> tuple[str, str, str]:
    """Return an exception's code, its problem and its remedy."""
    text = str(err).rstrip(".")
    remedy = str(getattr(err, "remedy", "")).rstrip(".")
    if remedy and text.endswith(remedy):
        text = text[: -len(remedy)].rstrip(". ")
    return str(err.code), text, remedy


def _usage_remedy(err: click.ClickException) -> str:
    context = getattr(err, "ctx", None)
    path = context.command_path if context else "sensorvision"
    return f"See `{path} --help`"


def _stopped(text: str) -> str:
    """Return a text that ends as a sentence does."""
    if not text:
        return text
    return text if text.endswith((".", "?", "!")) else f"{text}."
