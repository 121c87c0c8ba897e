"""`sensorvision new`: begin a project that runs as it is."""

from __future__ import annotations

from pathlib import Path
import re
from string import Template

import click

from .commands import command
from .exits import Exit
from .failures import CommandError
from .output import is_json, say, show

_TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".template"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_FIRST_STEP = {
    "sensor": "Read {name}/README.md, then run sensor.py.",
    "board": "Read {name}/README.md, then plug in the board.",
}


@command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["sensor", "board"]),
    default="sensor",
    show_default=True,
    help="A script for a computer such as a Raspberry Pi, or a microcontroller.",
)
@click.option(
    "--url",
    envvar="SENSORVISION_URL",
    default="https://sensorvision.example",
    show_default=True,
    help="Where the server is.",
)
def new(name: str, kind: str, url: str) -> Exit:
    """Make a folder NAME with a project that sends readings; NAME is its device's id.

    A sensor's has a script with a test, its settings and a unit for systemd; a board's has
    a sensor of your own, its settings, and the commands that put it there.
    """
    folder = Path(name)
    if not _NAME.fullmatch(name):
        raise CommandError(
            "validation",
            f"The name {name!r} can't be a device's id",
            "Use letters, digits, dots, dashes and underscores, at most 64",
            Exit.DATA,
        )
    if folder.exists():
        raise CommandError(
            "file",
            f"{folder} is there already",
            "Choose another name, or another folder to begin in",
            Exit.DATA,
        )
    words = {"name": name, "url": url, **_sensor_words(name)}
    written = _write(_TEMPLATES / kind, folder, words)
    if is_json():
        show({"folder": str(folder), "kind": kind, "files": written})
    say(f"Made {name} with {', '.join(written)}.")
    say(_FIRST_STEP[kind].format(name=name))
    return Exit.DONE


def _sensor_words(name: str) -> dict[str, str]:
    """Return what a board calls a sensor of this name, and its class (docs/board.md)."""
    letters = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    # Not one of the port's own, which are called after their chips.
    type_ = f"{letters}_sensor" if letters[0].isalpha() else f"own_{letters}_sensor"
    return {"sensor_type": type_, "sensor_class": type_.upper()}


def _write(templates: Path, folder: Path, words: dict[str, str]) -> list[str]:
    """Write a project from its templates; return its files."""
    names = {
        "gitignore": ".gitignore",
        "own.py": f"{words['sensor_type']}.py",
        "unit.service": f"{words['name']}.service",
    }
    folder.mkdir()
    written = []
    for template in sorted(templates.glob(f"*{_SUFFIX}")):
        kind = template.name[: -len(_SUFFIX)]
        text = Template(template.read_text(encoding="utf-8")).substitute(words)
        target = folder / names.get(kind, kind)
        target.write_text(text, encoding="utf-8")
        written.append(target.name)
    return sorted(written)
