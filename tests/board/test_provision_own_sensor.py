"""A project with a sensor of its own goes onto a board as it is."""

from pathlib import Path

import pytest

from micropython.provision.errors import Exit
from sandbox import Sandbox
from tests.cli.command import Command

from .conftest import TOKEN, Plug, wlan

_WORLD = {"adc": {"34": 32768}, "wlan": wlan()}


async def test_new_project_delivers_what_its_sensor_reads(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    command = Command(tmp_path, {"SENSORVISION_TOKEN": TOKEN})
    made = await command("new", "dev-a", "--kind", "board", "--url", sandbox.url)
    assert made.code == 0, made.err
    port = await plug(world=_WORLD)
    own = ("--port", port, "--own-sensor", "dev-a/dev_a_sensor.py")
    flashed = await command("board", "flash", *own, "--settings", "dev-a/settings.json")
    assert flashed.code == Exit.DONE, flashed.out + flashed.err
    (value, *_) = sandbox.store.values("dev-a", "level")
    assert value.value == 50
    # Brought up to date without it, the sensor would be taken off the board.
    without = await command("board", "update", "--port", port)
    assert without.code == Exit.SETTINGS
    assert "dev_a_sensor" in without.err
    again = await command("board", "update", *own)
    assert again.code == Exit.DONE, again.out + again.err
    assert "0 files copied" in again.out


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("soil.py", None, "is no file of Python"),
        ("soil.txt", "", "is no file of Python"),
        ("dht22.py", "class DHT22:\n    OPTIONS = {}\n", "has the name of one of"),
        ("soil.py", "class SOIL:\n  (", "can't be used: "),
        ("soil.py", "import no_such_module", "can't be used: "),
        ("soil.py", "class Soil:\n    OPTIONS = {}\n", "can't be used: "),
        ("soil.py", "class SOIL:\n    OPTIONS = 1\n", "can't be used: "),
    ],
)
async def test_file_without_a_sensor_is_refused_before_the_board_is_touched(
    tmp_path: Path, name: str, text: str | None, problem: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    verb = "update" if name == "soil.txt" else "flash"
    words = ("board", verb, "--port", "/dev/none", "--own-sensor", name)
    ended = await Command(tmp_path)(*words)
    assert ended.code == Exit.SETTINGS
    assert ended.err.startswith(f"--own-sensor {name} {problem}")
    assert f"a class {Path(name).stem.upper()} with OPTIONS" in ended.err
