"""`sensorvision config`: the settings in force, and where each comes from."""

from __future__ import annotations

import json

from sensorvision.config import SETTINGS, Config

from .commands import command, with_config
from .exits import Exit
from .output import is_json, show
from .tables import print_table


@command("config")
@with_config
def show_config(config: Config) -> Exit:
    """Show the settings in force, and where each comes from; secrets as ***."""
    told = {name: _shown(getattr(config, name)) for name in SETTINGS}
    if is_json():
        show(
            {
                name: {"value": value, "source": _source(config, name)}
                for name, value in told.items()
            }
        )
    else:
        print_table(
            ("setting", "value", "source"),
            [
                (name, _text(value), _source(config, name))
                for name, value in told.items()
            ],
        )
    return Exit.DONE


def _shown(value: object) -> object:
    """Return a setting as JSON can say it, and a secret as `***`."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, tuple):
        return list(value)
    return str(value)


def _text(value: object) -> str:
    """Return a setting as the file of settings has it, or nothing."""
    if value is None or value == []:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _source(config: Config, name: str) -> str:
    return config.origins.get(name, "default")
