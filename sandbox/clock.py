"""The server's clock, which a test can move forward."""

import time


class Clock:
    """Wall-clock time plus whatever it was advanced by."""

    def __init__(self) -> None:
        self._advanced_ns = 0
        self._held_ns: int | None = None

    def hold(self) -> None:
        """Let no time pass from now on, but by `advance`."""
        self._held_ns = time.time_ns()

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass at once."""
        self._advanced_ns += round(seconds * 1e9)

    def now_us(self) -> int:
        """Return microseconds since 1970."""
        now_ns = time.time_ns() if self._held_ns is None else self._held_ns
        return (now_ns + self._advanced_ns) // 1000

    def now_s(self) -> float:
        """Return seconds since 1970."""
        return self.now_us() / 1e6
