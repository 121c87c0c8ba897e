"""Where a Home Assistant's states are exported to, with what counts them on the way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.mosquitto import Mosquitto
from benchmarks.relay import Relay, relay_to

from .answering import Answering, answering
from .arrivals import Arrival, read_arrivals
from .modes import Mode

_LOOK_EVERY_S = 0.05
_PACKAGE = __spec__.parent


@dataclass(frozen=True)
class Destination:
    """A server, and a relay before each of its ports.

    Attributes:
        address: where the exporter is to send to, for its order.
        relays: what counts and can cut the line.
    """

    address: dict[str, Any]
    relays: Sequence[Relay]
    _process: Answering | None
    _folder: Path

    @property
    def requests(self) -> int:
        """Return how many requests, or messages over MQTT, have come."""
        return sum(relay.requests for relay in self.relays)

    @property
    def bytes_up(self) -> int:
        """Return how many bytes have come, without what TCP adds."""
        return sum(relay.bytes_up for relay in self.relays)

    @property
    def bytes_down(self) -> int:
        """Return how many bytes were answered."""
        return sum(relay.bytes_down for relay in self.relays)

    def clear(self) -> None:
        """Count requests and bytes from nothing."""
        for relay in self.relays:
            relay.clear()

    def refuse(self) -> None:
        """Be away: take no connection, and break those that there are."""
        for relay in self.relays:
            relay.refuse()

    async def accept(self) -> None:
        """Be there again."""
        for relay in self.relays:
            await relay.accept()

    async def count(self) -> int:
        """Return how many values there are."""
        if self._process is None:
            return 0
        values: int = (await self._process.tell(do="count"))["values"]
        return values

    async def received(self) -> list[Arrival]:
        """Return every number that has arrived."""
        if self._process is None:
            return []
        path = self._folder / "received.jsonl"
        await self._process.tell(do="write", path=str(path))
        return await asyncio.to_thread(read_arrivals, path)

    async def until(self, values: int, quiet_s: float = 3) -> int:
        """Wait until there are so many values, and return how many there are.

        Args:
            values: how many are wanted.
            quiet_s: give up when none has come for so long, in seconds.
        """
        found, since = await self.count(), time.monotonic()
        while found < values and time.monotonic() < since + quiet_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            before, found = found, await self.count()
            if found > before:
                since = time.monotonic()
        return found


@asynccontextmanager
async def running_destination(mode: Mode, folder: Path) -> AsyncIterator[Destination]:
    """Run what a mode exports to until the block ends.

    Args:
        mode: what exports.
        folder: takes logs and what is handed over.
    """
    async with AsyncExitStack() as stack:
        if mode.is_ours:
            yield await _server(stack, mode, folder)
        elif mode.is_peer:
            log = folder / "sink.log"
            sink = await stack.enter_async_context(
                answering(f"{_PACKAGE}.sink", log=log)
            )
            relay = await stack.enter_async_context(relay_to(sink.first["port"]))
            yield Destination({"port": relay.port}, [relay], sink, folder)
        else:
            yield Destination({}, [], None, folder)


async def _server(stack: AsyncExitStack, mode: Mode, folder: Path) -> Destination:
    relays = []
    arguments: list[str] = []
    if mode is Mode.MQTT:
        # Else it throws away what waits behind a thousand for a slower server.
        broker = Mosquitto(folder, "max_queued_messages 0")
        await broker.start()
        stack.push_async_callback(broker.kill)
        arguments = ["--broker", broker.url]
        relays.append(await stack.enter_async_context(relay_to(broker.port)))
    server = await stack.enter_async_context(
        answering(f"{_PACKAGE}.server", *arguments, log=folder / "server.log")
    )
    port = urlsplit(server.first["url"]).port or 0
    http = await stack.enter_async_context(relay_to(port))
    address = {
        **server.first,
        "url": f"http://127.0.0.1:{http.port}",
        "broker_port": relays[0].port if relays else None,
    }
    return Destination(address, [*relays, http], server, folder)
