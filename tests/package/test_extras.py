"""What is said where a library of an extra, or the client, is missing."""

from pathlib import Path
import subprocess
import sys

import pytest

from .conftest import ROOT


def failed(program: str, *options: str, folder: Path = ROOT) -> tuple[int, str]:
    """Run a program that fails; return how it ended, and the last line that it said."""
    ended = subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr.rstrip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("SensorVisionClient", "requests", "sync"), ("MQTTClient", "aiomqtt", "mqtt")],
)
def test_name_that_needs_a_library_says_how_to_get_it(
    name: str, library: str, extra: str
) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None; from sensorvision import {name}"
    )
    assert failed(program) == (
        1,
        (
            f"ImportError: {name} needs {library}, which is not installed: "
            f'pip install "sensorvision[{extra}]"'
        ),
    )


def test_command_line_says_how_to_get_what_it_is_built_on() -> None:
    program = (
        "import sys; sys.modules['click'] = None; from cli.__main__ import run; run()"
    )
    assert failed(program) == (
        6,
        (
            "The command line needs click, which is not installed: "
            'pip install "sensorvision[cli]"'
        ),
    )


def test_fault_of_the_installation_is_not_taken_for_a_missing_extra() -> None:
    program = (
        "import sys; sys.modules['cli.failures'] = None;"
        " from cli.__main__ import run; run()"
    )
    code, said = failed(program)
    assert code == 1
    assert said.startswith("ModuleNotFoundError: import of cli.failures halted")


def test_boards_files_need_the_client_beside_them(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'micropython')!r});"
        " from provision.manifest import device_files; device_files()"
    )
    assert failed(program, "-P", folder=tmp_path) == (
        1,
        "ModuleNotFoundError: sensorvision",
    )
