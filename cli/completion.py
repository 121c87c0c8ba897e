"""`sensorvision completion`: let a shell complete the command's words."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from .commands import command
from .exits import Exit
from .output import is_json, show

_VARIABLE = "_SENSORVISION_COMPLETE"
_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@command("completion")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> Exit:
    r"""Print what SHELL reads to complete commands and options.

    \b
    bash: echo 'eval "$(sensorvision completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(sensorvision completion zsh)"' >> ~/.zshrc
    fish: sensorvision completion fish > ~/.config/fish/completions/sensorvision.fish
    """
    root = click.get_current_context().find_root()
    script = _SHELLS[shell](root.command, {}, "sensorvision", _VARIABLE).source()
    if is_json():
        show({"shell": shell, "script": script})
    else:
        click.echo(script)
    return Exit.DONE
