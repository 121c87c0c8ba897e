"""Measure how long an event loop is held, and what that costs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import selectors
import time

_PROBE_S = 0.005
_TIMEOUT_S = 300


class Meter(selectors.DefaultSelector):
    """The selector of an event loop, which notes how long the loop stays away from it.

    Between two looks at it a loop runs callbacks: for so long no other one can begin, no
    timer fires and nothing is read from the network.

    Attributes:
        held_s: the longest time away since it was last cleared, in seconds.
        busy_s: the most processor time of the loop's thread in one time away, in
            seconds, which other programs on the machine do not lengthen.
    """

    def __init__(self) -> None:
        """Begin with nothing noted."""
        super().__init__()
        self.held_s = self.busy_s = 0.0
        self._leave()

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the network as every selector does."""
        self.held_s = max(self.held_s, time.perf_counter() - self._left)
        self.busy_s = max(self.busy_s, time.thread_time() - self._busy_before)
        try:
            return super().select(timeout)
        finally:
            self._leave()

    def clear(self) -> None:
        """Forget what was noted, and what has run since the last look."""
        self.held_s = self.busy_s = 0.0
        self._leave()

    def _leave(self) -> None:
        self._left, self._busy_before = time.perf_counter(), time.thread_time()


@dataclass(frozen=True)
class Measured:
    """What something cost, in milliseconds.

    Attributes:
        held_ms: the longest stretch for which the event loop was held.
        busy_ms: the most processor time that its thread spent in one stretch.
        late_ms: the latest that a timer fired, of one every 5 ms.
        cpu_ms: processor time of the process, all threads.
        right_ms: how long until what was wanted was so, or None if nothing was.
    """

    held_ms: float
    busy_ms: float
    late_ms: float | None = None
    cpu_ms: float | None = None
    right_ms: float | None = None


async def measure(
    meter: Meter,
    action: Callable[[], Awaitable[object]],
    is_right: Callable[[], bool] | None,
    linger_s: float,
) -> Measured:
    """Do something and measure the loop until it has had its effect, and a while on.

    Args:
        meter: the selector of the running loop.
        action: what to do.
        is_right: tells whether it has had its effect, or None if none is waited for.
        linger_s: how long to go on afterwards, in seconds.

    Raises:
        TimeoutError: it did not have its effect in five minutes.
    """
    # What led here, such as the collection of garbage, is not part of it.
    await asyncio.sleep(0)
    meter.clear()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    late_s = 0.0
    right_s = None
    doing = asyncio.ensure_future(action())
    ends = None
    async with asyncio.timeout(_TIMEOUT_S):
        while ends is None or time.perf_counter() < ends:
            asked = time.perf_counter()
            await asyncio.sleep(_PROBE_S)
            late_s = max(late_s, time.perf_counter() - asked - _PROBE_S)
            if ends is None and doing.done() and (is_right is None or is_right()):
                right_s = time.perf_counter() - begun
                ends = time.perf_counter() + linger_s
    cpu_s = time.process_time() - cpu_begun
    await doing
    return Measured(
        held_ms=meter.held_s * 1000,
        busy_ms=meter.busy_s * 1000,
        late_ms=late_s * 1000,
        cpu_ms=cpu_s * 1000,
        right_ms=None if is_right is None or right_s is None else right_s * 1000,
    )


def clock(function: Callable[[], object]) -> Measured:
    """Call a function that holds the loop from its beginning to its end."""
    begun, busy_before = time.perf_counter(), time.thread_time()
    function()
    return Measured(
        held_ms=(time.perf_counter() - begun) * 1000,
        busy_ms=(time.thread_time() - busy_before) * 1000,
    )
