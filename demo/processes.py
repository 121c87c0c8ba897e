"""Run the parts of the demo as processes of their own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
import os
from pathlib import Path
import socket
import sys

ROOT = Path(__file__).resolve().parent.parent

_STOP_TIMEOUT_S = 20


class StartError(Exception):
    """A part of the demo did not start."""


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, stdout: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python command from the repository's root until the block ends.

    Args:
        command: what follows the interpreter, such as `-m`, `sandbox`.
        log: where its standard error goes.
        stdout: where its standard output goes; one who asks for a pipe reads it.
    """
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            # Ctrl-C reaches the demo alone, which then stops its parts in order.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def first_line(process: asyncio.subprocess.Process, timeout_s: float) -> bytes:
    """Return the first line that a process prints, nothing if it does not in time."""
    if process.stdout is None:
        return b""
    try:
        async with asyncio.timeout(timeout_s):
            return await process.stdout.readline()
    except TimeoutError:
        return b""


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
