"""``python -m proofs.committing ORDER``: write readings down, and say what is written.

It is the process under test: an outbox of the integration that is opened, worked with and
closed again and again. What it says goes to a file of its own, a line at a time: what was
settled is told before it is written down, what is kept after that.
"""

import argparse
import asyncio
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
from random import Random
import sys
from typing import Any

from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.readings import Reading

# Nothing is written down but when it is asked for.
_LIMITS = Limits(commit_interval_s=3600)
_LIVES = 3
_DEVICES = 40
_MOST_AT_ONCE = 300
# From then on as many go as come.
_WAITING = 1500
_REFUSE_EVERY = 7


@dataclass(frozen=True)
class Order:
    """What is to be written down.

    Attributes:
        outbox: the outbox's file.
        log: takes what was done.
        commits: how often it is written down.
        seed: of how much at a time.
    """

    outbox: str
    log: str
    commits: int
    seed: int

    def write(self, path: Path) -> None:
        """Hand it over in a file."""
        path.write_text(json.dumps(asdict(self)))


def reading(number: int) -> Reading:
    """Return the reading that has a number, so that each is known."""
    return Reading(f"proof.device-{number % _DEVICES}", "value", number, number + 0.5)


class _House:
    """An outbox that takes readings in and lets them go."""

    def __init__(self, order: Order, log: int) -> None:
        self._order = order
        self._log = log
        self._random = Random(order.seed)
        self._last = 0

    async def live(self, commits: int) -> None:
        """Open the outbox, write down several times, and close it."""
        outbox = CompleteOutbox(self._order.outbox, _LIMITS)
        await outbox.open()
        for nth in range(commits):
            await self._settle(outbox, nth)
            first, last = self._last + 1, self._last + self._few()
            self._tell(came=[first, last])
            outbox.append(map(reading, range(first, last + 1)))
            self._last = last
            await outbox.commit()
            self._tell(kept=[first, last])
        await outbox.close()

    def _few(self) -> int:
        return self._random.randint(1, _MOST_AT_ONCE)

    async def _settle(self, outbox: CompleteOutbox, nth: int) -> None:
        """Let the server take or refuse some of what waits."""
        if len(outbox) < _WAITING:
            return
        outbox.rewind()
        batch = await outbox.take_backlog(self._few())
        if batch is None:
            return
        numbers = [reading.value for reading in batch.readings]
        if nth % _REFUSE_EVERY:
            self._tell(gone=numbers)
            await outbox.confirm(batch)
        else:
            half, rest = batch.halves()
            self._tell(refused=[reading.value for reading in half.readings])
            await outbox.set_aside(half, "no")
            await outbox.release(rest)

    def _tell(self, **what: Any) -> None:
        # In one piece, so that its place among the writes of the outbox is known.
        os.write(self._log, (json.dumps(what) + "\n").encode())


async def _work(order: Order) -> None:
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    house = _House(order, log)
    for nth in range(_LIVES):
        await house.live(
            order.commits * (nth + 1) // _LIVES - order.commits * nth // _LIVES
        )
    os.close(log)


def main() -> int:
    """Write down as ordered."""
    parser = argparse.ArgumentParser(prog="python -m proofs.committing")
    parser.add_argument("order", type=Path)
    order = Order(**json.loads(parser.parse_args().order.read_text()))
    asyncio.run(_work(order))
    return 0


if __name__ == "__main__":
    sys.exit(main())
