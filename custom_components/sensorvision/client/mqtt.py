"""Publish to an MQTT broker from which a SensorVision server takes its telemetry."""

from __future__ import annotations

import asyncio
from typing import Callable, Sequence

from .broker import Broker
from .mqtt_session import Session
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

        async def publish(index: int, topic: str, payload: bytes) -> None:
            await client.publish(topic, payload, qos=1, timeout=self._timeouts.read_s)
            on_acknowledged(index)

        calls: list[asyncio.Future[None]] = []

        async def publish_in_slices() -> None:
            for index, (topic, payload) in enumerate(messages):
                if index and index % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                call = asyncio.ensure_future(publish(index, topic, payload))
                call.add_done_callback(_hear_out)
                calls.append(call)
            await _all_of(calls)

        try:
            await self._answered(client, publish_in_slices())
        finally:
            for call in calls:
                call.cancel()


async def _all_of(calls: Sequence[asyncio.Future[None]]) -> None:
    """Return when all are done, or raise why one has failed."""
    if calls:
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
        for call in done:
            call.result()


def _hear_out(call: asyncio.Future[None]) -> None:
    """Take note of what failed, which is the session's end for all of them."""
    if not call.cancelled():
        call.exception()
