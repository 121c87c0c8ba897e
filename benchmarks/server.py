"""A SensorVision server in a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
import sys

_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Server:
    """A running sandbox.

    Attributes:
        url: where it serves.
        token: good for every device of its organisation.
    """

    url: str
    token: str


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """Run a fresh sandbox on the loopback address until the block ends.

    Raises:
        RuntimeError: it did not say in time where it serves.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sandbox", "--json", "--port", "0", "--broker", "none"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield await _address(process)
    finally:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()


async def _address(process: asyncio.subprocess.Process) -> Server:
    """Read where a sandbox serves from the one line that it prints."""
    line = b""
    if process.stdout:
        async with asyncio.timeout(_START_TIMEOUT_S):
            line = await process.stdout.readline()
    if not line:
        raise RuntimeError("The sandbox did not start: see what it printed above")
    told = json.loads(line)
    return Server(url=told["http"], token=told["token"])
