"""Publish to an MQTT broker from which a SensorVision server takes its telemetry."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Callable, Sequence

from .broker import Broker
from .mqtt_session import Client, Session
from .pace import Timeouts

# The library takes a millisecond for so many, in which nothing else can be done.
_AT_ONCE = 20


class Publisher(Session):
    """Sessions of one that publishes alone, and to which nobody does.

    Args:
        broker: where it is.
        timeouts: how long to wait for a connection, and for an acknowledgement.
    """

    def __init__(self, broker: Broker, *, timeouts: Timeouts | None = None) -> None:
        super().__init__(broker, timeouts=timeouts)

    async def publish_all(
        self,
        messages: Sequence[tuple[str, bytes]],
        on_acknowledged: Callable[[int], None],
    ) -> None:
        """Publish messages in their order, and return when the broker has them all.

        Args:
            messages: topics with their payloads.
            on_acknowledged: called in the event loop with the index of each message that
                the broker has.

        Raises:
            NetworkError: there is no session, or it has ended before the broker has
                acknowledged all of them; the others may have arrived then.
        """
        client = self._living()
        await self._answered(
            client, self._publish_all(client, messages, on_acknowledged)
        )

    async def _publish_all(
        self,
        client: Client,
        messages: Sequence[tuple[str, bytes]],
        on_acknowledged: Callable[[int], None],
    ) -> None:
        """Publish messages in slices, between which everything else has its turn."""
        left = len(messages)
        all_acknowledged = asyncio.get_running_loop().create_future()

        def acknowledge(index: int) -> None:
            nonlocal left
            on_acknowledged(index)
            left -= 1
            if not left and not all_acknowledged.done():
                all_acknowledged.set_result(None)

        for index, (topic, payload) in enumerate(messages):
            if index and index % _AT_ONCE == 0:
                await asyncio.sleep(0)
            client.send(topic, payload, partial(acknowledge, index))
        if left:
            await asyncio.wait_for(all_acknowledged, self._timeouts.read_s)
