"""The command that the installation puts on the path."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING, Mapping

import pytest
from sensorvision_cli.board import release, settings
from sensorvision_cli.board.errors import ProvisionError

import sensorvision

if TYPE_CHECKING:
    from .conftest import Servers

COMMAND = Path(sys.executable).with_name("sensorvision")


def run(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command as its users do."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
    )


def test_version_and_revision_are_told() -> None:
    info = sensorvision.build_info()
    ended = run("--version")
    assert ended.stdout.startswith(f"sensorvision {info.version} ({info.revision})")


def test_reading_is_sent(servers: Servers) -> None:
    environment = {
        "SENSORVISION_URL": servers.url,
        "SENSORVISION_API_KEY": servers.token,
    }
    name = f"command_{os.getpid()}"
    ended = run("send", "dev-a", f"{name}=7.5", "--json", environment=environment)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)
    with sensorvision.SensorVisionClient(
        servers.url, username=servers.username, password=servers.password
    ) as reader:
        assert reader.latest_values("dev-a")[name] == 7.5


@pytest.mark.parametrize("kind", ["sensor", "board"])
def test_project_is_begun_from_templates_in_the_installation(
    kind: str, tmp_path: Path
) -> None:
    ended = run("new", "greenhouse", f"--kind={kind}", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "greenhouse" in (tmp_path / "greenhouse" / "README.md").read_text()


def test_commands_for_boards_are_there() -> None:
    ended = run("board", "--help")
    assert ended.returncode == 0, ended.stderr
    assert "flash" in ended.stdout


def test_port_for_boards_is_written_from_the_installation(tmp_path: Path) -> None:
    directory = tmp_path / "release"
    ended = run("board", "update", f"--release={directory}")
    assert ended.returncode == 0, ended.stderr
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == release.port_version()
    assert {"protocol.mpy", "node.mpy", "sensors/bme280.mpy"} <= set(manifest["files"])


def test_boards_settings_are_checked_by_the_boards_own_rules() -> None:
    board = {
        "url": "http://127.0.0.1",
        "token": "11111111-1111-4111-8111-111111111111",
        "device_id": "dev-a",
        "sensors": [{"type": "bme280", "sda": 21, "scl": 22}],
    }
    settings.check(board)
    with pytest.raises(ProvisionError, match="Did you mean sda"):
        settings.check({**board, "sensors": [{"type": "bme280", "sdaa": 21}]})
