"""The command `sensorvision` and its groups of commands."""

from __future__ import annotations

from importlib import import_module

import click

from sensorvision import build_info

# Loaded when they are used: each needs libraries that the others do without.
_GROUPS: dict[str, tuple[str, str]] = {"board": (".board.cli", "board")}


class _LazyGroup(click.Group):
    """A group that loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands that are loaded and those that can be."""
        return sorted([*super().list_commands(ctx), *_GROUPS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, if there is one of this name."""
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        module, attribute = _GROUPS[cmd_name]
        command: click.Command = getattr(import_module(module, __package__), attribute)
        return command


@click.group(cls=_LazyGroup)
@click.version_option(
    build_info().version,
    prog_name="sensorvision",
    message=f"%(prog)s %(version)s ({build_info().revision})",
)
def sensorvision() -> None:
    """Readings to a SensorVision server, from this machine and from boards."""


def main() -> None:
    """Run the command line and end the process."""
    sensorvision(prog_name="sensorvision")
