"""Watch what a process costs, and how late the timers of its event loop are."""

import asyncio
from collections.abc import Sequence
import gc
from pathlib import Path
import resource
import sys
import time
from typing import Any

_EVERY_S = 0.005
_LINGER_S = 2


class Watch:
    """What a process has cost since a moment.

    A timer in its loop tells how late it fires. It costs the more the longer it goes on,
    so it ends two seconds after the last state was set, whatever is still to be sent.
    """

    def __init__(self) -> None:
        """Begin now, with a timer as soon as something happens."""
        self._late_s: list[float] = []
        self._until = 0.0
        self._timer: asyncio.Task[None] | None = None
        self.begin()

    def begin(self) -> None:
        """Forget what was before."""
        self._late_s.clear()
        self._process_begun_s = time.process_time()
        self._loop_begun_s = time.thread_time()

    def something_happens(self) -> None:
        """Let the timer fire from now on, and for two seconds."""
        self._until = time.perf_counter() + _LINGER_S
        if self._timer is None or self._timer.done():
            self._timer = asyncio.create_task(self._fire())

    async def _fire(self) -> None:
        while (asked := time.perf_counter()) < self._until:
            await asyncio.sleep(_EVERY_S)
            self._late_s.append(time.perf_counter() - asked - _EVERY_S)

    async def measure(self) -> dict[str, Any]:
        """Return what it has cost, when the timer has ended.

        Returns:
            Processor time of the process and of the thread of its loop in seconds, how
            late timers fired in milliseconds, and the most memory ever used in KiB.
        """
        if self._timer:
            await self._timer
        return {
            "process_cpu_s": time.process_time() - self._process_begun_s,
            "loop_cpu_s": time.thread_time() - self._loop_begun_s,
            "late_ms": quantiles_ms(self._late_s),
            "max_rss_kb": _max_rss_kb(),
        }


def _max_rss_kb() -> int:
    """Return the most memory that this process has ever used, in KiB."""
    # What getrusage says begins with the most that the parent process had used.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])


def memory() -> dict[str, int]:
    """Return how much memory the process has in KiB, and how many blocks of Python's.

    Blocks are counted without garbage; the memory is what a user would see.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    gc.collect()
    return {
        "rss_kb": pages * resource.getpagesize() // 1024,
        "blocks": sys.getallocatedblocks(),
    }


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return the middle, the 99th of a hundred and the last in milliseconds, if any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        name: round(ordered[round(last * share)] * 1000, 3)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
    }
