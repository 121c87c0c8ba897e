"""One sensor that an exporter has chosen, and many others that keep the bus busy."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
import time

_CHOSEN = 0

# About once a second, but never in step with anything else that happens once a second.
_GOLDEN = 0.618034
_CHOSEN_JITTER_S = 0.5


@dataclass
class BusyBus:
    """What happened on the bus; all times are in seconds since 1970.

    Attributes:
        chosen: each value of the chosen sensor, with the time at which it became true.
        others: the values of all others.
        busy_until: when the last of those became true.
        longest_gap_s: for how long nothing happened at the most, in seconds.
    """

    chosen: list[tuple[int, float]] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    busy_until: float = 0
    longest_gap_s: float = 0


async def keep_busy(
    change: Callable[[int], int],
    sensors: int,
    *,
    seconds: float,
    rate_hz: float,
    tail_s: float,
) -> BusyBus:
    """Change the first sensor about once a second, and all others in turn.

    Args:
        change: gives the sensor of that number a new state, and returns its value.
        sensors: how many there are.
        seconds: for how long the first one changes.
        rate_hz: how often the others change, all together, in a second.
        tail_s: for how long they go on after the first has changed last, in seconds.
    """
    bus = BusyBus()
    loop = asyncio.get_running_loop()
    begun = last = loop.time()
    chosen_due = 0.0
    for tick in range(int((seconds + tail_s) * rate_hz) + 1):
        due = tick / rate_hz
        await asyncio.sleep(max(0, begun + due - loop.time()))
        now = loop.time()
        bus.longest_gap_s, last = max(bus.longest_gap_s, now - last), now
        if chosen_due <= due < seconds:
            at = time.time()
            bus.chosen.append((change(_CHOSEN), at))
            chosen_due = _due_s(len(bus.chosen))
        bus.busy_until = time.time()
        bus.others.append(change(1 + tick % (sensors - 1)))
    return bus


def _due_s(nth: int) -> float:
    return nth + nth * _GOLDEN % 1 * _CHOSEN_JITTER_S
