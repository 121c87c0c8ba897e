"""Readings survive the network, the server and the script itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
import datetime as dt
import os
from pathlib import Path
import signal
import sys
from typing import Any, cast

import pytest

from custom_components.sensorvision.client import (
    DEVICE_TOKEN,
    AsyncSensorVisionClient,
    Capabilities,
    CapabilityError,
    DurableSender,
    DurableStatus,
    Limits,
    Pace,
    RateLimit,
    RetryPolicy,
    Timeouts,
    ValidationError,
)
from custom_components.sensorvision.client.sync import SensorVisionClient
from custom_components.sensorvision.client.sync_durable import SyncDurableSender
from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_KEY
from tests.brokers import free_port

from .outbox_files import as_crashed, values_in
from .servers import TOKEN, eventually, poison, scripted, silence

PUTTER = Path(__file__).with_name("durable_putter.py")
ROOT = Path(__file__).parents[2]
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
AT_ONCE = Limits(commit_interval_s=0)
FAST = Pace(
    window_s=0.01,
    spacing_s=0,
    backoff=RetryPolicy(first_delay_s=0.01, max_delay_s=0.02),
    suspect_attempts=2,
    refused_credential_s=0.05,
    idle_s=60,
)
IMPATIENT: dict[str, Any] = {
    "retry": RetryPolicy.off(),
    "rate_limit": RateLimit.off(),
    "timeouts": Timeouts(total_s=5),
}
USER: dict[str, Any] = {"user_key": ALICE_KEY}
DEVICE: dict[str, Any] = {"api_key": TOKEN}


class Sender:
    """A durable sender of either client, awaited."""

    def __init__(self, sender: DurableSender | SyncDurableSender) -> None:
        self._sender = sender

    async def put(self, *args: object, **kwargs: object) -> None:
        """Accept readings."""
        await self._do(self._sender.put, *args, **kwargs)

    async def flush(self, **kwargs: object) -> DurableStatus:
        """Wait until nothing waits."""
        return cast(
            "DurableStatus", await self._do(self._sender.flush, timeout=10, **kwargs)
        )

    async def status(self) -> DurableStatus:
        """Return what became of the readings."""
        if isinstance(self._sender, DurableSender):
            return self._sender.status
        return await asyncio.to_thread(lambda: self._sender.status)

    async def _do(
        self, call: Callable[..., object], *args: object, **kwargs: object
    ) -> object:
        if isinstance(self._sender, DurableSender):
            return await cast("Awaitable[object]", call(*args, **kwargs))
        return await asyncio.to_thread(call, *args, **kwargs)


type Open = Callable[..., Any]


@pytest.fixture(params=["async", "sync"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return what opens a durable sender with each client."""

    @asynccontextmanager
    async def opening(
        url: str, credential: dict[str, Any], limits: Limits | None = None
    ) -> AsyncIterator[Sender]:
        options: dict[str, Any] = {"pace": FAST, "limits": limits}
        path = tmp_path / "readings.db"
        async with AsyncExitStack() as stack:
            if request.param == "async":
                client = await stack.enter_async_context(
                    AsyncSensorVisionClient(url, **credential, **IMPATIENT)
                )
                sender = client.durable(path, **options)
                yield Sender(await stack.enter_async_context(sender))
            else:
                blocking = stack.enter_context(
                    SensorVisionClient(url, **credential, **IMPATIENT)
                )
                durable = blocking.durable(str(path), **options)
                await asyncio.to_thread(durable.open)
                try:
                    yield Sender(durable)
                finally:
                    await asyncio.to_thread(durable.close)

    return opening


def _nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


def _stored(sandbox: Sandbox, device_id: str = "dev-a") -> list[float]:
    rows = sandbox.store.rows(
        "SELECT value FROM variable_values"
        " JOIN variables ON variables.id = variable_id"
        " JOIN devices ON devices.id = device_id"
        " WHERE external_id = ? ORDER BY variable_values.rowid",
        device_id,
    )
    return [float(value) for (value,) in rows]


@pytest.mark.parametrize(
    "credential", [USER, DEVICE, {"api_key": ALICE_KEY}], ids=["user", "token", "key"]
)
async def test_what_is_put_is_delivered(
    sandbox: Sandbox, opened: Open, credential: dict[str, Any]
) -> None:
    async with opened(sandbox.url, credential) as sender:
        await sender.put("dev-a", {"a": 1, "b": 2})
        status = await sender.flush()
        assert status == await sender.status()
    assert status.waiting == 0
    assert status.delivered == 2
    assert status.is_connected
    assert status.problem is None
    assert status.file_problem is None
    assert sorted(_stored(sandbox)) == [1, 2]


async def test_user_sends_everything_of_an_outage_with_its_times(
    opened: Open, sandbox: Sandbox
) -> None:
    async with opened(_nowhere(), USER) as sender:
        for n in range(5):
            await sender.put("dev-a", {"a": n}, NOON + dt.timedelta(seconds=n))
        assert (await sender.status()).waiting == 5
    async with opened(sandbox.url, USER) as sender:
        status = await sender.flush()
    assert (status.waiting, status.delivered, status.superseded) == (0, 5, 0)
    assert _stored(sandbox) == [0, 1, 2, 3, 4]
    assert b'"2026-01-02T12:00:04.000000Z"' in b"".join(
        asked.body for asked in sandbox.requests
    )


async def test_device_token_sends_the_newest_of_an_outage(
    opened: Open, sandbox: Sandbox
) -> None:
    async with opened(_nowhere(), DEVICE) as sender:
        for n in range(5):
            await sender.put("dev-a", {"a": n, "b": -n})
        assert (await sender.status()).is_connected in (None, False)
    async with opened(sandbox.url, DEVICE) as sender:
        status = await sender.flush()
    assert (status.waiting, status.delivered, status.superseded) == (0, 2, 8)
    assert sorted(_stored(sandbox)) == [-4, 4]


async def test_server_that_comes_late_gets_what_waits(
    opened: Open, sandbox: Sandbox
) -> None:
    """Which credential it is can't be known until then."""
    sandbox.faults.set("http_503")
    async with opened(sandbox.url, DEVICE) as sender:
        await sender.put("dev-a", {"a": 1})
        await eventually(lambda: len(sandbox.requests) > 3)
        status = await sender.status()
        assert (status.is_connected, status.waiting) == (False, 1)
        assert status.problem
        sandbox.faults.clear()
        assert (await sender.flush()).delivered == 1
        # From now on it is known to be a token.
        with pytest.raises(CapabilityError, match="Leave the timestamp out"):
            await sender.put("dev-a", {"a": 2}, NOON)
    assert _stored(sandbox) == [1]


@pytest.mark.parametrize("credential", [USER, DEVICE], ids=["user", "token"])
async def test_outage_in_the_middle_is_survived(
    opened: Open, sandbox: Sandbox, credential: dict[str, Any]
) -> None:
    async with opened(sandbox.url, credential) as sender:
        await sender.put("dev-a", {"a": 1})
        await sender.flush()
        sandbox.faults.set("reset")
        await sender.put("dev-a", {"a": 2})
        before = len(sandbox.requests)
        await eventually(lambda: len(sandbox.requests) > before + 2)
        sandbox.faults.clear()
        status = await sender.flush()
    assert (status.waiting, status.delivered) == (0, 2)
    assert _stored(sandbox) == [1, 2]


async def test_refused_reading_is_kept_out_of_the_way(
    opened: Open, sandbox: Sandbox
) -> None:
    poison(sandbox, "bad")
    async with opened(sandbox.url, USER) as sender:
        await sender.put("dev-a", {"bad": 1})
        await sender.put("dev-a", {"a": 2})
        status = await sender.flush()
    assert (status.waiting, status.delivered, status.refused) == (0, 1, 1)


async def test_flush_waits_no_longer_for_a_refused_credential(
    opened: Open, sandbox: Sandbox
) -> None:
    credential = {"username": "alice", "password": "wrong"}
    async with opened(sandbox.url, credential) as sender:
        await sender.put("dev-a", {"a": 1})
        status = await sender.flush()
    assert (status.waiting, status.is_connected) == (1, False)
    assert "user name and password" in status.problem


async def test_flush_gives_up_in_time(tmp_path: Path) -> None:
    async with (
        scripted(silence) as server,
        AsyncSensorVisionClient(server.url, **USER, **IMPATIENT) as client,
        client.durable(tmp_path / "readings.db", pace=FAST) as sender,
    ):
        await sender.put("dev-a", {"a": 1})
        assert (await sender.flush(timeout=0.05)).waiting == 1


@pytest.mark.parametrize(
    ("device_id", "variables", "timestamp", "field"),
    [
        ("a/b", {"a": 1}, None, "device id"),
        ("dev-a", {"a": True}, None, "a"),
        ("dev-a", {}, None, "variables"),
        ("dev-a", {"a": 1}, NOON.replace(tzinfo=None), "timestamp"),
    ],
)
async def test_what_could_never_be_sent_is_not_accepted(
    opened: Open,
    device_id: str,
    variables: dict[str, Any],
    timestamp: dt.datetime | None,
    field: str,
) -> None:
    async with opened(_nowhere(), USER) as sender:
        with pytest.raises(ValidationError) as caught:
            await sender.put(device_id, variables, timestamp)
        assert caught.value.field == field
        assert (await sender.status()).waiting == 0


async def test_reading_is_on_disk_when_put_returns_if_it_is_to_be(
    opened: Open, tmp_path: Path
) -> None:
    async with opened(_nowhere(), USER, limits=AT_ONCE) as sender:
        await sender.put("dev-a", {"a": 42})
        copy = as_crashed(tmp_path / "readings.db", tmp_path / "copy" / "readings.db")
    assert await values_in(copy) == [42]


async def test_file_that_can_not_be_written_is_told_of(
    opened: Open, tmp_path: Path
) -> None:
    (tmp_path / "readings.db").mkdir()
    async with opened(_nowhere(), USER) as sender:
        await sender.put("dev-a", {"a": 1})
        assert (await sender.status()).file_problem


async def test_closed_sender_says_how_to_open_it(tmp_path: Path) -> None:
    async with AsyncSensorVisionClient(_nowhere(), **USER) as client:
        sender = client.durable(tmp_path / "readings.db")
        with pytest.raises(RuntimeError, match="async with"):
            await sender.put("dev-a", {"a": 1})
        await sender.close()
    with SensorVisionClient(_nowhere(), **USER) as blocking:
        durable = blocking.durable(tmp_path / "readings.db")
        with pytest.raises(RuntimeError, match="within `with`"):
            durable.put("dev-a", {"a": 1})
        durable.close()


async def test_sender_that_is_cancelled_while_it_opens_leaves_its_file_to_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "readings.db"
    async with AsyncSensorVisionClient(_nowhere(), **USER, **IMPATIENT) as client:
        opening = asyncio.ensure_future(client.durable(path).open())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with client.durable(path) as sender:
            assert sender.status.file_problem is None


async def test_error_that_nobody_has_thought_of_is_seen_and_costs_no_reading(
    tmp_path: Path,
) -> None:
    class Broken(AsyncSensorVisionClient):
        async def capabilities(self) -> Capabilities:
            raise ZeroDivisionError

    path = tmp_path / "readings.db"
    async with Broken(_nowhere(), **DEVICE) as client:
        sender = client.durable(path, pace=FAST)
        await sender.open()
        await sender.put("dev-a", {"a": 42})
        assert (await sender.flush(0.01)).waiting == 1
        with pytest.raises(ZeroDivisionError):
            await sender.close()
    assert await values_in(path) == [42]


async def test_token_is_known_before_a_second_sender_begins(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with AsyncSensorVisionClient(sandbox.url, **DEVICE, **IMPATIENT) as client:
        await client.send_data("dev-a", {"a": 1})
        assert client.credential == DEVICE_TOKEN
        async with client.durable(tmp_path / "readings.db", pace=FAST) as sender:
            await sender.put("dev-a", {"a": 2})
            assert (await sender.flush()).delivered == 1
    assert _stored(sandbox) == [1, 2]


async def test_threads_share_a_sender(sandbox: Sandbox, tmp_path: Path) -> None:
    def put_all() -> DurableStatus:
        with (
            SensorVisionClient(sandbox.url, **USER, **IMPATIENT) as client,
            client.durable(tmp_path / "readings.db", pace=FAST) as sender,
            ThreadPoolExecutor(8) as threads,
        ):
            assert repr(client) in repr(sender._sender._client)
            list(threads.map(lambda n: sender.put("dev-a", {"a": n}), range(200)))
            return sender.flush(10)

    status = await asyncio.to_thread(put_all)
    assert (status.waiting, status.delivered) == (0, 200)
    assert sorted(_stored(sandbox)) == list(range(200))


async def test_what_was_committed_before_a_kill_is_delivered_by_the_next_run(
    tmp_path: Path,
) -> None:
    """In the middle of putting, without a server, three times over."""
    path, url, last = tmp_path / "readings.db", _nowhere(), 0
    for _ in range(3):
        putter = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PUTTER),
            url,
            ALICE_KEY,
            str(path),
            str(last + 1),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert putter.stdout
        async with asyncio.timeout(60):
            for _ in range(20):
                assert await putter.stdout.readline()
        putter.send_signal(signal.SIGKILL)
        printed = await putter.stdout.read()
        await putter.wait()
        last = int(printed.split()[-1]) if printed.split() else last + 20
    async with (
        Sandbox(Settings(fixtures="contract")) as sandbox,
        AsyncSensorVisionClient(sandbox.url, **USER, **IMPATIENT) as client,
        client.durable(path, pace=FAST) as sender,
    ):
        status = await sender.flush(30)
        assert status.waiting == 0
        assert set(range(1, last + 1)) <= {int(value) for value in _stored(sandbox)}
