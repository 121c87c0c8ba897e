"""``python -m proofs.driver ORDER LOG``: change states, and write down which were taken.

It is a process of its own, so that what was sent is known from outside of what is killed.
While Home Assistant is not there it waits until it runs again. SIGTERM ends it.
"""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
import json
from pathlib import Path
import signal
import sys
from typing import Any, TextIO

import aiohttp

# One waits for an answer while others ask.
_WORKERS = 4
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Order:
    """What a driver is to do.

    Attributes:
        url: of the Home Assistant.
        token: for its API.
        entity_ids: which states to change, in turn.
        rate_hz: how many changes to make in a second.
    """

    url: str
    token: str
    entity_ids: tuple[str, ...]
    rate_hz: float

    def write(self, path: Path) -> None:
        """Hand it over in a file, which keeps the token off the command line."""
        path.write_text(json.dumps(asdict(self)))


class Driver:
    """Change states one after another, each to a number that was never there before."""

    def __init__(self, order: Order, log: TextIO) -> None:
        """Change nothing yet."""
        self._order = order
        self._log = log
        self._numbers = count(1)
        self._may_drive = asyncio.Event()

    async def run(self) -> None:
        """Drive until cancelled."""
        headers = {"Authorization": f"Bearer {self._order.token}"}
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._watch(session))
            for nth in range(_WORKERS):
                # A worker's entities are its own, so that their changes keep their order.
                entity_ids = self._order.entity_ids[nth::_WORKERS]
                tasks.create_task(self._drive(session, entity_ids))

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        """Let the others drive as long as Home Assistant runs."""
        while True:
            if not self._may_drive.is_set() and await self._is_running(session):
                self._may_drive.set()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _is_running(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._order.url}/api/config") as response:
                return response.status == 200 and (
                    (await response.json())["state"] == "RUNNING"
                )
        except aiohttp.ClientError, TimeoutError:
            return False

    async def _drive(
        self, session: aiohttp.ClientSession, entity_ids: tuple[str, ...]
    ) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _WORKERS / self._order.rate_hz
        due = loop.time()
        for entity_id in _in_turn(entity_ids):
            await self._may_drive.wait()
            due = max(due, loop.time() - pause_s)
            await asyncio.sleep(due - loop.time())
            due += pause_s
            try:
                await self._change(session, entity_id, next(self._numbers))
            except aiohttp.ClientError, TimeoutError:
                self._may_drive.clear()

    async def _change(
        self, session: aiohttp.ClientSession, entity_id: str, number: int
    ) -> None:
        """Set a state, and write down before that it is asked for, after that if it was taken."""
        self._write(entity_id=entity_id, number=number)
        url = f"{self._order.url}/api/states/{entity_id}"
        async with session.post(url, json={"state": str(number)}) as response:
            if response.status not in (200, 201):
                raise aiohttp.ClientError(f"Home Assistant answers {response.status}")
            state = await response.json()
        if state["state"] == str(number):
            at = datetime.fromisoformat(state["last_updated"]).timestamp()
            self._write(entity_id=entity_id, number=number, taken_at=at)

    def _write(self, **what: Any) -> None:
        self._log.write(json.dumps(what) + "\n")
        self._log.flush()


def _in_turn(entity_ids: tuple[str, ...]) -> Iterator[str]:
    while True:
        yield from entity_ids


async def _run(order: Order, log: Path) -> None:
    with log.open("a") as file:
        driving = asyncio.ensure_future(Driver(order, file).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, driving.cancel)
        await asyncio.wait([driving])
        if not driving.cancelled():
            driving.result()


def main() -> int:
    """Drive as ordered, until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m proofs.driver")
    parser.add_argument("order", type=Path)
    parser.add_argument("log", type=Path)
    options = parser.parse_args()
    told = json.loads(options.order.read_text())
    order = Order(**{**told, "entity_ids": tuple(told["entity_ids"])})
    asyncio.run(_run(order, options.log))
    return 0


if __name__ == "__main__":
    sys.exit(main())
