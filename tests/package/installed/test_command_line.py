"""The command that the installation puts on the path."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest
from sensorvision_cli.board import release, settings
from sensorvision_cli.board.errors import ProvisionError

import sensorvision

COMMAND = Path(sys.executable).with_name("sensorvision")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as its users do."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_version_and_revision_are_told() -> None:
    info = sensorvision.build_info()
    ended = run("--version")
    assert ended.stdout == f"sensorvision {info.version} ({info.revision})\n"


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
