"""What all commands have in common: their options, and how they get a client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import functools
from pathlib import Path
import sys
from typing import Any, Awaitable, Callable, TypeVar

import click

from sensorvision import AsyncSensorVisionClient
from sensorvision.config import Config, load_config
from sensorvision.secret import Secret

from .exits import Exit, epilog
from .output import JSON_KEY

T = TypeVar("T")

FILE = click.Path(path_type=Path)


def _note_json(context: click.Context, _option: click.Parameter, is_json: bool) -> None:
    """Keep the wish where every part of the command finds it."""
    if is_json:
        context.meta[JSON_KEY] = True


json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_note_json,
    help="Print JSON, for programs.",
)

_settings_options = (
    click.option(
        "--config", "config_file", type=FILE, metavar="FILE", help="Settings as TOML."
    ),
    click.option("--url", metavar="URL", help="The server's, such as https://host."),
    click.option(
        "--username", metavar="NAME", help="Account; its password is asked for."
    ),
    click.option(
        "--ca", "ca_file", metavar="FILE", help="Certificate of the server's authority."
    ),
    click.option(
        "--timeout", "timeout_s", type=float, metavar="SECONDS", help="For an answer."
    ),
)


def command(
    name: str, group: click.Group | None = None
) -> Callable[[Callable[..., Exit]], click.Command]:
    """Make a command that speaks JSON at will, and whose help lists the exit codes.

    Args:
        name: what it is called.
        group: whose command it is, or None for that of the whole.
    """

    def make(function: Callable[..., Exit]) -> click.Command:
        made = click.command(name, epilog=epilog())(json_option(function))
        if group:
            group.add_command(made)
        return made

    return make


def with_config(function: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options for settings, as one argument `config`."""

    @functools.wraps(function)
    def gather(config_file: Path | None, **others: Any) -> T:  # noqa: ANN401
        names = ("url", "username", "ca_file", "timeout_s")
        given = {name: others.pop(name) for name in names}
        return function(config=read_config(config_file, given), **others)

    decorated: Callable[..., T] = gather
    for option in reversed(_settings_options):
        decorated = option(decorated)
    return decorated


def read_config(file: Path | None, given: dict[str, Any]) -> Config:
    """Return the settings in force; a password that is missing is asked for.

    Raises:
        ConfigError: one of them is wrong.
    """
    told = {name: value for name, value in given.items() if value is not None}
    config = load_config(file, **told)
    has_credential = config.password or config.api_key or config.user_key
    if config.username and not has_credential and sys.stdin.isatty():
        password = click.prompt(
            f"Password of {config.username} (not shown)", hide_input=True, err=True
        )
        return replace(config, password=Secret(password))
    return config


def run_client(
    config: Config, action: Callable[[AsyncSensorVisionClient], Awaitable[T]]
) -> T:
    """Do something with a client of the server that the settings name.

    Raises:
        ConfigError: a setting is wrong or missing.
        SensorVisionError: what else the client raises.
    """
    config.require("url")
    config.credential()

    async def run() -> T:
        async with AsyncSensorVisionClient.from_config(config) as client:
            return await action(client)

    return asyncio.run(run())
