"""Only what may succeed later is tried again, and not before the server allows it."""

import asyncio
import logging

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    AuthenticationError,
    DeviceError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PayloadError,
    PermissionDeniedError,
    RateLimitError,
    RedirectError,
    RequestTimeoutError,
    RetryPolicy,
    SensorVisionError,
    ServerError,
    Timeouts,
)
from sandbox import Sandbox

from .both_clients import ClientClass, both_clients
from .servers import STORED, TOKEN, eventually, http_answer, scripted, silence

QUICK = RetryPolicy(attempts=3, first_delay_s=0.001, max_delay_s=5)
GOOD = http_answer(200, STORED)


async def _send(
    client_class: ClientClass,
    url: str,
    retry: RetryPolicy = QUICK,
    timeouts: Timeouts | None = None,
) -> None:
    async with client_class(
        url, api_key=TOKEN, retry=retry, timeouts=timeouts
    ) as client:
        await client.send_data("dev-a", {"a": 1})


@both_clients
@pytest.mark.parametrize(
    "fault", ["http_429", "http_500", "http_502", "http_503", "http_504", "reset"]
)
async def test_passing_trouble_is_survived(
    client_class: ClientClass, sandbox: Sandbox, fault: str
) -> None:
    """The caller does not notice it."""
    seconds = 0 if fault == "http_429" else None
    sandbox.faults.set(fault, times=2, seconds=seconds)
    await _send(client_class, sandbox.url)
    assert len(sandbox.requests) == 3
    assert len(sandbox.store.values("dev-a", "a")) == 1


@both_clients
@pytest.mark.parametrize(
    ("fault", "error"), [("http_503", ServerError), ("reset", NetworkError)]
)
async def test_lasting_trouble_ends_after_the_last_attempt(
    client_class: ClientClass,
    sandbox: Sandbox,
    fault: str,
    error: type[SensorVisionError],
) -> None:
    """The last error is the caller's."""
    sandbox.faults.set(fault)
    with pytest.raises(error):
        await _send(client_class, sandbox.url)
    assert len(sandbox.requests) == 3


@both_clients
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", NotSensorVisionError),
        (301, b"", RedirectError),
        (400, b'{"success":false}', PayloadError),
        (400, b"<html>", DeviceError),
        (401, b'{"success":false}', AuthenticationError),
        (401, b"", DeviceError),
        (403, b'{"success":false}', PermissionDeniedError),
        (404, b"<html>", DeviceError),
        (413, b"<html>", PayloadError),
        (
            500,
            b'{"errorType":"HttpMediaTypeNotSupportedException"}',
            PayloadError,
        ),
    ],
)
async def test_what_would_fail_again_is_sent_once(
    client_class: ClientClass, status: int, body: bytes, error: type[SensorVisionError]
) -> None:
    """Another attempt would only cost the server."""
    async with scripted(http_answer(status, body)) as server:
        with pytest.raises(error):
            await _send(client_class, server.url)
    posts = [asked for asked in server.requests if asked.startswith(b"POST")]
    assert len(posts) == 1


@both_clients
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
async def test_what_may_succeed_later_is_sent_again(
    client_class: ClientClass, status: int
) -> None:
    """Once more is enough here."""
    async with scripted(http_answer(status, b"{}"), GOOD) as server:
        await _send(client_class, server.url)
    assert len(server.requests) == 2


@both_clients
async def test_something_that_speaks_no_http_is_asked_once(
    client_class: ClientClass,
) -> None:
    """It will not learn it."""
    async with scripted(b"+OK POP3 ready\r\n") as server:
        with pytest.raises(NotHttpError):
            await _send(client_class, server.url)
    assert len(server.requests) == 1


@both_clients
async def test_closed_port_is_tried_again(
    client_class: ClientClass, caplog: pytest.LogCaptureFixture
) -> None:
    """The server may be starting."""
    async with scripted(GOOD) as server:
        pass
    with caplog.at_level(logging.DEBUG), pytest.raises(NetworkError):
        await _send(client_class, server.url)
    tried = [line for line in caplog.messages if line.startswith("Attempt ")]
    assert len(tried) == 2


@both_clients
@pytest.mark.parametrize("attempts", [0, 1])
async def test_fewest_attempts_are_one(
    client_class: ClientClass, sandbox: Sandbox, attempts: int
) -> None:
    """Sending nothing must not look like success."""
    await _send(client_class, sandbox.url, RetryPolicy(attempts=attempts))
    sandbox.faults.set("http_503")
    with pytest.raises(ServerError):
        await _send(client_class, sandbox.url, RetryPolicy(attempts=attempts))
    assert len(sandbox.requests) == 2


@both_clients
async def test_wait_that_the_server_asks_for_is_kept(client_class: ClientClass) -> None:
    """The own pauses are far shorter."""
    loop = asyncio.get_running_loop()
    async with scripted(http_answer(429, Retry_After="1"), GOOD) as server:
        started = loop.time()
        await _send(client_class, server.url)
    assert loop.time() - started >= 1


@both_clients
async def test_wait_in_the_body_of_an_old_server_is_kept(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It comes in a header of its own as well."""
    loop = asyncio.get_running_loop()
    sandbox.faults.set("http_429", times=1, seconds=1)
    started = loop.time()
    await _send(client_class, sandbox.url)
    assert loop.time() - started >= 1


@both_clients
async def test_longer_wait_than_allowed_is_left_to_the_caller(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """A call that sleeps for minutes looks hung."""
    sandbox.faults.set("http_429", seconds=6)
    with pytest.raises(RateLimitError) as caught:
        await _send(client_class, sandbox.url)
    assert caught.value.retry_after_s == 6
    assert len(sandbox.requests) == 1


def test_pauses_are_drawn_below_a_doubling_bound() -> None:
    """Clients that lost a server together do not return together."""
    policy = RetryPolicy(first_delay_s=1, max_delay_s=10)
    for attempt, bound in enumerate([1, 2, 4, 8, 10, 10]):
        drawn = [policy.delay_s(attempt) for _ in range(200)]
        assert 0 <= min(drawn) < bound / 4
        assert bound * 3 / 4 < max(drawn) <= bound


def test_pause_after_very_many_attempts_is_still_bounded() -> None:
    """Powers of two outgrow floats."""
    assert RetryPolicy().delay_s(10**6) <= RetryPolicy().max_delay_s


@both_clients
async def test_timeout_is_ambiguous_and_says_so(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The server stored it all the same."""
    sandbox.faults.set("slow_commit", seconds=0.2)
    with pytest.raises(RequestTimeoutError, match="did not answer in time"):
        await _send(
            client_class, sandbox.url, RetryPolicy(attempts=1), Timeouts(total_s=0.05)
        )
    assert not sandbox.store.values("dev-a")
    await eventually(lambda: sandbox.store.values("dev-a"))


@both_clients
async def test_timed_out_request_is_sent_again(client_class: ClientClass) -> None:
    """A duplicate is better than a loss."""
    async with scripted(silence, GOOD) as server:
        await _send(client_class, server.url, timeouts=Timeouts(read_s=0.05))
    assert len(server.requests) == 2


@both_clients
@pytest.mark.parametrize(
    "timeouts", [Timeouts(total_s=0.05), Timeouts(read_s=0.05)], ids=["total", "read"]
)
async def test_silence_ends_in_a_timeout(
    client_class: ClientClass, timeouts: Timeouts
) -> None:
    """Each limit ends it alone."""
    async with scripted(silence) as server:
        with pytest.raises(RequestTimeoutError):
            await _send(client_class, server.url, RetryPolicy(attempts=1), timeouts)


@both_clients
async def test_answer_that_stops_in_the_middle_ends_in_a_timeout(
    client_class: ClientClass,
) -> None:
    """Headers alone are no answer."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD[:-5])
        await silence(writer)

    async with scripted(speak) as server:
        with pytest.raises(RequestTimeoutError):
            await _send(
                client_class, server.url, RetryPolicy(attempts=1), Timeouts(read_s=0.05)
            )


@both_clients
async def test_handshake_that_is_never_answered_ends_in_a_timeout(
    client_class: ClientClass,
) -> None:
    """An open port is no server."""

    async def ignore(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(ignore, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(RequestTimeoutError):
            await _send(
                client_class,
                f"https://127.0.0.1:{port}",
                RetryPolicy(attempts=1),
                Timeouts(connect_s=0.05),
            )


async def test_cancelled_wait_between_attempts_sends_nothing_more(
    sandbox: Sandbox,
) -> None:
    """Cancelling means now."""
    sandbox.faults.set("http_429", seconds=5)
    task = asyncio.create_task(_send(AsyncSensorVisionClient, sandbox.url))
    await eventually(lambda: sandbox.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sandbox.requests) == 1
