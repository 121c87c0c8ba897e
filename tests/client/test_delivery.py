"""Delivery brings everything to a real server, and keeps what it can't bring."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
import datetime as dt
import json
import logging

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    CircuitBreaker,
    RateLimit,
    RetryPolicy,
    ServerAge,
    Timeouts,
)
from custom_components.sensorvision.client.outbox import NewestOutbox
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.client.posting import PostingDelivery
from custom_components.sensorvision.client.readings import Batch, Reading
from sandbox import Mode, Sandbox, Settings

from .servers import (
    CONNECTIVITY,
    INGEST,
    STORED,
    TOKEN,
    Script,
    cure,
    eventually,
    http_answer,
    poison,
    scripted,
    silence,
)

FAST = Pace(
    window_s=0.01,
    spacing_s=0,
    backoff=RetryPolicy(first_delay_s=0.01, max_delay_s=0.02),
    refused_device_s=0.05,
    refused_credential_s=0.05,
    idle_s=60,
    unexpected_s=0.02,
)
LOGGER = "custom_components.sensorvision.client.delivery"


class House:
    """A delivery at work, with what it did and the readings that it was given."""

    def __init__(
        self,
        url: str,
        pace: Pace = FAST,
        home: str = "dev-a",
        outbox: NewestOutbox | None = None,
    ) -> None:
        self.outbox = NewestOutbox() if outbox is None else outbox
        self.changes = 0
        self.problems: list[str | None] = []
        self.accepted = 0
        self.client = AsyncSensorVisionClient(
            url,
            api_key=TOKEN,
            timeouts=Timeouts(total_s=2),
            rate_limit=RateLimit.off(),
            breaker=CircuitBreaker.off(),
        )
        self.delivery = PostingDelivery(
            self.client, self.outbox, home, on_change=self.changed, pace=pace
        )
        self.status = self.delivery.status
        self.task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Count a change."""
        self.changes += 1
        self.problems.append(self.delivery.status.problem)

    def append(self, device_id: str, **variables: float) -> None:
        """Accept readings in the outbox and say nothing."""
        self.accepted += len(variables)
        self.outbox.append(
            Reading(device_id, variable, value, time=self.accepted)
            for variable, value in variables.items()
        )

    def report(self, device_id: str, **variables: float) -> None:
        """Accept readings as the integration does."""
        self.append(device_id, **variables)
        self.delivery.notify()

    def start(self) -> None:
        """Deliver in the background."""
        self.task = asyncio.create_task(self.delivery.run())

    async def stop(self) -> None:
        """End the delivery and close the client."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.client.close()
        await self.outbox.close()

    @property
    def unaccounted(self) -> int:
        """Return how many readings are neither delivered, refused, superseded nor waiting."""
        gone = self.status.delivered + self.status.refused + self.outbox.superseded
        return self.accepted - gone - len(self.outbox)


@asynccontextmanager
async def living(
    server: Sandbox | Script, *, pace: Pace = FAST, home: str = "dev-a"
) -> AsyncIterator[House]:
    """Run a delivery that has found its server."""
    house = House(server.url, pace, home)
    await house.outbox.open()
    house.start()
    try:
        await eventually(lambda: house.status.is_connected)
        yield house
        assert house.task is not None
        assert not house.task.done()
        assert house.unaccounted == 0
    finally:
        await house.stop()


def posts(sandbox: Sandbox) -> list[tuple[str, dict[str, float]]]:
    """Return the device and the numbers of every post but probes, in order of arrival."""
    arrived = [
        (request.path.removeprefix(INGEST), json.loads(request.body))
        for request in sandbox.requests
        if request.method == "POST"
    ]
    return [(device_id, numbers) for device_id, numbers in arrived if numbers]


def probes(sandbox: Sandbox) -> int:
    """Return how many probes have arrived."""
    return sum(request.path == CONNECTIVITY for request in sandbox.requests)


def is_stored(
    sandbox: Sandbox, device_id: str, variable: str, value: float
) -> Callable[[], bool]:
    """Return a condition: the last stored value of a variable is this."""

    def is_last() -> bool:
        rows = sandbox.store.values(device_id, variable)
        return bool(rows) and float(rows[-1].value) == value

    return is_last


def logged(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """Return what delivery said at a level or above."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == LOGGER and record.levelno >= level
    ]


# Duplicates


@pytest.mark.parametrize(("fault", "possible"), [("502", 1), ("504", 1), ("503", 0)])
async def test_reading_that_a_proxy_may_have_passed_on_is_a_possible_duplicate(
    sandbox: Sandbox, fault: str, possible: int
) -> None:
    async with living(sandbox) as house:
        sandbox.faults.set(f"http_{fault}", times=1, path=INGEST)
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.delivered == 1)
        assert house.status.possible_duplicates == possible


# Batches


async def test_readings_of_one_window_leave_as_one_request_a_device(
    sandbox: Sandbox,
) -> None:
    """Fewer requests for the same data."""
    async with living(sandbox) as house:
        house.report("dev-a", a=1)
        house.report("dev-a", b=2)
        house.report("dev-a2", c=3)
        await eventually(lambda: house.status.delivered == 3)
    assert sorted(posts(sandbox)) == [("dev-a", {"a": 1, "b": 2}), ("dev-a2", {"c": 3})]


async def test_only_the_newest_reading_of_a_variable_leaves(sandbox: Sandbox) -> None:
    """A device token can only post what is true now."""
    async with living(sandbox) as house:
        for value in (1, 2, 3):
            house.report("dev-a", a=value)
        await eventually(lambda: house.status.delivered)
        assert house.outbox.superseded == 2
    assert posts(sandbox) == [("dev-a", {"a": 3})]


async def test_next_window_follows(sandbox: Sandbox) -> None:
    """Delivery goes on after the first round."""
    async with living(sandbox) as house:
        for value in (1, 2, 3):
            house.report("dev-a", a=value)
            await eventually(is_stored(sandbox, "dev-a", "a", value))
        await eventually(lambda: house.status.delivered == 3)


async def test_readings_that_came_before_the_start_are_delivered(
    sandbox: Sandbox,
) -> None:
    """They need no further reading to set them going."""
    house = House(sandbox.url)
    await house.outbox.open()
    house.append("dev-a", a=1)
    house.start()
    await eventually(lambda: house.status.delivered == 1)
    await house.stop()
    assert is_stored(sandbox, "dev-a", "a", 1)()


async def test_reading_that_comes_while_its_variable_is_on_the_way_follows(
    sandbox: Sandbox,
) -> None:
    """The server's yes to the older one does not cover it."""
    async with living(sandbox) as house:
        sandbox.faults.set("latency", times=1, seconds=0.05)
        house.report("dev-a", a=1)
        await eventually(lambda: posts(sandbox))
        house.report("dev-a", a=2)
        await eventually(lambda: house.status.delivered == 2)
        assert house.outbox.superseded == 0
    assert posts(sandbox) == [("dev-a", {"a": 1}), ("dev-a", {"a": 2})]


async def test_status_tells_what_was_delivered(sandbox: Sandbox) -> None:
    """Whoever shows it is told of each change."""
    async with living(sandbox) as house:
        assert house.status.last_delivered is None
        before = house.changes
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.delivered == 1)
        assert house.changes > before
        assert house.status.last_delivered is not None
        assert house.status.round_trip_s is not None
        assert 0 < house.status.round_trip_s < 5
        assert house.status.problem is None


# Pace


class Gate:
    """Answers that wait until they are let through, and who waits."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.opened = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        """Answer once the gate is open."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.opened.wait()
        self.inside -= 1
        writer.write(http_answer(200, STORED))
        await writer.drain()


GOOD_PROBE = (
    http_answer(200, b'{"status":"online"}'),
    http_answer(
        400,
        b'{"success":false,"message":"At least one numeric variable is required"}',
    ),
    http_answer(401, b'{"success":false,"message":"X-API-Key header is required"}'),
)


async def test_at_most_four_devices_are_posted_to_at_once() -> None:
    """All posts with one token contend for one row of the server's."""
    gate = Gate()
    async with scripted(*GOOD_PROBE, gate) as server, living(server) as house:
        for number in range(9):
            house.append(f"device-{number}", a=number)
        house.delivery.notify()
        await eventually(lambda: gate.inside == 4)
        gate.opened.set()
        await eventually(lambda: house.status.delivered == 9)
    assert gate.most == 4


async def test_one_device_is_posted_to_once_at_a_time() -> None:
    """Parallel first posts for one device make the server roll back."""
    gate = Gate()
    async with scripted(*GOOD_PROBE, gate) as server, living(server) as house:
        house.report("dev-a", a=1)
        await eventually(lambda: gate.inside == 1)
        house.report("dev-a", a=2)
        house.report("dev-a", b=3)
        gate.opened.set()
        await eventually(lambda: house.status.delivered == 3)
    assert gate.most == 1
    assert len(server.requests) == 5


async def test_posts_keep_their_distance(sandbox: Sandbox) -> None:
    """Proxies count requests a second."""
    loop = asyncio.get_running_loop()
    async with living(sandbox, pace=replace(FAST, spacing_s=0.03)) as house:
        started = loop.time()
        for number in range(6):
            house.append(f"device-{number}", a=number)
        house.delivery.notify()
        await eventually(lambda: house.status.delivered == 6)
    assert loop.time() - started >= 5 * 0.03


def test_default_pace_stays_below_the_hosted_sites_limit() -> None:
    """Its proxy refuses more than ten a second."""
    assert 1 / Pace().spacing_s < 10


async def test_idle_connection_is_probed(sandbox: Sandbox) -> None:
    """A house where nothing changes still knows whether it is connected."""
    async with living(sandbox, pace=replace(FAST, idle_s=0.05)) as house:
        await eventually(lambda: probes(sandbox) >= 3)
        assert house.status.is_connected
    assert not posts(sandbox)


async def test_idle_probe_finds_out_that_the_server_has_gone(sandbox: Sandbox) -> None:
    """And that it is back."""
    async with living(sandbox, pace=replace(FAST, idle_s=0.05)) as house:
        sandbox.faults.set("http_502")
        await eventually(lambda: house.status.is_connected is False)
        sandbox.faults.clear()
        await eventually(lambda: house.status.is_connected)


# The server is away


async def test_nothing_is_lost_while_the_server_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says so once when it goes and once when it returns."""
    caplog.set_level(logging.INFO)
    async with Sandbox(Settings(fixtures="contract")) as sandbox:
        url, port = sandbox.url, int(sandbox.url.rpartition(":")[2])
        house = House(url)
        await house.outbox.open()
        house.start()
        await eventually(lambda: house.status.is_connected)
    for number in range(5):
        house.report(f"device-{number}", a=number)
    await eventually(lambda: house.status.is_connected is False)
    house.report("device-0", a=10)
    problem = house.status.problem
    assert problem is not None
    assert problem.startswith("The connection to 127.0.0.1 failed. ")
    assert len(house.outbox) == 5
    async with Sandbox(Settings(fixtures="contract", port=port)) as sandbox:
        await eventually(lambda: house.status.delivered == 5)
        assert is_stored(sandbox, "device-0", "a", 10)()
        for number in range(1, 5):
            assert is_stored(sandbox, f"device-{number}", "a", number)()
        assert (house.status.is_connected, house.status.problem) == (True, None)
        assert house.unaccounted == 0
        await house.stop()
    went, came = logged(caplog)
    assert "is away, readings are kept: The connection" in went
    assert came.endswith("is back")


async def test_server_that_was_away_is_asked_by_one_request_first() -> None:
    """It is not greeted by all devices at once."""
    gate = Gate()
    async with (
        scripted(
            *GOOD_PROBE, http_answer(503), gate, http_answer(200, STORED)
        ) as server,
        living(server) as house,
    ):
        house.append("dev-a", a=1)
        house.delivery.notify()
        await eventually(lambda: house.status.is_connected is False)
        for number in range(8):
            house.report(f"device-{number}", a=number)
        await eventually(lambda: gate.inside)
        assert len(server.requests) == 5
        gate.opened.set()
        await eventually(lambda: house.status.delivered == 9)
    assert gate.most == 1


async def test_start_without_a_server_waits_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The order in which machines start does not matter."""
    caplog.set_level(logging.INFO)
    async with Sandbox(Settings(fixtures="contract")) as sandbox:
        url, port = sandbox.url, int(sandbox.url.rpartition(":")[2])
    house = House(url)
    await house.outbox.open()
    assert house.status.is_connected is None
    house.start()
    await eventually(lambda: house.status.is_connected is False)
    async with Sandbox(Settings(fixtures="contract", port=port)):
        await eventually(lambda: house.status.is_connected)
        await house.stop()
    assert len(logged(caplog)) == 2


async def test_device_whose_post_failed_among_others_is_not_forgotten() -> None:
    """Another one's later success must not hide it until the next change."""
    answers = {"bad": http_answer(503), "good": http_answer(200, STORED)}
    arrived: list[str] = []

    async def speak(writer: asyncio.StreamWriter) -> None:
        device_id = "bad" if b"/bad " in server.requests[-1] else "good"
        arrived.append(device_id)
        if device_id == "good":
            # The good news comes last, when the bad are already known.
            await eventually(lambda: "bad" in arrived)
            await asyncio.sleep(0.01)
        writer.write(answers[device_id])

    async with scripted(*GOOD_PROBE, speak) as server, living(server) as house:
        house.append("bad", a=1)
        house.append("good", a=2)
        house.delivery.notify()
        await eventually(lambda: house.status.delivered == 1)
        answers["bad"] = answers["good"]
        await eventually(lambda: house.status.delivered == 2)


async def test_wait_that_the_server_asks_for_is_kept(sandbox: Sandbox) -> None:
    """However short the own pauses are."""
    loop = asyncio.get_running_loop()
    async with living(sandbox) as house:
        sandbox.faults.set("http_429", times=1, seconds=1)
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.is_connected is False)
        asked = loop.time()
        await eventually(lambda: house.status.delivered == 1)
    assert loop.time() - asked >= 0.95
    assert len(posts(sandbox)) == 2


async def test_wait_that_a_probe_is_asked_for_is_kept(sandbox: Sandbox) -> None:
    """A probe is a request like any other."""
    loop = asyncio.get_running_loop()
    sandbox.faults.set("http_429", times=1, seconds=1, path=INGEST)
    house = House(sandbox.url)
    await house.outbox.open()
    house.start()
    await eventually(lambda: house.status.is_connected is False)
    asked = loop.time()
    await eventually(lambda: house.status.is_connected)
    await house.stop()
    assert loop.time() - asked >= 0.95


@pytest.mark.parametrize(
    "fault",
    ["html_200", "http_301", "http_429", "http_500", "http_502", "reset"],
)
async def test_trouble_on_the_way_loses_nothing(sandbox: Sandbox, fault: str) -> None:
    """Whatever stands between, the readings arrive."""
    async with living(sandbox) as house:
        seconds = 0 if fault == "http_429" else None
        sandbox.faults.set(fault, times=6, seconds=seconds)
        for number in range(3):
            house.report(f"device-{number}", a=number)
        await eventually(lambda: house.status.delivered == 3)
        assert house.status.refused == 0
    for number in range(3):
        assert is_stored(sandbox, f"device-{number}", "a", number)()


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(400, b"<h1>Bad Request</h1>"),
        http_answer(401),
        http_answer(403, b"<h1>Forbidden</h1>"),
        http_answer(404, b"404 page not found"),
        http_answer(405, b"<h1>Not allowed</h1>"),
    ],
    ids=lambda answer: answer[9:12].decode(),
)
async def test_page_of_a_proxy_speaks_for_the_server_and_not_for_a_device(
    answer: bytes,
) -> None:
    """Proxies answer so while the server behind them restarts."""
    pace = replace(FAST, refused_device_s=3600)
    async with (
        scripted(*GOOD_PROBE, answer, http_answer(200, STORED)) as server,
        living(server, pace=pace) as house,
    ):
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.is_connected is False)
        assert not house.status.refused_devices
        await eventually(lambda: house.status.delivered == 1)


# The credential and the device


async def test_server_that_comes_back_is_asked_what_it_is_now(sandbox: Sandbox) -> None:
    """It was away to become another version, and readings leave it no idle moment."""
    sandbox.context.switch_modes(frozenset({Mode.NO_CONNECTIVITY}))
    async with living(sandbox) as house:
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.delivered == 1)
        age = house.status.age
        assert age
        assert age.loses_readings

        sandbox.faults.set("http_503")
        house.report("dev-a", a=2)
        await eventually(lambda: house.status.is_connected is False)
        sandbox.context.switch_modes(frozenset())
        sandbox.faults.clear()
        await eventually(lambda: house.status.age != age)
        assert house.status.age == ServerAge(not_before=dt.date(2026, 1, 18))
        assert house.status.delivered == 2


async def test_refused_credential_stops_everything_until_it_is_good_again(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Only probes are sent meanwhile."""
    caplog.set_level(logging.INFO)
    device = sandbox.store.device("dev-a")
    assert device is not None
    async with living(sandbox) as house:
        sandbox.store.update_device(device, api_token=None)
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.is_credential_refused)
        sent = len(posts(sandbox))
        assert house.status.is_connected is False
        assert house.status.problem is not None
        assert "Copy the key again" in house.status.problem
        house.report("dev-a2", a=2)
        before = probes(sandbox)
        await eventually(lambda: probes(sandbox) > before + 1)
        assert len(posts(sandbox)) == sent
        sandbox.store.update_device(device, api_token=TOKEN)
        await eventually(lambda: house.status.delivered == 2)
        assert not house.status.is_credential_refused
    refuses, back = logged(caplog)
    assert "refuses the credential" in refuses
    assert back.endswith("is back")


async def test_flush_ends_the_window(sandbox: Sandbox) -> None:
    """Whoever is in a hurry does not wait for more changes."""
    async with living(sandbox, pace=replace(FAST, window_s=3600)) as house:
        house.report("dev-a", a=1)
        house.delivery.flush()
        await eventually(lambda: house.status.delivered == 1)


async def test_flush_ends_the_pause_while_the_server_is_away(sandbox: Sandbox) -> None:
    """It may be known to be back."""
    slow = RetryPolicy(first_delay_s=1e6, max_delay_s=1e6)
    async with living(sandbox, pace=replace(FAST, backoff=slow)) as house:
        sandbox.faults.set("http_503")
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.is_connected is False)
        sandbox.faults.clear()
        house.delivery.flush()
        await eventually(lambda: house.status.delivered == 1)


async def test_flush_ends_the_pause_of_a_refused_credential(sandbox: Sandbox) -> None:
    """It may have been put right on the server."""
    device = sandbox.store.device("dev-a")
    assert device is not None
    async with living(sandbox, pace=replace(FAST, refused_credential_s=3600)) as house:
        sandbox.store.update_device(device, api_token=None)
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.is_credential_refused)
        sandbox.store.update_device(device, api_token=TOKEN)
        house.delivery.flush()
        await eventually(lambda: house.status.delivered == 1)


async def test_flush_ends_the_pause_of_a_refused_device(sandbox: Sandbox) -> None:
    """Its owner may have given it up."""
    async with living(sandbox, pace=replace(FAST, refused_device_s=3600)) as house:
        house.report("dev-b", a=1)
        await eventually(lambda: "dev-b" in house.status.refused_devices)
        foreign = sandbox.store.device("dev-b")
        assert foreign is not None
        sandbox.store.delete_device(foreign)
        house.delivery.flush()
        await eventually(lambda: house.status.delivered == 1)


async def test_flush_with_nothing_to_send_probes_the_server(sandbox: Sandbox) -> None:
    """Once, and not again until the usual time."""
    async with living(sandbox, pace=replace(FAST, idle_s=3600)) as house:
        before = probes(sandbox)
        house.delivery.flush()
        await eventually(lambda: probes(sandbox) == before + 1)
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.delivered == 1)
        assert probes(sandbox) == before + 1


async def test_foreign_device_pauses_while_the_others_go_on(sandbox: Sandbox) -> None:
    """It will be refused for as long as it is foreign."""
    pace = replace(FAST, refused_device_s=3600)
    async with living(sandbox, pace=pace) as house:
        house.report("dev-b", a=1)
        await eventually(lambda: "dev-b" in house.status.refused_devices)
        for value in (1, 2):
            house.report("dev-b", a=10 + value)
            house.report("dev-a", a=value)
            await eventually(is_stored(sandbox, "dev-a", "a", value))
        assert house.status.is_connected
        assert house.status.refused_devices == {
            "dev-b": "Cannot send data to device in different organization"
        }
        await eventually(lambda: len(house.outbox) == 1)
    assert [numbers for name, numbers in posts(sandbox) if name == "dev-b"] == [
        {"a": 1}
    ]


async def test_foreign_device_is_tried_again_after_its_pause(sandbox: Sandbox) -> None:
    """Its owner may have given it up."""
    async with living(sandbox) as house:
        house.report("dev-b", a=1)
        await eventually(lambda: "dev-b" in house.status.refused_devices)
        house.report("dev-b", a=2)
        owner, device = (sandbox.store.device(name) for name in ("dev-a", "dev-b"))
        assert owner is not None
        assert device is not None
        sandbox.store.update_device(device, organization_id=owner.organization_id)
        await eventually(is_stored(sandbox, "dev-b", "a", 2))
        await eventually(lambda: not house.status.refused_devices)


async def test_foreign_home_device_says_nothing_against_the_server(
    sandbox: Sandbox,
) -> None:
    """The server has looked at the token before the device."""
    async with living(sandbox, home="dev-b") as house:
        house.report("dev-a", a=1)
        await eventually(lambda: house.status.delivered == 1)


async def test_home_device_id_that_cannot_be_one_is_a_problem_in_words(
    sandbox: Sandbox,
) -> None:
    """Delivery keeps running and says what is wrong."""
    house = House(sandbox.url, FAST, "a/b")
    await house.outbox.open()
    house.start()
    await eventually(lambda: house.status.problem)
    await house.stop()
    assert str(house.status.problem).startswith("device id 'a/b' cannot be used. ")


# Poison


async def test_poison_is_found_and_the_rest_delivered(sandbox: Sandbox) -> None:
    """The server rolls back all of a request for one of its values."""
    poison(sandbox, "bad")
    async with living(sandbox) as house:
        house.report("dev-a", a=1, b=2, bad=3, c=4, d=5)
        await eventually(lambda: len(house.outbox) == 0)
        assert house.status.delivered == 4
        assert list(house.status.refused_variables) == [("dev-a", "bad")]
        assert house.status.is_connected
    stored = {row.variable for row in sandbox.store.values("dev-a")}
    assert stored == {"a", "b", "c", "d"}


async def test_several_poisons_are_found(sandbox: Sandbox) -> None:
    """One in each half."""
    poison(sandbox, "bad", "worse")
    async with living(sandbox) as house:
        house.report("dev-a", bad=1, a=2, worse=3, b=4)
        await eventually(lambda: len(house.outbox) == 0)
        assert house.status.delivered == 2
    assert set(house.status.refused_variables) == {("dev-a", "bad"), ("dev-a", "worse")}


async def test_poison_stops_no_other_device(sandbox: Sandbox) -> None:
    """Others are delivered while it is still suspected."""
    poison(sandbox, "bad")
    async with living(sandbox) as house:
        house.report("dev-a", bad=1)
        for value in range(4):
            house.report("dev-a2", a=value)
            await eventually(is_stored(sandbox, "dev-a2", "a", value))
        await eventually(lambda: house.status.refused == 1)


async def test_lone_poison_is_kept_until_the_server_has_stored_something_else(
    sandbox: Sandbox,
) -> None:
    """Until then the trouble may be the server's."""
    poison(sandbox, "bad")
    async with living(sandbox) as house:
        house.report("dev-a", bad=1)
        await eventually(lambda: len(posts(sandbox)) > FAST.suspect_attempts + 1)
        assert (house.status.refused, len(house.outbox)) == (0, 1)
        assert house.status.problem is not None
        assert "Try again later" in house.status.problem
        house.report("dev-a2", a=1)
        await eventually(lambda: house.status.refused == 1)
        assert house.status.delivered == 1
        assert not house.status.problem


async def test_variable_that_is_good_again_is_no_longer_refused(
    sandbox: Sandbox,
) -> None:
    """A value is refused, not its variable for ever."""
    poison(sandbox, "bad")
    async with living(sandbox) as house:
        house.report("dev-a", a=1, bad=2)
        await eventually(lambda: house.status.refused == 1)
        cure(sandbox, "bad")
        house.report("dev-a", bad=3)
        await eventually(is_stored(sandbox, "dev-a", "bad", 3))
        await eventually(lambda: not house.status.refused_variables)


async def test_nothing_is_refused_while_the_server_fails_on_everything(
    sandbox: Sandbox,
) -> None:
    """A broken database looks like poison everywhere."""
    poison(sandbox, "a", "b", "c")
    async with living(sandbox) as house:
        house.report("dev-a", a=1, b=2, c=3)
        house.report("dev-a2", a=4, b=5)
        await eventually(lambda: len(posts(sandbox)) > 30)
        assert (house.status.refused, house.status.delivered) == (0, 0)
        assert len(house.outbox) == 5
        cure(sandbox, "a", "b", "c")
        await eventually(lambda: house.status.delivered == 5)
        assert house.status.refused == 0


@pytest.mark.parametrize("status", [400, 413])
async def test_refused_payload_is_halved_at_once(status: int) -> None:
    """Here the server leaves no doubt about whose fault it is."""
    refusal = http_answer(status, b'{"success":false,"message":"No"}')
    bodies: list[dict[str, float]] = []

    async def speak(writer: asyncio.StreamWriter) -> None:
        body = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
        bodies.append(body)
        writer.write(refusal if "bad" in body else http_answer(200, STORED))

    async with scripted(*GOOD_PROBE, speak) as server, living(server) as house:
        house.report("dev-a", a=1, b=2, c=3, bad=4)
        await eventually(lambda: len(house.outbox) == 0)
        assert house.status.refused_variables == {("dev-a", "bad"): "No"}
        assert house.status.delivered == 3
    assert [set(body) for body in bodies] == [
        {"a", "b", "c", "bad"},
        {"a", "b"},
        {"c", "bad"},
        {"c"},
        {"bad"},
    ]


async def test_poison_that_was_waiting_for_the_server_does_not_stop_it() -> None:
    """A refusal too says that the server is back."""
    refusal = http_answer(400, b'{"success":false,"message":"No"}')
    bodies: list[set[str]] = []

    async def speak(writer: asyncio.StreamWriter) -> None:
        body = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
        bodies.append(set(body))
        if len(bodies) < 3:
            writer.write(http_answer(503))
        else:
            writer.write(refusal if "bad" in body else http_answer(200, STORED))

    async with scripted(*GOOD_PROBE, speak) as server, living(server) as house:
        house.report("dev-a", bad=1, a=2)
        await eventually(lambda: house.status.is_connected is False)
        await eventually(lambda: len(house.outbox) == 0)
        assert (house.status.delivered, house.status.refused) == (1, 1)
        assert house.status.is_connected


async def test_isolation_stops_when_the_server_goes_away() -> None:
    """Nothing is refused because the search was cut short."""
    refusal = http_answer(400, b'{"success":false,"message":"No"}')
    hours = RetryPolicy(first_delay_s=36_000, max_delay_s=36_000)
    async with (
        scripted(
            *GOOD_PROBE, refusal, http_answer(503), http_answer(200, STORED)
        ) as server,
        living(server, pace=replace(FAST, backoff=hours)) as house,
    ):
        house.report("dev-a", a=1, b=2, c=3, d=4)
        await eventually(lambda: house.status.is_connected is False)
        await eventually(lambda: len(house.outbox) == 4)
        assert house.status.refused == 0
        assert len(server.requests) == 5
        house.delivery.flush()
        await eventually(lambda: house.status.delivered == 4)


async def test_number_that_cannot_be_sent_stops_neither_the_rest_nor_the_loop(
    sandbox: Sandbox,
) -> None:
    """It is refused as if the server had done it."""
    async with living(sandbox) as house:
        house.report("dev-a", a=1, power_factor=100, b=2)
        await eventually(lambda: house.status.delivered == 2)
        await eventually(lambda: house.status.refused == 1)
        assert "100" in house.status.refused_variables["dev-a", "power_factor"]
        house.report("dev-a", a=3)
        await eventually(is_stored(sandbox, "dev-a", "a", 3))


async def test_device_id_that_cannot_be_one_stops_no_other(sandbox: Sandbox) -> None:
    """The integration makes none, but an outbox may hold one."""
    async with living(sandbox) as house:
        house.report("a/b", a=1, b=2)
        house.report("dev-a", a=3)
        await eventually(lambda: house.status.refused == 2)
        await eventually(is_stored(sandbox, "dev-a", "a", 3))


async def test_number_that_cannot_be_sent_does_not_say_that_the_server_is_back(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was sent, so nothing was learnt."""
    caplog.set_level(logging.INFO)
    async with living(sandbox) as house:
        sandbox.faults.set("http_503")
        house.report("dev-a", power_factor=100, a=1)
        await eventually(lambda: house.status.is_connected is False)
        house.report("dev-a2", power_factor=100)
        await eventually(lambda: house.status.refused == 2)
        assert not any(line.endswith("is back") for line in logged(caplog))


# What nobody thought of


async def test_cancelled_post_keeps_its_readings() -> None:
    """Whether they were stored is unknown: at least once, never less."""
    async with scripted(*GOOD_PROBE, silence) as server:
        house = House(server.url)
        await house.outbox.open()
        house.start()
        house.report("dev-a", a=1, b=2)
        await eventually(lambda: len(server.requests) == 3)
        await house.stop()
        assert house.task is not None
        assert house.task.cancelled()
        assert house.unaccounted == 0
        assert len(house.outbox) == 2
        batch = await house.outbox.take("dev-a")
        assert batch is not None
        assert [reading.value for reading in batch.readings] == [1, 2]


async def test_cancelling_ends_all_posts() -> None:
    """Unloading leaves no task behind."""
    async with scripted(*GOOD_PROBE, silence) as server:
        before = asyncio.all_tasks()
        house = House(server.url)
        await house.outbox.open()
        house.start()
        for number in range(6):
            house.append(f"device-{number}", a=number)
        house.delivery.notify()
        await eventually(lambda: len(server.requests) == len(GOOD_PROBE) + 4)
        await house.stop()
        await eventually(lambda: not asyncio.all_tasks() - before - {house.task})
        assert len(house.outbox) == 6


class BrokenHouse(House):
    """One whose listener fails at every change."""

    def changed(self) -> None:
        """Count it, and fail."""
        super().changed()
        raise LookupError("no such entity")


async def test_listener_that_fails_stops_nothing_and_is_logged_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Showing the status is not worth a reading."""
    house = BrokenHouse(sandbox.url)
    await house.outbox.open()
    house.start()
    for value in (1, 2):
        house.report("dev-a", a=value)
        await eventually(lambda: len(house.outbox) == 0)
    await house.stop()
    assert house.status.delivered == 2
    assert house.changes > 2
    (said,) = logged(caplog, logging.ERROR)
    assert "could not be shown" in said
    assert "no such entity" in caplog.text


class FullDisk(NewestOutbox):
    """An outbox whose disk is full for a while."""

    failures = 3

    async def devices(self) -> list[str]:
        """Fail a few times."""
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        return await super().devices()


async def test_unexpected_error_is_logged_once_shown_and_survived(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A delivery that ended unseen would lose everything from then on."""
    house = House(sandbox.url, outbox=FullDisk())
    await house.outbox.open()
    house.start()
    house.report("dev-a", a=1)
    await eventually(is_stored(sandbox, "dev-a", "a", 1))
    await eventually(lambda: house.status.is_connected)
    await house.stop()
    shown = "An unexpected OSError stopped the delivery. See the log"
    assert house.problems.count(shown) == 3
    assert house.unaccounted == 0
    (said,) = logged(caplog, logging.ERROR)
    assert said == "The delivery stopped, it goes on after a pause"
    assert "No space left on device" in caplog.text


class Forgetful(NewestOutbox):
    """An outbox that lists a device of which another delivery has taken everything."""

    async def devices(self) -> list[str]:
        """List one too many."""
        return ["taken", *await super().devices()]


async def test_device_with_nothing_left_is_passed_over(sandbox: Sandbox) -> None:
    """Two deliveries may share an outbox for a moment."""
    house = House(sandbox.url, outbox=Forgetful())
    await house.outbox.open()
    house.append("dev-a", a=1)
    house.start()
    await eventually(is_stored(sandbox, "dev-a", "a", 1))
    await house.stop()
    assert posts(sandbox) == [("dev-a", {"a": 1})]


class Unconfirmable(NewestOutbox):
    """An outbox that cannot note what was sent of one device."""

    async def confirm(self, batch: Batch) -> None:
        """Fail for that device."""
        if batch.readings[0].device_id == "broken":
            raise OSError(5, "Input/output error")
        await super().confirm(batch)


async def test_unexpected_error_of_one_device_leaves_no_other_behind(
    sandbox: Sandbox,
) -> None:
    """Not even if it comes back in every round."""
    house = House(sandbox.url, outbox=Unconfirmable())
    await house.outbox.open()
    house.append("broken", a=1)
    for number in range(5):
        house.append(f"device-{number}", a=number)
    house.start()
    for number in range(5):
        await eventually(is_stored(sandbox, f"device-{number}", "a", number))
    await eventually(lambda: "An unexpected OSError" in str(house.status.problem))
    sent = len(posts(sandbox))
    await eventually(lambda: len(posts(sandbox)) > sent)
    await house.stop()
    assert await house.outbox.devices() == ["broken"]


async def test_old_server_that_refuses_the_second_post_pauses_that_device() -> None:
    """Before January 2026 new devices fell to another organisation."""
    modes = frozenset({Mode.BEFORE_2026_01_18})
    async with Sandbox(Settings(fixtures="contract", modes=modes)) as sandbox:
        pace = replace(FAST, refused_device_s=3600)
        async with living(sandbox, pace=pace) as house:
            house.report("new", a=1)
            await eventually(lambda: house.status.delivered == 1)
            house.report("new", a=2)
            await eventually(lambda: "new" in house.status.refused_devices)
            assert house.status.accepted_devices == {"new"}
            assert house.status.accepted_variables == {("new", "a")}
            house.report("dev-a", a=3)
            await eventually(is_stored(sandbox, "dev-a", "a", 3))


async def test_capabilities_are_found_out_after_a_bad_start(sandbox: Sandbox) -> None:
    """Also while there is always something to send, and no quiet moment to probe."""
    sandbox.faults.set("http_503", path=f"{INGEST}home")
    house = House(sandbox.url, replace(FAST, idle_s=0.3), "home")
    await house.outbox.open()
    house.start()
    await eventually(lambda: house.status.is_connected is False)
    house.report("dev-a", a=0)
    await eventually(is_stored(sandbox, "dev-a", "a", 0))
    assert house.status.capabilities is None
    sandbox.faults.clear()
    number = 0
    while house.status.capabilities is None:
        number += 1
        assert number < 500
        house.report("dev-a", a=number)
        await eventually(is_stored(sandbox, "dev-a", "a", number))
    await house.stop()
