"""Append readings to an outbox for ever, and print how many are committed.

Arguments are the file, the first number and the commit interval in seconds.

The client is the path's first folder, without Home Assistant around it: quick to begin.
"""

import asyncio
from importlib import import_module
import sys

Limits = import_module("client.limits").Limits
outbox_module = import_module("client.outbox")
Reading = import_module("client.readings").Reading


async def _append(path: str, number: int, interval_s: float) -> None:
    outbox = outbox_module.CompleteOutbox(path, Limits(interval_s))
    await outbox.open()
    while True:
        group = range(number, number + 7)
        outbox.append(Reading("d", "v", n, n + 0.5) for n in group)
        await outbox.commit()
        number = group.stop
        print(group[-1], flush=True)  # noqa: T201


asyncio.run(_append(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
