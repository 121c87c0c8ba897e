"""Whether a broker is well, by what it tells of itself and how fast it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
import time
from typing import TYPE_CHECKING, Callable, Mapping
import uuid

from .exceptions import SensorVisionError
from .mqtt_session import Session

if TYPE_CHECKING:
    from .broker import Broker
    from .mqtt_messages import Message
    from .pace import Timeouts

_SYS = "$SYS/broker/"
_PROBE = "sensorvision/health/"


@dataclass(frozen=True)
class BrokerHealth:
    """Whether a broker is well. What it does not tell is None.

    Attributes:
        broker: its host and port.
        is_up: whether a session of its own could begin.
        problem: why none could, or None.
        connect_s: seconds until that session had begun.
        round_trip_s: seconds until a message to itself was back; None if none came.
        version: name and version of the broker's software.
        uptime_s: seconds that it has been running.
        clients_connected: how many clients are connected.
        subscriptions: how many subscriptions there are.
        retained_messages: how many messages it keeps.
        messages_received: how many it has got.
        messages_sent: how many it has passed on.
        figures: all that it publishes under `$SYS`, by topic.
    """

    broker: str
    is_up: bool
    problem: str | None = None
    connect_s: float | None = None
    round_trip_s: float | None = None
    version: str | None = None
    uptime_s: int | None = None
    clients_connected: int | None = None
    subscriptions: int | None = None
    retained_messages: int | None = None
    messages_received: int | None = None
    messages_sent: int | None = None
    figures: Mapping[str, str] = field(default_factory=dict, repr=False)


async def read_health(
    broker: Broker, timeouts: Timeouts, wait_s: float
) -> BrokerHealth:
    """Look how a broker is, by a session of its own.

    Args:
        broker: where it is.
        timeouts: how long to wait for the session.
        wait_s: seconds to wait for what it tells of itself, and for a message to come
            back.
    """
    name = f"{broker.host}:{broker.port}"
    figures: dict[str, str] = {}
    probe = f"{_PROBE}{uuid.uuid4().hex}"
    came_back: list[float] = []

    def take(message: Message) -> None:
        if message.topic == probe:
            came_back.append(time.monotonic())
        else:
            figures[message.topic] = message.payload.decode(errors="replace")

    started = time.monotonic()
    aside = Aside(broker, timeouts, take)
    try:
        async with aside as session:
            began = time.monotonic()
            health = BrokerHealth(name, is_up=True, connect_s=began - started)
            await session.subscribe([("$SYS/#", 0), (probe, 1)])
            asked = time.monotonic()
            await session.publish(probe, b"")
            await aside.wait(lambda: bool(came_back and figures), wait_s)
    except SensorVisionError as err:
        return BrokerHealth(name, is_up=False, problem=str(err))
    round_trip_s = came_back[0] - asked if came_back else None
    return read_figures(replace(health, round_trip_s=round_trip_s), figures)


def read_figures(health: BrokerHealth, figures: Mapping[str, str]) -> BrokerHealth:
    """Return what is known of a broker with what it publishes under `$SYS`."""
    version = figures.get(f"{_SYS}version")
    return replace(
        health,
        version=version or None,
        uptime_s=_whole(figures, "uptime"),
        clients_connected=_whole(figures, "clients/connected"),
        subscriptions=_whole(figures, "subscriptions/count"),
        retained_messages=_whole(figures, "retained messages/count"),
        messages_received=_whole(figures, "messages/received"),
        messages_sent=_whole(figures, "messages/sent"),
        figures=dict(figures),
    )


async def read_retained(
    broker: Broker, topic: str, timeouts: Timeouts, wait_s: float
) -> Message | None:
    """Return what a broker keeps for a topic, or None if nothing comes in time.

    A session of its own leaves alone what is subscribed to elsewhere.

    Raises:
        NetworkError: there is no session, for a reason that its class tells.
    """
    found: list[Message] = []

    def take(message: Message) -> None:
        if message.is_retained:
            found.append(message)

    aside = Aside(broker, timeouts, take)
    async with aside as session:
        await session.subscribe([(topic, 1)])
        await aside.wait(lambda: bool(found), wait_s)
    return found[0] if found else None


class Aside:
    """A short session beside the one that there is, under a name of its own.

    Args:
        broker: where it is.
        timeouts: how long to wait for it.
        take: is given what arrives.
    """

    def __init__(
        self, broker: Broker, timeouts: Timeouts, take: Callable[[Message], None]
    ) -> None:
        # A broker has to take 23 characters and may refuse more (MQTT 3.1.1, 3.1.3.1).
        own = replace(broker, client_id=f"sv-{uuid.uuid4().hex[:20]}")
        self._take = take
        self._session = Session(own, timeouts=timeouts, on_message=self._took)
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Session:
        """Begin it."""
        await self._session.connect()
        return self._session

    async def __aexit__(self, *_exc: object) -> None:
        """End it."""
        await self._session.close()

    async def wait(self, is_enough: Callable[[], bool], wait_s: float) -> None:
        """Return when enough has arrived, or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while not is_enough() and loop.time() < deadline:
            self._arrived.clear()
            arriving = asyncio.ensure_future(self._arrived.wait())
            try:
                await asyncio.wait([arriving], timeout=deadline - loop.time())
            finally:
                arriving.cancel()

    def _took(self, message: Message) -> None:
        self._take(message)
        self._arrived.set()


def _whole(figures: Mapping[str, str], name: str) -> int | None:
    """Return a figure as a whole number, without the unit behind it."""
    number = figures.get(f"{_SYS}{name}", "").partition(" ")[0]
    return int(number) if number.isdigit() and number.isascii() else None
