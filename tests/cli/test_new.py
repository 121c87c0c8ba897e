"""A project is begun, and runs as it is."""

import asyncio
import configparser
import json
from pathlib import Path
import subprocess
import sys

import pytest

from sandbox import Sandbox
from sandbox.fixtures import DEV_A_TOKEN

from .command import DEADLINE_S, Command


async def python(command: Command, folder: Path, *words: str) -> tuple[int, str]:
    """Run Python as the project's user does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        cwd=folder,
        env=command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def texts(folder: Path) -> dict[str, str]:
    """Return what stands in the files of a folder."""
    return {file.name: file.read_text() for file in folder.iterdir()}


async def test_script_sends_as_it_is(
    bare: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    made = await bare("new", "dev-a", "--url", sandbox.url)
    assert made.code == 0
    assert made.out.endswith("Read dev-a/README.md, then run sensor.py.\n")
    command = bare.with_variables(SENSORVISION_API_KEY=DEV_A_TOKEN)
    assert await python(command, tmp_path / "dev-a", "sensor.py", "--once") == (0, "")
    (value,) = sandbox.store.values("dev-a")
    assert value.variable == "disk_free_percent"
    assert 0 <= value.value <= 100


async def test_script_says_why_nothing_is_sent(
    bare: Command, tmp_path: Path, unused_tcp_port: int
) -> None:
    await bare("new", "dev-a", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    command = bare.with_variables(
        SENSORVISION_API_KEY=DEV_A_TOKEN, SENSORVISION_RETRIES="0"
    )
    code, out = await python(command, tmp_path / "dev-a", "sensor.py", "--once")
    assert code == 1
    assert "WARNING Not sent: The connection to 127.0.0.1 failed" in out
    # It waits there for the server.
    assert (tmp_path / "dev-a" / "readings.db").exists()


async def test_test_of_the_script_passes(bare: Command, tmp_path: Path) -> None:
    await bare("new", "garden")
    # Its user has none of the plugins that are here.
    command = bare.with_variables(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    code, out = await python(command, tmp_path / "garden", *words)
    assert code == 0, out
    assert "1 passed" in out


async def test_unit_is_one_of_systemd(bare: Command, tmp_path: Path) -> None:
    await bare("new", "garden")
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(tmp_path / "garden" / "garden.service")
    assert unit["Service"]["ExecStart"] == "/opt/garden/.venv/bin/python sensor.py"
    assert unit["Service"]["EnvironmentFile"] == "/etc/garden.env"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


async def test_board_has_settings_and_a_sensor(bare: Command, tmp_path: Path) -> None:
    made = await bare("new", "--json", "garden-1", "--kind", "board")
    assert made.json() == {
        "folder": "garden-1",
        "kind": "board",
        "files": [".gitignore", "README.md", "garden_1_sensor.py", "settings.json"],
    }
    settings = json.loads((tmp_path / "garden-1" / "settings.json").read_text())
    assert settings["sensors"] == [{"type": "garden_1_sensor", "pin": 34}]
    source = (tmp_path / "garden-1" / "garden_1_sensor.py").read_text()
    assert "class GARDEN_1_SENSOR:" in source


@pytest.mark.parametrize("kind", ["sensor", "board"])
async def test_no_placeholder_and_no_secret_is_left(
    bare: Command, tmp_path: Path, kind: str
) -> None:
    command = bare.with_variables(SENSORVISION_API_KEY=DEV_A_TOKEN)
    await command("new", "1garden", "--kind", kind)
    for name, text in texts(tmp_path / "1garden").items():
        assert "$" not in text, name
        assert DEV_A_TOKEN not in text, name


@pytest.mark.parametrize("name", ["a/b", "..", "", "x" * 65, "größe"])
async def test_name_that_no_device_can_have_is_refused(
    bare: Command, tmp_path: Path, name: str
) -> None:
    ended = await bare("new", "--", name)
    assert ended.code == 12
    assert "can't be a device's id" in ended.err
    assert texts(tmp_path) == {}


async def test_what_is_there_is_not_written_over(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "garden").mkdir()
    ended = await bare("new", "garden")
    assert ended.code == 12
    assert ended.err.startswith("Error: garden is there already. ")
