"""What the documentation shows of the command line works, and prints what it says."""

from pathlib import Path
import re

import pytest

from benchmarks.__main__ import _BENCHES as BENCHES
from proofs.__main__ import _PROOFS as PROOFS
from sandbox import Sandbox
from tests.brokers import Mosquitto

from .blocks import PYTHON, ROOT, blocks, is_like, run
from .servers import as_here

PAGES = ("docs/client.md", "docs/cli.md")
GUIDES = sorted((ROOT / "docs").rglob("*.md")) + sorted(ROOT.glob("*.md"))

_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_MARK = "\x1e"


@pytest.mark.parametrize("page", PAGES)
async def test_commands(
    page: str, sandbox: Sandbox, broker: Mosquitto, tmp_path: Path
) -> None:
    """They are typed one after the other into one shell."""
    shown = [
        as_here(part, sandbox, broker)
        for block in blocks(page, "console")
        for command in _COMMAND.findall(block.text)
        for part in command
    ]
    commands, outputs = shown[::2], shown[1::2]
    assert commands
    for file in blocks(page, "csv"):
        (tmp_path / "export.csv").write_text(file.text)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sensorvision"
    command.write_text(f'#!/bin/sh\nexec {PYTHON} -m cli "$@"\n')
    command.chmod(0o755)
    script = "".join(f"printf '{_MARK}'\n{text}\n" for text in commands)
    ended = await run(
        "bash", "-c", f"exec 2>&1\n{script}", folder=tmp_path, environment={}
    )
    printed = ended.output.split(_MARK)[1:]
    assert len(printed) == len(commands)
    for text, output, real in zip(commands, outputs, printed, strict=True):
        assert is_like(output, real), f"$ {text}\n{real}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_script_that_is_named_is_there(guide: Path) -> None:
    text = guide.read_text()
    named = set(re.findall(r"(?<![\w/])scripts/\w+", text))
    assert [name for name in named if not (ROOT / name).is_file()] == []
    for name in re.findall(r"scripts/prove ([a-z-]+)", text):
        assert name in PROOFS
    for name in re.findall(r"scripts/bench ([a-z-]+)", text):
        assert name in BENCHES


async def test_every_exit_code_is_in_the_table(tmp_path: Path) -> None:
    """With the meaning that the command's own help has for it."""
    ended = await run(PYTHON, "-m", "cli", "--help", folder=tmp_path, environment={})
    told = re.findall(
        r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/cli.md").read_text(), re.MULTILINE
    )
    listed = ended.output.partition("Exit codes:")[2]
    assert told == re.findall(r"^\s+(\d+)  (.*)$", listed, re.MULTILINE)
