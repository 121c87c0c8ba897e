"""``python -m benchmarks.exporters.server``: a sandbox that says what it has stored.

It prints where it serves. Told to ``count`` it says how many values it has; told to
``write`` it writes them to the file at ``path``.
"""

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox import Sandbox, Settings
from sandbox.settings import DeviceSeed

from .answering import answer, tell_parent
from .arrivals import Arrival, write_arrivals

_TOKEN = "11111111-1111-4111-8111-111111111111"  # noqa: S105
_US_PER_S = 1e6


class _Server:
    def __init__(self, sandbox: Sandbox) -> None:
        self._store = sandbox.store

    async def act(self, order: dict[str, Any]) -> dict[str, Any]:
        """Count, or write down what is stored."""
        if order["do"] == "write":
            write_arrivals(Path(order["path"]), self._arrivals())
        ((values,),) = self._store.rows("SELECT COUNT(*) FROM variable_values")
        return {"values": values}

    def _arrivals(self) -> Iterator[Arrival]:
        rows = self._store.rows(
            "SELECT value, timestamp, created_at FROM variable_values ORDER BY id"
        )
        for value, at_us, arrived_at_us in rows:
            yield Arrival(
                int(float(value)), at_us / _US_PER_S, arrived_at_us / _US_PER_S
            )


async def _serve(broker: str | None) -> None:
    # It opens all devices of its organisation over HTTP.
    settings = Settings(broker=broker, devices=(DeviceSeed("bench-key", _TOKEN),))
    async with Sandbox(settings) as sandbox:
        tell_parent(
            {
                "url": sandbox.url,
                "token": _TOKEN,
                "username": settings.username,
                "password": settings.password,
            }
        )
        await answer(_Server(sandbox).act)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", help="mqtt://HOST:PORT of a running one")
    asyncio.run(_serve(parser.parse_args().broker))


if __name__ == "__main__":
    main()
