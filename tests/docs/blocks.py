"""Find what the documentation tells people to run, and run it as they would."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
import os
from pathlib import Path
import re
import signal
from typing import Any

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-docs" / "bin" / "python"

TIMEOUT_S = 60

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Something in a page that people copy.

    Attributes:
        page: the file, relative to the repository.
        heading: what it stands under.
        language: what the page says that it is.
        text: what it is.
        output: what the page says that it prints, or None if it says nothing.
    """

    page: str
    heading: str
    language: str
    text: str
    output: str | None

    def __str__(self) -> str:
        return f"{Path(self.page).stem}: {self.heading}"


def blocks(page: str, language: str) -> list[Block]:
    """Return a page's blocks of a language. One of text behind it is its output."""
    text = (ROOT / page).read_text()
    found = list(_BLOCK.finditer(text))
    return [
        Block(
            page,
            _heading_above(text, match.start()),
            language,
            match[2],
            following[2] if following is not None and following[1] == "text" else None,
        )
        for match, following in zip_longest(found, found[1:])
        if match[1] == language
    ]


def _heading_above(text: str, position: int) -> str:
    outside = _BLOCK.sub(lambda block: " " * len(block[0]), text[:position])
    *_, last = _HEADING.finditer(outside)
    return last[1]


@dataclass(frozen=True)
class Ended:
    """What became of a command."""

    code: int | None
    output: str
    errors: str


async def run(
    *command: str | Path,
    folder: Path,
    environment: Mapping[str, str],
    meanwhile: Coroutine[Any, Any, None] | None = None,
) -> Ended:
    """Run a command where nothing is set but what is given.

    Args:
        *command: its words.
        folder: where it runs.
        environment: what is set.
        meanwhile: what happens while it runs; once that is over, Ctrl-C is pressed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={
            "HOME": str(folder),
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    happening = asyncio.create_task(_until_interrupted(process, meanwhile))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await process.communicate()
    finally:
        happening.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    with suppress(asyncio.CancelledError):
        await happening
    return Ended(process.returncode, output.decode(), errors.decode())


async def _until_interrupted(
    process: asyncio.subprocess.Process, meanwhile: Coroutine[Any, Any, None] | None
) -> None:
    if meanwhile is not None:
        await meanwhile
        process.send_signal(signal.SIGINT)


def is_like(shown: str, printed: str) -> bool:
    """Tell whether a text is what a page shows, where `…` stands for anything.

    What pads a table's last column does not count.
    """
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("…"))
    bare = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, bare, re.DOTALL) is not None
