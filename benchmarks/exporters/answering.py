"""Processes that answer each line of JSON that they are told by one of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import sys
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 120
_END_TIMEOUT_S = 30
_LOG_CHARS = 2000


class EndedError(Exception):
    """A process ended before it had answered."""


async def answer(act: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
    """Act on each line of standard input, until it ends or an answer has `is_last`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        answered = await act(json.loads(line))
        tell_parent(answered)
        if answered.get("is_last"):
            return


def tell_parent(facts: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(facts), flush=True)


@dataclass(frozen=True)
class Answering:
    """A process that answers.

    Attributes:
        process: it.
        first: what it said as soon as it was ready.
        log: the file that takes its standard error.
    """

    process: asyncio.subprocess.Process
    first: dict[str, Any]
    log: Path

    async def tell(self, *, timeout_s: float = 900, **order: Any) -> dict[str, Any]:
        """Tell it to do something, and return its answer.

        Args:
            timeout_s: how long to wait for the answer, in seconds.
            order: what to do.

        Raises:
            EndedError: it ended instead.
            TimeoutError: it did not answer in time.
        """
        if self.process.stdin:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
        return await _line_of(self.process, self.log, timeout_s)


@asynccontextmanager
async def answering(
    module: str, *arguments: str, log: Path
) -> AsyncIterator[Answering]:
    """Run a module as a process that answers until the block ends.

    Raises:
        EndedError: it ended before it was ready.
        TimeoutError: it was not ready in time.
    """
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            # Ctrl-C reaches the bench alone, which then ends the others in order.
            start_new_session=True,
        )
    try:
        first = await _line_of(process, log, _START_TIMEOUT_S)
        yield Answering(process, first, log)
    finally:
        await _ended(process)


async def _line_of(
    process: asyncio.subprocess.Process, log: Path, timeout_s: float
) -> dict[str, Any]:
    line = b""
    if process.stdout:
        async with asyncio.timeout(timeout_s):
            line = await process.stdout.readline()
    if not line:
        said = await asyncio.to_thread(log.read_text)
        raise EndedError(f"A process ended early: {said[-_LOG_CHARS:]}")
    told: dict[str, Any] = json.loads(line)
    return told


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let it end by itself when nobody tells it anything any more."""
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
