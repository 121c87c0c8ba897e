"""With a user's credential every reading arrives with the time at which it was true."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
import datetime as dt
import json
import math
from pathlib import Path
import shutil
import time

from aiohttp import web
import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    CircuitBreaker,
    RateLimit,
    Timeouts,
    bulk,
)
from custom_components.sensorvision.client.bulk import BulkDelivery
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.pace import Pace
from custom_components.sensorvision.client.readings import Reading
from sandbox import Sandbox
from sandbox.fixtures import ALICE_PASSWORD

from .servers import TOKEN, cure, eventually, http_answer, poison, proxied, scripted
from .test_delivery import FAST

BULK = "/api/v1/data/bulk"
LONG_AGO = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC).timestamp()


class House:
    """A delivery at work, and what it was given."""

    def __init__(
        self,
        url: str,
        path: Path | None = None,
        pace: Pace = FAST,
        token: str | None = None,
    ) -> None:
        self.outbox = CompleteOutbox(str(path) if path else None)
        self.client = AsyncSensorVisionClient(
            url,
            api_key=token,
            username=None if token else "alice",
            password=None if token else ALICE_PASSWORD,
            timeouts=Timeouts(total_s=2),
            rate_limit=RateLimit.off(),
            breaker=CircuitBreaker.off(),
        )
        self.replayed: list[frozenset[str]] = []
        self.delivery = BulkDelivery(
            self.client,
            self.outbox,
            "dev-a",
            on_change=lambda: None,
            on_replayed=self.replayed.append,
            pace=pace,
        )
        self.status = self.delivery.status

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
    server: Sandbox | str,
    path: Path | None = None,
    pace: Pace = FAST,
    token: str | None = None,
) -> AsyncIterator[House]:
    """Run a delivery until the block ends."""
    url = server if isinstance(server, str) else server.url
    house = House(url, path, pace, token)
    await house.outbox.open()
    task = asyncio.create_task(house.delivery.run())
    try:
        yield house
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await house.client.close()
        await house.outbox.close()


def points(count: int, start: float = LONG_AGO) -> list[tuple[float, float]]:
    """Return one value a second, counted from 0."""
    return [(start + number, number) for number in range(count)]


def stored(
    sandbox: Sandbox, device_id: str, variable: str
) -> list[tuple[float, float]]:
    """Return times and values as the server has them, in the order of storing."""
    return [
        (row.timestamp.timestamp(), float(row.value))
        for row in sandbox.store.values(device_id, variable)
    ]


def bulks(sandbox: Sandbox) -> list[int]:
    """Return how large the requests were, in bytes."""
    return [len(request.body) for request in sandbox.requests if request.path == BULK]


async def test_every_reading_arrives_with_its_own_time(sandbox: Sandbox) -> None:
    """And in order, many in a request."""
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(500))
        house.report("dev-a2", "b", *points(3))
        await house.settled()
        assert house.status.delivered == 503
        assert house.outbox.superseded == 0
    assert stored(sandbox, "dev-a", "a") == points(500)
    assert stored(sandbox, "dev-a2", "b") == points(3)
    assert len(bulks(sandbox)) < 20


async def test_device_that_is_new_is_made_in_the_organisation_of_the_user(
    sandbox: Sandbox,
) -> None:
    async with living(sandbox) as house:
        house.report("home.new", "a", *points(2))
        await house.settled()
    ours, device = sandbox.store.device("dev-a"), sandbox.store.device("home.new")
    assert ours
    assert device
    assert device.organization_id == ours.organization_id


async def test_what_a_device_shows_at_one_moment_is_one_item(sandbox: Sandbox) -> None:
    async with living(sandbox) as house:
        for variable in "abc":
            house.report("dev-a", variable, (LONG_AGO, 1), (LONG_AGO + 1, 2))
        await house.settled()
    [body] = [request.body for request in sandbox.requests if request.path == BULK]
    assert body.count(b"deviceId") == 2


@pytest.mark.parametrize("fault", ["http_503", "reset", "http_429", "http_301"])
async def test_nothing_is_lost_while_the_server_is_away(
    sandbox: Sandbox, fault: str
) -> None:
    """Backlog and live readings each arrive in their order."""
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set(fault)
        house.report("dev-a", "a", *points(300))
        await eventually(lambda: house.status.is_connected is False)
        assert len(house.outbox) == 300
        sandbox.faults.clear()
        house.report("dev-a", "live", *points(5, LONG_AGO + 1000))
        await house.settled()
    assert stored(sandbox, "dev-a", "a") == points(300)
    assert stored(sandbox, "dev-a", "live") == points(5, LONG_AGO + 1000)


async def test_live_readings_do_not_wait_for_the_backlog(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    backlog = CompleteOutbox(str(tmp_path / "outbox"))
    await backlog.open()
    backlog.append(Reading("dev-a", "old", n, LONG_AGO + n) for n in range(3000))
    await backlog.close()
    async with living(sandbox, tmp_path / "outbox") as house:
        await eventually(lambda: stored(sandbox, "dev-a", "old"))
        house.report("dev-a", "live", (time.time(), 1))
        await eventually(lambda: stored(sandbox, "dev-a", "live"))
        assert len(stored(sandbox, "dev-a", "old")) < 3000
        await house.settled()
    assert stored(sandbox, "dev-a", "old") == points(3000)


async def test_device_of_which_only_old_readings_were_sent_is_named_at_the_end(
    sandbox: Sandbox,
) -> None:
    """The server takes it for silent since then."""
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("http_503")
        house.report("dev-a", "a", *points(3))
        house.report("dev-a2", "a", *points(3), (time.time(), 5))
        await eventually(lambda: house.status.is_connected is False)
        assert house.replayed == []
        sandbox.faults.clear()
        await house.settled()
        await eventually(lambda: house.replayed)
        assert house.replayed == [frozenset({"dev-a"})]


async def test_what_was_not_sent_is_sent_by_the_next_process(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "outbox"
    async with living(sandbox, path) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("http_503")
        house.report("dev-a", "a", *points(300))
        await eventually(lambda: house.status.is_connected is False)
    sandbox.faults.clear()
    async with living(sandbox, path) as house:
        assert len(house.outbox) == 300
        await house.settled()
        assert house.status.possible_duplicates == 0
    assert stored(sandbox, "dev-a", "a") == points(300)


async def test_lost_answer_is_counted_as_a_possible_duplicate(sandbox: Sandbox) -> None:
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("reset_after_commit", times=1, path=BULK)
        house.report("dev-a", "a", *points(3))
        await house.settled()
        assert house.status.possible_duplicates == 3
    values = stored(sandbox, "dev-a", "a")
    assert values == [*points(3), *points(3)]


def _copy(folder: Path) -> None:
    for part in folder.glob("outbox*"):
        shutil.copy(part, folder / part.name.replace("outbox", "copy"))


async def test_reading_of_a_process_that_crashed_is_counted_as_a_possible_duplicate(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """And so is one of an old copy of the file, whatever was sent since."""
    async with living(sandbox, tmp_path / "outbox") as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("http_503")
        house.report("dev-a", "a", *points(3))
        await house.outbox.commit()
        _copy(tmp_path)
        sandbox.faults.clear()
        await house.settled()
        assert house.status.possible_duplicates == 0
    async with living(sandbox, tmp_path / "copy") as house:
        await house.settled()
        assert house.status.possible_duplicates == 3
    assert stored(sandbox, "dev-a", "a") == [*points(3), *points(3)]


async def test_poison_is_set_aside_and_the_rest_delivered(sandbox: Sandbox) -> None:
    """Also of the sample that it was a part of."""
    poison(sandbox, "bad")
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(50))
        house.report("dev-a", "bad", (LONG_AGO + 7, 1))
        house.report("dev-a2", "a", *points(50))
        await house.settled()
        assert house.status.delivered == 100
        assert house.status.refused == 1
        assert list(house.status.refused_variables) == [("dev-a", "bad")]
        [letter] = await house.outbox.dead_letters()
        assert letter.reading == Reading("dev-a", "bad", 1, LONG_AGO + 7)
        assert letter.reason
    assert sorted(stored(sandbox, "dev-a", "a")) == points(50)
    assert stored(sandbox, "dev-a2", "a") == points(50)


async def test_nothing_is_set_aside_while_the_server_fails_on_everything(
    sandbox: Sandbox,
) -> None:
    poison(sandbox, "a")
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: len(bulks(sandbox)) > 20)
        assert (len(house.outbox), house.status.refused) == (3, 0)
        cure(sandbox, "a")
        await house.settled()
    assert sorted(stored(sandbox, "dev-a", "a")) == points(3)


async def test_number_that_cannot_be_sent_is_set_aside(sandbox: Sandbox) -> None:
    async with living(sandbox) as house:
        house.report("dev-a", "a", (LONG_AGO, 1), (LONG_AGO + 1, 2))
        house.report("dev-a", "power_factor", (LONG_AGO, 100))
        await house.settled()
        assert (house.status.delivered, house.status.refused) == (2, 1)
        assert house.status.is_connected


async def test_foreign_device_pauses_while_the_others_go_on(sandbox: Sandbox) -> None:
    async with living(sandbox) as house:
        house.report("dev-b", "a", *points(3))
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: len(house.outbox) == 3)
        assert list(house.status.refused_devices) == ["dev-b"]
        assert house.status.is_connected
        house.report("dev-a", "a", (LONG_AGO + 3, 3))
        await eventually(lambda: len(house.outbox) == 3)
    assert stored(sandbox, "dev-b", "a") == []
    assert stored(sandbox, "dev-a", "a") == points(4)


async def test_requests_grow_as_long_as_the_server_is_swift(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a thousand, or too many would be sent again if an answer is lost."""
    monkeypatch.setattr(bulk, "_SWIFT_S", math.inf)
    monkeypatch.setattr(bulk, "_SLOW_S", math.inf)
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(4000))
        await house.settled()
    counts = [
        len(json.loads(request.body))
        for request in sandbox.requests
        if request.path == BULK
    ]
    assert max(counts) == 1000 > 3 * counts[0]


async def test_device_that_was_passed_over_is_tried_again(sandbox: Sandbox) -> None:
    """From its oldest reading on, as soon as a person has mended it and says so."""
    pace = replace(FAST, refused_device_s=3600)
    async with living(sandbox, pace=pace) as house:
        house.report("dev-b", "a", *points(3))
        await eventually(lambda: house.status.refused_devices)
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: house.status.delivered == 3)
        assert len(house.outbox) == 3
        device = sandbox.store.device("dev-b")
        assert device
        ours = sandbox.store.organization_id("Organization A")
        sandbox.store.update_device(device, organization_id=ours)
        house.delivery.flush()
        await house.settled()
        assert not house.status.refused_devices
    assert stored(sandbox, "dev-b", "a") == points(3)


async def test_slow_server_gets_smaller_requests(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that none takes longer than its proxy waits."""
    monkeypatch.setattr(bulk, "_SLOW_S", 0.05)
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("latency", seconds=0.1, path=BULK)
        house.report("dev-a", "a", *points(80))
        await house.settled()
    sizes = bulks(sandbox)
    assert min(sizes) < sizes[0] / 3
    assert stored(sandbox, "dev-a", "a") == points(80)


async def test_two_readings_of_one_moment_both_arrive(sandbox: Sandbox) -> None:
    """Though a sample holds but one of each variable."""
    async with living(sandbox) as house:
        house.report("dev-a", "a", (LONG_AGO, 1), (LONG_AGO, 2))
        await house.settled()
    assert stored(sandbox, "dev-a", "a") == [(LONG_AGO, 1), (LONG_AGO, 2)]


async def test_device_token_in_place_of_a_user_key_is_said(sandbox: Sandbox) -> None:
    """And everything is kept until there is a credential that knows times."""
    async with living(sandbox, token=TOKEN) as house:
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: house.status.problem)
        assert "user key" in (house.status.problem or "")
        assert len(house.outbox) == 3


async def test_what_nobody_has_heard_is_no_possible_duplicate() -> None:
    """Nothing listens any more."""
    async with scripted(http_answer(503)) as server:
        url = server.url
    async with living(url) as house:
        house.report("dev-a", "a", *points(3))
        await eventually(lambda: house.status.problem)
        house.status.problem = None
        await eventually(lambda: house.status.problem)
        assert house.status.possible_duplicates == 0
        assert len(house.outbox) == 3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"success": False, "message": "No"}),
        (500, {"status": 500, "errorType": "UnexpectedRollbackException"}),
    ],
)
async def test_reading_for_which_a_whole_request_is_refused_is_found(
    sandbox: Sandbox, status: int, body: dict[str, object]
) -> None:
    """By halving; the others are stored."""

    def refuse(sent: bytes) -> web.Response | None:
        return web.json_response(body, status=status) if b'"bad"' in sent else None

    async with proxied(sandbox, "/sv", refuse) as url, living(url) as house:
        house.report("dev-a", "a", *points(9))
        house.report("dev-a", "bad", (LONG_AGO + 4, 1))
        await eventually(lambda: house.status.delivered == 9)
        house.report("dev-a", "a", (LONG_AGO + 9, 9))
        await house.settled()
        assert house.status.refused == 1
        [letter] = await house.outbox.dead_letters()
        assert letter.reading.variable == "bad"
    assert sorted(stored(sandbox, "dev-a", "a")) == points(10)


async def test_nothing_is_set_aside_while_somebody_refuses_everything(
    sandbox: Sandbox,
) -> None:
    """As a firewall may: what it says of all readings is no reading's fault."""
    refusals = 0

    def refuse(sent: bytes) -> web.Response | None:
        nonlocal refusals
        if b'"timestamp"' not in sent or refusals > 40:
            return None
        refusals += 1
        return web.json_response({"message": "Blocked"}, status=400)

    async with proxied(sandbox, "/sv", refuse) as url, living(url) as house:
        house.report("dev-a", "a", *points(200))
        await house.settled()
        assert refusals > 40
        assert house.status.refused == 0
    assert sorted(stored(sandbox, "dev-a", "a")) == points(200)


async def test_live_readings_alone_leave_without_pauses(sandbox: Sandbox) -> None:
    """However many there are: only what comes is collected for a while."""
    async with living(sandbox, pace=replace(FAST, window_s=1)) as house:
        await eventually(lambda: house.status.is_connected)
        house.report("dev-a", "a", *points(1))
        await house.settled()
        house.report("dev-a", "a", *points(2000, LONG_AGO + 1))
        started = time.monotonic()
        await house.settled()
        assert time.monotonic() - started < 5


async def test_little_is_tried_while_the_server_fails_on_each_reading(
    sandbox: Sandbox,
) -> None:
    """All that waits is neither sent over and over nor held in memory."""
    poison(sandbox, "a")
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(3000))
        await eventually(lambda: len(bulks(sandbox)) > 30)
        arrived = {
            item["timestamp"]
            for request in sandbox.requests
            if request.path == BULK
            for item in json.loads(request.body)
        }
        assert len(arrived) < 500
        cure(sandbox, "a")
        await house.settled()
        assert house.status.refused == 0
    assert sorted(stored(sandbox, "dev-a", "a")) == points(3000)


async def test_flush_looks_for_what_was_passed_over(sandbox: Sandbox) -> None:
    """Also while other readings are on their way."""
    pace = replace(FAST, refused_device_s=60)
    async with living(sandbox, pace=pace) as house:
        house.report("dev-b", "a", *points(3))
        await eventually(lambda: house.status.refused_devices)
        sandbox.store.connection.execute(
            "UPDATE devices SET organization_id = (SELECT organization_id FROM devices"
            " WHERE external_id = 'dev-a') WHERE external_id = 'dev-b'"
        )
        sandbox.store.forget_lookups()
        sandbox.faults.set("latency", seconds=0.2, path=BULK)
        house.report("dev-a", "a", *points(3))
        before = len(bulks(sandbox))
        await eventually(lambda: len(bulks(sandbox)) > before)
        house.delivery.flush()
        await house.settled()
    assert stored(sandbox, "dev-b", "a") == points(3)


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/devices"])
async def test_lost_answer_to_a_look_up_is_no_possible_duplicate(
    sandbox: Sandbox, path: str
) -> None:
    sandbox.faults.set("reset_after_commit", times=1, path=path)
    async with living(sandbox) as house:
        house.report("dev-a", "a", *points(3))
        await house.settled()
        assert house.status.possible_duplicates == 0


@pytest.mark.parametrize("fault", ["http_502", "http_504"])
async def test_reading_that_a_proxy_may_have_passed_on_is_a_possible_duplicate(
    sandbox: Sandbox, fault: str
) -> None:
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set(fault, times=1, path=BULK)
        house.report("dev-a", "a", *points(3))
        await house.settled()
        assert house.status.possible_duplicates == 3


@pytest.mark.parametrize("fault", ["http_503", "reset_after_commit"])
async def test_backlog_keeps_its_order_when_the_server_fails_amid_it(
    sandbox: Sandbox, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken ahead is put back, and comes after what has failed."""
    monkeypatch.setattr(bulk, "_FIRST_CHUNK", 40)
    async with living(sandbox) as house:
        await eventually(lambda: house.status.is_connected)
        sandbox.faults.set("http_503", path=BULK)
        house.report("dev-a", "a", *points(500))
        await eventually(lambda: house.status.is_connected is False)
        sandbox.faults.clear()
        await eventually(lambda: len(stored(sandbox, "dev-a", "a")) >= 40)
        sandbox.faults.set(fault, times=2, path=BULK)
        await house.settled()
    arrived = dict.fromkeys(stored(sandbox, "dev-a", "a"))
    assert list(arrived) == points(500)


async def test_reading_times_that_go_back_keep_their_order(sandbox: Sandbox) -> None:
    """A variable's readings are stored as they came, whatever a clock has done."""
    async with living(sandbox) as house:
        house.outbox.append(
            [
                Reading("dev-a", "b", 1, LONG_AGO + 5),
                Reading("dev-a", "a", 1, LONG_AGO + 3),
                Reading("dev-a", "a", 2, LONG_AGO + 5),
            ]
        )
        house.delivery.notify()
        await house.settled()
    assert [value for _, value in stored(sandbox, "dev-a", "a")] == [1, 2]
