"""The command in a terminal, as a person sees it."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from typing import Self

from .command import DEADLINE_S, Command


class Terminal:
    """A command in a terminal of 80 columns.

    Attributes:
        screen: all that it has written.
    """

    def __init__(self, command: Command, *words: str) -> None:
        self.screen = ""
        self._command = command
        self._words = words
        self._ours, self._theirs = pty.openpty()
        size = struct.pack("HHHH", 24, 80, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)

    async def __aenter__(self) -> Self:
        """Start the command."""
        environment = {**self._command.environment(), "TERM": "xterm"}
        del environment["COLUMNS"]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *self._words),
            cwd=self._command.folder,
            env=environment,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
        )
        os.close(self._theirs)
        os.set_blocking(self._ours, False)
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        os.close(self._ours)

    def _read(self) -> None:
        try:
            self.screen += os.read(self._ours, 65536).decode(errors="replace")
        except OSError:
            # The other end is closed: the command has ended.
            asyncio.get_running_loop().remove_reader(self._ours)

    def write(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    async def shows(self, pattern: str) -> None:
        """Wait until something is on the screen."""
        async with asyncio.timeout(DEADLINE_S):
            while not re.search(pattern, self.screen):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def ends(self) -> int:
        """Wait for its exit code."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()
