"""Run an example as its users do: in their environment, with what they installed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import json
import os
from pathlib import Path
import signal
import subprocess

from micropython.simulator.world import World

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
PYTHON = ROOT / ".venv-examples/bin/python"
_HARDWARE = Path(__file__).parent / "hardware"
_DEADLINE_S = 60


class Example:
    """A program that runs.

    Attributes:
        name: the example's.
        process: the program.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is true; a program that ends before fails the test."""
        async with asyncio.timeout(_DEADLINE_S):
            while not is_so():
                if self.process.returncode is not None:
                    raise AssertionError(await self.output())
                await asyncio.sleep(0.05)

    async def stop(self) -> str:
        """Press Ctrl-C, and return what the program has printed."""
        self.process.send_signal(signal.SIGINT)
        printed = await self.output()
        assert self.process.returncode == 0, printed
        return printed

    async def output(self) -> str:
        """Return what the program has printed, once it has ended."""
        async with asyncio.timeout(_DEADLINE_S):
            printed, _ = await self.process.communicate()
        return printed.decode()


@asynccontextmanager
async def running(
    name: str,
    folder: Path,
    *arguments: str,
    settings: dict[str, str],
    hardware: World | None = None,
) -> AsyncIterator[Example]:
    """Run an example in a folder.

    Args:
        name: its file.
        folder: where it is started.
        arguments: what is written behind its name.
        settings: the client's settings, in its environment.
        hardware: what hangs on the buses of the Pi that it finds, or None for no Pi.
    """
    path = [str(ROOT)] if hardware is None else [str(_HARDWARE), str(ROOT)]
    process = await asyncio.create_subprocess_exec(
        str(PYTHON),
        "-u",
        "-P",
        str(EXAMPLES / name),
        *arguments,
        cwd=folder,
        env=_environment(path, hardware, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Example(name, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def executed(notebook: Path, settings: dict[str, str]) -> tuple[int, str]:
    """Run all cells of a notebook in its place; return the exit code and what was printed."""
    process = await asyncio.create_subprocess_exec(
        str(PYTHON.with_name("jupyter-execute")),
        "--inplace",
        str(notebook),
        env=_environment([str(ROOT)], None, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(_DEADLINE_S):
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


def _environment(
    path: list[str], hardware: World | None, settings: dict[str, str]
) -> dict[str, str]:
    """Return what a program is started with; nothing else of the settings is set."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SENSORVISION_")
    }
    given = {f"SENSORVISION_{name.upper()}": value for name, value in settings.items()}
    return {
        **inherited,
        **given,
        "PYTHONPATH": os.pathsep.join(path),
        "HARDWARE": json.dumps(hardware or {}),
    }
