"""What was stored, for whoever is watching the live page."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .readings import Reading

MAX_PENDING_READINGS = 5000


class Subscription:
    """What one watcher has not been sent yet."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.is_behind = False
        self._pending: list[dict[str, Any]] = []

    def add(self, reading: dict[str, Any]) -> None:
        """Queue a reading; a watcher that falls behind is told to load everything anew."""
        if len(self._pending) >= MAX_PENDING_READINGS:
            self.request_reload()
        elif not self.is_behind:
            self._pending.append(reading)
        self.arrived.set()

    def request_reload(self) -> None:
        """Let the watcher load everything anew."""
        self.is_behind = True
        self._pending.clear()
        self.arrived.set()

    def drain(self) -> list[dict[str, Any]]:
        """Take what is pending."""
        pending, self._pending = self._pending, []
        self.is_behind = False
        self.arrived.clear()
        return pending


class Feed:
    """Passes stored readings on to the watchers there are."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, reading: Reading) -> None:
        """Pass a stored reading on."""
        if not self._subscriptions:
            return
        event = {
            "device": reading.device_id,
            "time": reading.timestamp_us / 1e6,
            "values": {
                name: float(value)
                for name, value in reading.variables.items()
                if value is not None
            },
        }
        for subscription in self._subscriptions:
            subscription.add(event)

    def reload(self) -> None:
        """Let every watcher load everything anew."""
        for subscription in self._subscriptions:
            subscription.request_reload()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Watch as long as the block runs."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
