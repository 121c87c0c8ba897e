"""The command `sensorvision` and its groups of commands."""

from __future__ import annotations

from importlib import import_module
import sys
from typing import Sequence

import click

from sensorvision import SensorVisionError, build_info

from .exits import Exit, epilog
from .failures import CommandError
from .output import wants_json

# Loaded when they are used: some need libraries that the others do without, and the
# completion of a word should not wait for any.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "board": (".board.cli", "board", "Put the port on boards, and look after them."),
    "completion": (".completion", "completion", "Let a shell complete words."),
    "config": (
        ".configuration",
        "show_config",
        "Show the settings, and where each comes from.",
    ),
    "devices": (".devices", "devices", "List and change devices."),
    "doctor": (".doctor", "doctor", "Try all that sending needs; store nothing."),
    "new": (".new", "new", "Begin a project: a sensor's script, or a board."),
    "replay": (".replay", "replay", "Send a file of readings, with their times."),
    "send": (".send", "send", "Send numbers of a device."),
    "watch": (".watch", "watch", "Show the newest values and their age, live."),
}


class _LazyGroup(click.Group):
    """A group that loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands that can be loaded."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, if there is one of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        try:
            loaded = import_module(module, __package__)
        except ModuleNotFoundError as err:
            extra = "board" if cmd_name == "board" else "cli"
            raise CommandError(
                "config",
                f"`sensorvision {cmd_name}` needs {err.name}, which is not installed",
                f'Install it with pip install "sensorvision[{extra}]"',
                Exit.SETTINGS,
            ) from err
        command: click.Command = getattr(loaded, attribute)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, told[2]) for name, told in _COMMANDS.items()])


@click.group(cls=_LazyGroup, epilog=epilog(is_whole=True))
@click.version_option(
    build_info().version,
    prog_name="sensorvision",
    message=(
        f"%(prog)s %(version)s ({build_info().revision})"
        f" {build_info().implementation} {build_info().python}"
    ),
)
def sensorvision() -> None:
    """Readings to a SensorVision server, from this machine and from boards.

    Settings come from options, then from variables such as SENSORVISION_URL, then from
    sensorvision.toml. Secrets never stand on the command line: they come from
    SENSORVISION_API_KEY (a device's token or a user key) or SENSORVISION_PASSWORD, from
    the file, or are asked for.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process.

    Args:
        arguments: the words after the command's name, by default those of the process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_run(words))


def _run(words: Sequence[str]) -> int:
    """Run the command line and return how it ends."""
    try:
        code = sensorvision.main(words, prog_name="sensorvision", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return _failed(
            CommandError("interrupted", "Interrupted", "", Exit.INTERRUPTED), words
        )
    except (click.ClickException, CommandError, SensorVisionError, OSError) as err:
        return _failed(CommandError.of(err), words)
    return int(code or 0)


def _failed(err: CommandError, words: Sequence[str]) -> int:
    err.show(is_json=wants_json(words))
    return err.exit
