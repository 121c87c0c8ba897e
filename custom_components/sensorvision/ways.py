"""All ways of a config entry to its server, taken together."""

import asyncio
from collections.abc import Iterator
import time

from homeassistant.core import callback

from .brokers import Brokers
from .client.limits import Limits
from .client.outbox import Outbox
from .client.rows import Recalled
from .http_route import HttpRoute
from .routes import Route


class Ways:
    """The way over the server's HTTP, and those over brokers.

    Attributes:
        http: the way to the server over its HTTP.
        brokers: the ways over brokers.
    """

    def __init__(self, http: HttpRoute, brokers: Brokers) -> None:
        """Start none yet."""
        self.http = http
        self.brokers = brokers

    def __iter__(self) -> Iterator[Route]:
        """Yield each of them, that over HTTP first."""
        yield self.http
        yield from self.brokers.routes.values()

    @property
    def outboxes(self) -> list[Outbox]:
        """Return what waits on each of them."""
        return [route.outbox for route in self]

    def over(self, broker_id: str | None) -> Route:
        """Return the way over a broker, or over HTTP if there is no such broker."""
        return self.brokers.routes.get(broker_id or "", self.http)

    def captured_until(self) -> dict[str | None, float | None]:
        """Return by the broker, or None, up to when readings were captured, if known."""
        return {route.broker_id: route.outbox.captured_until for route in self}

    @callback
    def mark_captured(self) -> None:
        """Note that nothing is missing up to now."""
        for outbox in self.outboxes:
            outbox.mark_captured(time.time())

    @callback
    def start(self) -> None:
        """Send."""
        for route in self:
            route.start()

    @callback
    def stop(self) -> None:
        """Send nothing any more; whether anybody is there is not known then."""
        for route in self:
            route.stop()
            route.forget_connection()

    @callback
    def tell(self) -> None:
        """Call those who listen to any of them."""
        for route in self:
            route.tell()

    @callback
    def flush(self) -> None:
        """Send at once what waits, and try again what was refused."""
        for route in self:
            route.flush()

    async def write_down(self) -> None:
        """Bring to disk what waits."""
        await asyncio.gather(*(outbox.commit() for outbox in self.outboxes))

    async def close(self) -> None:
        """Send nothing any more; what waits is on disk then."""
        await asyncio.gather(*(route.close() for route in self))

    async def limit(self, limits: Limits) -> None:
        """Hold to other limits from now on; what is too much for them is dropped."""
        for route in self:
            await route.outbox.limit(limits)
            route.tell()

    async def retry_refused(
        self, device_id: str | None, variable: str | None
    ) -> Recalled:
        """Let wait again what was set aside, and return how much of it."""
        recalled = [await route.retry_refused(device_id, variable) for route in self]
        return Recalled(
            sum(one.waiting for one in recalled),
            sum(one.superseded for one in recalled),
        )
