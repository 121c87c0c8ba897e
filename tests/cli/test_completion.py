"""A shell completes the command's words."""

import asyncio
from pathlib import Path
import subprocess
import sys

import pytest

from .command import ROOT, Command


@pytest.fixture
def command(bare: Command) -> Command:
    """Return the command with a `sensorvision` on the path."""
    script = bare.folder / "bin" / "sensorvision"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli "$@"\n')
    script.chmod(0o755)
    return bare.with_variables(PATH=f"{script.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("sensorvision re", ["replay"]),
        ("sensorvision devices s", ["show"]),
        ("sensorvision new --kind b", ["board"]),
        ("sensorvision replay --str", ["--strict"]),
    ],
)
async def test_bash_completes(
    command: Command, words: str, completed: list[str]
) -> None:
    script = await command("completion", "bash")
    assert script.code == 0
    (command.folder / "completion").write_text(script.out)
    asked = (
        "source ./completion\n"
        f"COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}\n"
        "_sensorvision_completion sensorvision\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    shell = await asyncio.create_subprocess_exec(
        *("bash", "--norc", "-c", asked),
        cwd=command.folder,
        env=command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await shell.communicate()
    assert (out.decode().split(), err.decode()) == (completed, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_script_is_given_to_programs(bare: Command, shell: str) -> None:
    told = (await bare("completion", "--json", shell)).json()
    assert told["shell"] == shell
    assert "_SENSORVISION_COMPLETE" in told["script"]


async def test_listing_commands_loads_none_of_their_libraries(bare: Command) -> None:
    """So that it also works where an extra is not installed."""
    asked = (
        "import sys; from cli.main import sensorvision, main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rich', 'serial', 'aiomqtt') if name in sys.modules])"
    )
    python = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", asked),
        cwd=bare.folder,
        env={**bare.environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    out, _ = await python.communicate()
    assert out.decode().splitlines()[-1] == "[]"


async def test_missing_extra_is_named_with_its_remedy(
    bare: Command, tmp_path: Path
) -> None:
    # Found before the library itself, and as good as none.
    (tmp_path / "rich.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')"
    )
    command = bare.with_variables(PYTHONPATH=f"{tmp_path}:{ROOT}")
    ended = await command("watch", "--json")
    assert ended.code == 6
    assert ended.error()["message"] == (
        "`sensorvision watch` needs rich, which is not installed"
    )
    assert 'pip install "sensorvision[cli]"' in ended.error()["remedy"]
