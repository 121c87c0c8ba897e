"""Everything reaches the broker with its time, and leaves the outbox by its word alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
import datetime as dt
from itertools import pairwise
import json
import logging
from pathlib import Path
import time
from typing import Any

import aiomqtt
import pytest

from custom_components.sensorvision.client import NetworkError, RetryPolicy, Timeouts
from custom_components.sensorvision.client.mqtt import Broker, Publisher
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.client.publishing import PublishingDelivery
from custom_components.sensorvision.client.readings import Reading
from sandbox import Mode, Sandbox, Settings
from tests.brokers import Mosquitto

from .servers import TOKEN, eventually
from .test_delivery import FAST

# It connects again when it is told to, so that a subscriber can be there before.
PATIENT = replace(FAST, backoff=RetryPolicy(first_delay_s=1e6, max_delay_s=1e6))
LONG_AGO = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC).timestamp()

type TokenOf = Callable[[str], Awaitable[str | None]]


class House:
    """A delivery at work, and what it was given."""

    def __init__(self, broker: Broker, token_of: TokenOf | None, pace: Pace) -> None:
        self.outbox = CompleteOutbox(None)
        self.replayed: list[frozenset[str]] = []
        self.changes = 0
        self.publisher = Publisher(broker, timeouts=Timeouts(connect_s=2, read_s=2))
        self.delivery = PublishingDelivery(
            self.publisher,
            self.outbox,
            token_of=token_of,
            on_change=self._changed,
            on_replayed=self.replayed.append,
            pace=pace,
        )
        self.status = self.delivery.status

    def _changed(self) -> None:
        self.changes += 1

    def report(
        self, device_id: str, variable: str, *points: tuple[float, float]
    ) -> None:
        """Accept values with their times."""
        self.outbox.append(
            Reading(device_id, variable, value, at) for at, value in points
        )
        self.delivery.notify()

    async def settled(self) -> None:
        """Wait until nothing waits."""
        await eventually(lambda: len(self.outbox) == 0)


@asynccontextmanager
async def living(
    port: int,
    token_of: TokenOf | None = None,
    pace: Pace = FAST,
    prefix: str = "indcloud",
    username: str | None = None,
    password: str | None = None,
) -> AsyncIterator[House]:
    """Run a delivery until the block ends."""
    broker = Broker(
        "127.0.0.1",
        "ha-1",
        port,
        topic_prefix=prefix,
        username=username,
        password=password,
    )
    house = House(broker, token_of, pace)
    await house.outbox.open()
    task = asyncio.create_task(house.delivery.run())
    try:
        yield house
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await house.outbox.close()


async def test_nobody_has_to_wait_until_all_messages_are_published(
    tmp_path: Path,
) -> None:
    """They go out in slices, between which everything else has its turn."""
    broker = Mosquitto(tmp_path)
    await broker.start()
    publisher = Publisher(Broker("127.0.0.1", "ha-1", broker.port))
    await publisher.connect()
    begun: list[int] = []

    async def everything_else() -> None:
        session = publisher._client
        while session:
            # The library numbers what it is given to publish.
            begun.append(session._client._last_mid)
            await asyncio.sleep(0)

    other = asyncio.create_task(everything_else())
    acknowledged: list[int] = []
    try:
        await publisher.publish_all([("a", b"1")] * 200, acknowledged.append)
    finally:
        other.cancel()
        await publisher.close()
        await broker.stop()
    assert sorted(acknowledged) == list(range(200))
    assert begun[-1] - begun[0] == 200
    assert max(after - before for before, after in pairwise(begun)) <= 20


@asynccontextmanager
async def overheard(port: int) -> AsyncIterator[list[dict[str, Any]]]:
    """Collect what is published."""
    heard: list[dict[str, Any]] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard.append(json.loads(message.payload))

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("+/devices/+/telemetry", qos=1)
        task = asyncio.create_task(listen(client))
        yield heard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def points(count: int, start: float = LONG_AGO) -> list[tuple[float, float]]:
    """Return one value a second, counted from 0."""
    return [(start + number, number) for number in range(count)]


@pytest.mark.parametrize(
    ("prefix", "modes"),
    [
        ("indcloud", frozenset()),
        ("sensorvision", frozenset({Mode.NO_CONNECTIVITY})),
    ],
)
async def test_server_takes_readings_with_their_times_and_tokens(
    mosquitto: Mosquitto, prefix: str, modes: frozenset[Mode]
) -> None:
    """Of a broker between the two, by the topics of either age."""

    async def token_of(device_id: str) -> str:
        return TOKEN

    settings = Settings(fixtures="contract", broker=mosquitto.url, modes=modes)
    async with (
        Sandbox(settings) as sandbox,
        living(mosquitto.port, token_of, prefix=prefix) as house,
    ):
        house.report("dev-a", "a", *points(300))
        await house.settled()
        await eventually(lambda: len(sandbox.store.values("dev-a", "a")) == 300)
        rows = sandbox.store.values("dev-a", "a")
        assert house.status.delivered == 300
    assert [(row.timestamp.timestamp(), float(row.value)) for row in rows] == points(
        300
    )


async def test_what_a_device_shows_at_one_moment_is_one_message(
    mosquitto: Mosquitto,
) -> None:
    async with (
        overheard(mosquitto.port) as heard,
        living(mosquitto.port) as house,
    ):
        house.report("d", "a", (LONG_AGO, 1))
        house.report("d", "b", (LONG_AGO, 2))
        await house.settled()
        await eventually(lambda: heard)
        assert [message["variables"] for message in heard] == [{"a": 1, "b": 2}]
        assert "apiToken" not in heard[0]


async def test_device_without_a_token_waits_and_is_sent_once_it_is_known(
    mosquitto: Mosquitto,
) -> None:
    """Others do not wait for it; nothing of it is lost."""
    tokens: dict[str, str | None] = {"dev-a": TOKEN}

    async def token_of(device_id: str) -> str | None:
        return tokens.get(device_id)

    patient = Pace(window_s=0.01, backoff=FAST.backoff)
    async with (
        overheard(mosquitto.port) as heard,
        living(mosquitto.port, token_of, patient) as house,
    ):
        house.report("poor", "a", *points(3))
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: house.status.delivered == 3)
        assert len(house.outbox) == 3
        assert "token" in house.status.refused_devices["poor"]
        tokens["poor"] = TOKEN
        house.delivery.flush()
        await house.settled()
        assert house.status.refused_devices == {}
        assert house.status.refused == 0
        await eventually(lambda: len(heard) == 6)
    assert {message["apiToken"] for message in heard} == {TOKEN}


async def test_token_that_is_none_holds_its_device_back(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """No reading is to blame for it, and nobody gets to see it."""
    tokens = {"d": "half-a-secret"}

    async def token_of(device_id: str) -> str:
        return tokens[device_id]

    caplog.set_level(logging.DEBUG)
    async with living(mosquitto.port, token_of) as house:
        house.report("d", "a", *points(2))
        await eventually(lambda: house.status.refused_devices)
        assert "half-a-secret" not in repr(house.status)
        tokens["d"] = TOKEN
        await house.settled()
        assert (house.status.delivered, house.status.refused) == (2, 0)
        assert TOKEN not in repr(house.status)
    assert "half-a-secret" not in caplog.text
    assert TOKEN not in caplog.text


async def test_token_that_cannot_be_asked_for_now_is_asked_for_again(
    mosquitto: Mosquitto,
) -> None:
    """Once a device and batch, and after a pause."""
    asked: list[str] = []

    async def token_of(device_id: str) -> str:
        asked.append(device_id)
        if len(asked) < 3:
            raise NetworkError("The server is away")
        return TOKEN

    async with living(mosquitto.port, token_of) as house:
        house.report("d", "a", *points(50))
        await house.settled()
        assert house.status.is_connected
        assert house.status.problem is None
    assert asked == ["d"] * 3


async def test_number_that_cannot_be_sent_is_set_aside_alone(
    mosquitto: Mosquitto,
) -> None:
    """Also out of the middle of what is one message."""
    async with living(mosquitto.port) as house:
        house.report("d", "a", (LONG_AGO, 1))
        house.report("d", "b" * 101, (LONG_AGO, 2))
        house.report("d", "c", (LONG_AGO, 3))
        await house.settled()
        assert (house.status.delivered, house.status.refused) == (2, 1)
        (letter,) = await house.outbox.dead_letters()
    assert letter.reading.variable == "b" * 101


async def test_message_that_ends_every_session_is_set_aside(tmp_path: Path) -> None:
    """While what is new and what is old passes, before and behind it."""
    broker = Mosquitto(tmp_path, ("allow_anonymous true", "max_packet_size 400"))
    await broker.start()
    try:
        async with living(broker.port) as house:
            house.report("d", "a", *points(5))
            for number in range(12):
                house.report("d", f"v{number}{'x' * 50}", (LONG_AGO + 5, 1))
            house.report("d", "a", *points(5, LONG_AGO + 6))
            await house.settled()
            assert house.status.delivered == 10
            assert house.status.refused == 12
            letters = await house.outbox.dead_letters()
            assert house.status.possible_duplicates >= 12
        assert {letter.reading.time for letter in letters} == {LONG_AGO + 5}
        assert "ended the session" in letters[0].reason
    finally:
        await broker.stop()


async def test_refused_login_is_shown_and_tried_again(tmp_path: Path) -> None:
    """Readings wait until the broker lets this user in."""
    broker = Mosquitto(tmp_path, ("allow_anonymous false",))
    await broker.start()
    try:
        async with living(broker.port, username="ha", password="x") as house:
            house.report("d", "a", *points(2))
            await eventually(lambda: house.status.is_credential_refused)
            assert len(house.outbox) == 2
            await broker.stop()
            broker.lines = ("allow_anonymous true",)
            await broker.start()
            await house.settled()
            assert not house.status.is_credential_refused
    finally:
        await broker.stop()


async def test_broker_that_goes_at_rest_is_noticed_and_found_again(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that it is away, and once that it is back."""
    caplog.set_level(logging.INFO)
    async with living(mosquitto.port) as house:
        await eventually(lambda: house.status.is_connected)
        await mosquitto.kill()
        await eventually(lambda: house.status.is_connected is False)
        assert house.status.problem
        await mosquitto.start()
        await eventually(lambda: house.status.is_connected)
        assert house.status.problem is None
    told = [record.message for record in caplog.records]
    assert sum("is away" in line for line in told) == 1
    assert sum("is back" in line for line in told) == 1


async def cut_off(house: House, mosquitto: Mosquitto, variable: str) -> None:
    """Kill the broker with a reading in flight, after which a delivery waits."""
    await eventually(lambda: house.status.is_connected)
    mosquitto.freeze()
    house.report("d", variable, (LONG_AGO - 1, -1))
    await eventually(lambda: not house.outbox.has_more)
    await mosquitto.kill()
    await eventually(lambda: house.status.possible_duplicates == 1)


async def test_backlog_is_replayed_oldest_first_after_an_outage(
    mosquitto: Mosquitto,
) -> None:
    """Also what came in between two attempts to connect."""
    async with living(mosquitto.port, pace=PATIENT) as house:
        await cut_off(house, mosquitto, "a")
        house.report("d", "a", *points(300))
        changes = house.changes
        house.delivery.flush()
        await eventually(lambda: house.changes > changes)
        house.report("d", "a", *points(300, LONG_AGO + 300))
        await mosquitto.start()
        async with overheard(mosquitto.port) as heard:
            house.delivery.flush()
            await house.settled()
            await eventually(lambda: len(heard) == 601)
        assert house.replayed == [frozenset({"d"})]
    times = [message["timestamp"] for message in heard]
    assert times == sorted(times)


async def test_new_readings_do_not_wait_for_old_ones(mosquitto: Mosquitto) -> None:
    """They take turns."""
    async with living(mosquitto.port, pace=PATIENT) as house:
        await cut_off(house, mosquitto, "old")
        house.report("d", "old", *points(800))
        await mosquitto.start()
        async with overheard(mosquitto.port) as heard:
            house.delivery.flush()
            await eventually(lambda: house.status.delivered)
            house.report("d", "new", (time.time(), 1))
            await house.settled()
            await eventually(lambda: len(heard) == 802)
        names = [name for message in heard for name in message["variables"]]
        assert names.index("new") < 801


async def test_nothing_is_lost_when_the_broker_is_killed(mosquitto: Mosquitto) -> None:
    """What it had not acknowledged is published again, and counted."""
    reported = 0
    async with living(mosquitto.port, pace=PATIENT) as house:
        for _ in range(4):
            acknowledged = house.status.delivered
            house.report("d", "a", *points(800, LONG_AGO + reported))
            reported += 800
            await eventually(lambda then=acknowledged: house.status.delivered > then)  # type: ignore[misc]
            await mosquitto.kill()
            await eventually(lambda: house.status.is_connected is False)
            waiting = len(house.outbox)
            assert house.status.delivered + waiting == reported
            await mosquitto.start()
            async with overheard(mosquitto.port) as heard:
                house.delivery.flush()
                await house.settled()
                await eventually(
                    lambda heard=heard, waiting=waiting: len(heard) == waiting  # type: ignore[misc]
                )
        assert house.status.delivered == reported
        assert house.status.refused == 0


async def test_broker_that_acknowledges_nothing_is_counted_as_doubt(
    mosquitto: Mosquitto,
) -> None:
    """What was in flight may arrive twice."""
    async with living(mosquitto.port, pace=PATIENT) as house:
        await eventually(lambda: house.status.is_connected)
        mosquitto.freeze()
        house.report("d", "a", *points(100))
        await eventually(lambda: not house.outbox.has_more)
        await mosquitto.kill()
        await eventually(lambda: house.status.is_connected is False)
        await eventually(lambda: house.status.possible_duplicates == 100)
        assert len(house.outbox) == 100
        await mosquitto.start()
        house.delivery.flush()
        await house.settled()
        assert house.status.delivered == 100


async def test_cancelling_puts_back_what_was_not_acknowledged(
    mosquitto: Mosquitto,
) -> None:
    """At once, whatever the broker does; another delivery goes on with it."""
    broker = Broker("127.0.0.1", "ha-1", mosquitto.port)
    house = House(broker, None, FAST)
    await house.outbox.open()
    task = asyncio.create_task(house.delivery.run())
    await eventually(lambda: house.status.is_connected)
    mosquitto.freeze()
    house.report("d", "a", *points(100))
    await eventually(lambda: not house.outbox.has_more)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not house.publisher.is_connected
    house.outbox.rewind()
    batch = await house.outbox.take_backlog(1000)
    assert batch is not None
    assert len(batch.entries) == 100
    await house.outbox.close()
