"""Write readings down in some commits, from an outbox's opening to its closing.

Arguments are the file, the number of commits and how many readings each has.

The client is the path's first folder, without Home Assistant around it: quick to begin.
"""

import asyncio
from importlib import import_module
import sys

Limits = import_module("client.limits").Limits
outbox_module = import_module("client.outbox")
Reading = import_module("client.readings").Reading


async def _commit(path: str, commits: int, size: int) -> None:
    # Nothing is written down but when it is asked for.
    outbox = outbox_module.CompleteOutbox(path, Limits(commit_interval_s=3600))
    await outbox.open()
    for first in range(0, commits * size, size):
        numbers = range(first, first + size)
        outbox.append(Reading(f"d{n % 20}", "v", n / 100, n + 0.5) for n in numbers)
        await outbox.commit()
    await outbox.close()


asyncio.run(_commit(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
