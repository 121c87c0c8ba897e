"""Keep the time of a simulated board, which jumps where the board only waits."""

import asyncio
from collections.abc import Callable
from pathlib import Path
import struct
import time

_LOOK_EVERY_S = 0.002


class Clock:
    """The host's end of a board's time; `firmware/pace.py` is the other.

    Args:
        path: of the file through which both ends speak.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(struct.pack("<qq", 0, 0))
        self.allow(self.now_ms())

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 in the board's world."""
        return time.time_ns() // 1_000_000 + self._jumped_ms()

    def allow(self, until_ms: int) -> None:
        """Let time jump as far as this, where it stands still until it may go on."""
        with self.path.open("r+b") as file:
            file.seek(8)
            file.write(struct.pack("<q", until_ms))

    def jump(self, until_ms: int) -> None:
        """Let time pass while the board is off."""
        jumped_ms = self._jumped_ms() + max(0, until_ms - self.now_ms())
        with self.path.open("r+b") as file:
            file.write(struct.pack("<q", jumped_ms))

    async def reach(
        self, moment_ms: int, is_passing: Callable[[], bool] = lambda: True
    ) -> bool:
        """Let the board live until a moment, and wait for it.

        Args:
            moment_ms: the moment, in milliseconds since 1970.
            is_passing: whether there is still a board that lets time pass.

        Returns:
            Whether the moment has come.
        """
        self.allow(moment_ms)
        while True:
            if self.now_ms() >= moment_ms:
                return True
            if not is_passing():
                return False
            await asyncio.sleep(_LOOK_EVERY_S)

    def _jumped_ms(self) -> int:
        with self.path.open("rb") as file:
            return int(struct.unpack("<q", file.read(8))[0])
