"""Wait until a server has everything, or nothing more comes."""

import asyncio
from collections.abc import Awaitable, Callable
import time

from .judgement import Judgement

_LOOK_EVERY_S = 0.5


async def settle(
    judge_now: Callable[[], Awaitable[Judgement]],
    *,
    quiet_s: float,
    look_every_s: float = _LOOK_EVERY_S,
) -> Judgement:
    """Wait until nothing is lost, or nothing lost has come for a while.

    Args:
        judge_now: says what has become of the changes so far.
        quiet_s: for how long nothing must have come before the rest is given up, in seconds.
        look_every_s: how often to look, in seconds.
    """
    missing = -1
    while True:
        judgement = await judge_now()
        if not judgement.lost:
            return judgement
        if len(judgement.lost) != missing:
            missing, changed_at = len(judgement.lost), time.monotonic()
        elif time.monotonic() - changed_at >= quiet_s:
            return judgement
        await asyncio.sleep(look_every_s)
