"""Run the command as a process of its own, with a server to talk to."""

import asyncio
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import sys
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60

type Words = str | int | float | Path


@dataclass(frozen=True)
class Ended:
    """How a command has ended.

    Attributes:
        code: its exit code.
        out: what it printed.
        err: what it said of trouble.
    """

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON it printed
        """Return the one document that it printed."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Return its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def error(self) -> dict[str, str]:
        """Return the last of its errors, as JSON."""
        told: dict[str, str] = json.loads(self.err.splitlines()[-1])
        return told


@dataclass
class Command:
    """The command, in a folder and an environment of its own.

    Attributes:
        folder: where it runs.
        variables: its environment's, beside those of this process.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def with_variables(self, **variables: str) -> Command:
        """Return the same command with more variables."""
        return Command(self.folder, {**self.variables, **variables})

    def environment(self) -> dict[str, str]:
        """Return what it is run with; no settings of whoever runs the tests."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SENSORVISION_")
        }
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(self.folder / "no-config"),
            "COLUMNS": "80",
            **self.variables,
        }

    async def start(self, *words: Words) -> asyncio.subprocess.Process:
        """Start it."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *map(str, words)),
            cwd=self.folder,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *words: Words) -> Ended:
        """Run it to its end."""
        return await ended(await self.start(*words))


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Wait until a command has ended."""
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in err.decode(), err.decode()
    return Ended(process.returncode, out.decode(), err.decode())
