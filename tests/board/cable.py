"""A serial cable between a command and a board, on which some of what is said gets lost."""

import asyncio
from collections.abc import Callable
import os
import pty
import re
import tty
from types import TracebackType
from typing import Self

_PIECE_BYTES = 4096
# A terminal hands on in pieces what was written to it at once.
_QUIET_S = 0.02


class Cable:
    """Passes on what both ends say, but for what the board does not hear.

    Args:
        port: the board's.
        loses: whether this, which the command says in one breath, is lost.

    Attributes:
        port: where the command finds the board.
        lost: how many bytes were.
    """

    def __init__(self, port: str, loses: Callable[[bytes], bool]) -> None:
        """Plug it in at both ends."""
        self._loses = loses
        self._said = b""
        self._quiet: asyncio.TimerHandle | None = None
        self.lost = 0
        self._board = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._host, self._end = pty.openpty()
        for end in (self._board, self._end):
            tty.setraw(end)
        self.port = os.ttyname(self._end)

    def __enter__(self) -> Self:
        """Pass things on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._host, self._to_board)
        loop.add_reader(self._board, self._to_host)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Pull it out."""
        if self._quiet is not None:
            self._quiet.cancel()
        loop = asyncio.get_running_loop()
        for end in (self._host, self._board):
            loop.remove_reader(end)
        for end in (self._host, self._end, self._board):
            os.close(end)

    def _to_board(self) -> None:
        if not self._said:
            loop = asyncio.get_running_loop()
            self._quiet = loop.call_later(_QUIET_S, self._pass_on)
        self._said += os.read(self._host, _PIECE_BYTES)

    def _pass_on(self) -> None:
        said, self._said = self._said, b""
        # The end of a program is heard even where the program is not.
        for breath in re.split(rb"(\x04)", said):
            if breath and self._loses(breath):
                self.lost += len(breath)
            else:
                os.write(self._board, breath)

    def _to_host(self) -> None:
        os.write(self._host, os.read(self._board, _PIECE_BYTES))
