"""A client is polite by itself, and leaves a server alone that keeps failing."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
import time

import pytest

from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    AuthenticationError,
    CircuitBreaker,
    CircuitOpenError,
    NetworkError,
    RateLimit,
    RequestMetrics,
    RequestTimeoutError,
    RetryPolicy,
    SensorVisionError,
    ServerError,
    ValidationError,
)
from custom_components.sensorvision.client.deadline import deadline
from custom_components.sensorvision.client.policies import Limiter
from custom_components.sensorvision.client.runtime import AsyncRuntime
from sandbox import Sandbox

from .both_clients import ClientClass, both_clients
from .servers import STORED, TOKEN, eventually, http_answer, scripted, silence

NUMBERS = {"a": 1}
BREAKER = CircuitBreaker(failures=3, pause_s=30)
GOOD = http_answer(200, STORED)


class MovedRuntime(AsyncRuntime):
    """A runtime in which time passes by sleeping alone."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now(self) -> float:
        """Tell the time."""
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        """Move the time."""
        self.time_s += seconds


async def test_burst_goes_out_at_once_and_the_rest_in_time() -> None:
    """Short scripts never notice the limit."""
    runtime = MovedRuntime()
    limiter = Limiter(RateLimit(per_second=4, burst=3), runtime)
    went = []
    for _ in range(6):
        await limiter.turn()
        went.append(runtime.now() - 1000)
    assert went == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75])


async def test_pause_earns_another_burst_and_no_more() -> None:
    """Saved turns do not add up."""
    runtime = MovedRuntime()
    limiter = Limiter(RateLimit(per_second=4, burst=3), runtime)
    await limiter.turn()
    await runtime.sleep(3600)
    started = runtime.now()
    for _ in range(4):
        await limiter.turn()
    assert runtime.now() - started == pytest.approx(0.25)


async def test_defaults_stay_below_what_the_hosted_server_bears() -> None:
    """Ten a second in the long run, and twenty more at once (contract 6.5)."""
    runtime = MovedRuntime()
    limiter = Limiter(RateLimit(), runtime)
    went = []
    for _ in range(200):
        await limiter.turn()
        went.append(runtime.now())
    excess, last = 0.0, went[0]
    for moment in went:
        excess = max(0.0, excess - (moment - last) * 10) + 1
        last = moment
        assert excess <= 20
    steady = [later - earlier for earlier, later in pairwise(went[20:])]
    assert min(steady) > 0.1


async def test_limit_that_is_off_delays_nothing() -> None:
    """Something else is slow, or nothing has to be."""
    runtime = MovedRuntime()
    limiter = Limiter(RateLimit.off(), runtime)
    for _ in range(1000):
        async with limiter.slot:
            await limiter.turn()
    assert runtime.now() == 1000


@both_clients
async def test_client_keeps_to_its_rate(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Also among its retries and threads."""
    limit = RateLimit(per_second=20, burst=1)
    started = time.monotonic()
    async with client_class(sandbox.url, api_key=TOKEN, rate_limit=limit) as client:
        await asyncio.gather(*(client.send_data("dev-a", NUMBERS) for _ in range(5)))
    assert time.monotonic() - started >= 4 / 20
    assert len(sandbox.store.values("dev-a")) == 5


@both_clients
@pytest.mark.parametrize(("slots", "peak"), [(2, 2), (0, 5)])
async def test_no_more_wait_for_their_answers_than_may(
    client_class: ClientClass, slots: int, peak: int
) -> None:
    """The server's database has but so many connections."""
    held, most, in_flight = asyncio.Event(), 0, 0

    async def speak(writer: asyncio.StreamWriter) -> None:
        nonlocal most, in_flight
        in_flight += 1
        most = max(most, in_flight)
        await held.wait()
        in_flight -= 1
        writer.write(GOOD)

    async with (
        scripted(speak) as server,
        client_class(
            server.url, api_key=TOKEN, rate_limit=RateLimit(max_in_flight=slots)
        ) as client,
    ):
        sending = asyncio.gather(
            *(client.send_data(f"dev-{n}", NUMBERS) for n in range(5))
        )
        await eventually(lambda: in_flight == peak)
        held.set()
        await sending
    assert most == peak
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: RateLimit(per_second=0), "per_second"),
        (lambda: RateLimit(per_second=float("nan")), "per_second"),
        (lambda: RateLimit(burst=0), "burst"),
        (lambda: RateLimit(max_in_flight=-1), "max_in_flight"),
        (lambda: CircuitBreaker(failures=-1), "failures"),
        (lambda: CircuitBreaker(pause_s=-1), "pause_s"),
    ],
    ids=["rate", "no number", "burst", "in flight", "failures", "pause"],
)
def test_policy_that_lets_nothing_through_is_refused(
    make: Callable[[], object], field: str
) -> None:
    """It would look like a hang."""
    with pytest.raises(ValidationError, match="Take a number") as caught:
        make()
    assert caught.value.field == field


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time_s = 50.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.time_s


async def _fail(
    client: AsyncSensorVisionClient, error: type[SensorVisionError], times: int = 1
) -> None:
    for _ in range(times):
        with pytest.raises(error) as caught:
            await client.send_data("dev-a", NUMBERS)
        assert type(caught.value) is error


@both_clients
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_502", ServerError),
        ("http_503", ServerError),
        ("http_504", ServerError),
        ("reset", NetworkError),
    ],
)
async def test_server_that_keeps_failing_is_left_alone_for_a_while(
    client_class: ClientClass,
    sandbox: Sandbox,
    fault: str,
    error: type[SensorVisionError],
) -> None:
    """It has enough to do, and the caller learns at once."""
    watch = Watch()
    sandbox.faults.set(fault)
    async with client_class(
        sandbox.url,
        api_key=TOKEN,
        retry=RetryPolicy.off(),
        breaker=BREAKER,
        clock=watch,
    ) as client:
        await _fail(client, error, times=3)
        watch.time_s += 10
        with pytest.raises(CircuitOpenError, match="3 times in a row") as caught:
            await client.send_data("dev-a", NUMBERS)
        assert caught.value.retry_after_s == 20
        assert not caught.value.may_have_arrived
        assert len(sandbox.requests) == 3
        # One tries, and the pause begins anew.
        watch.time_s += 20
        await _fail(client, error)
        await _fail(client, CircuitOpenError)
        assert len(sandbox.requests) == 4
        watch.time_s += 30
        sandbox.faults.clear()
        await client.send_data("dev-a", NUMBERS)
        # Closed again: it takes as many failures as at first.
        sandbox.faults.set(fault)
        await _fail(client, error, times=3)
        await _fail(client, CircuitOpenError)


@both_clients
@pytest.mark.parametrize(
    "answer",
    [
        http_answer(400, b'{"success":false}'),
        http_answer(401, b'{"success":false}'),
        http_answer(404, b"{}"),
        http_answer(429, b"{}"),
        http_answer(500, b"{}"),
    ],
    ids=["400", "401", "404", "429", "500"],
)
async def test_server_that_answers_is_there(
    client_class: ClientClass, answer: bytes
) -> None:
    """What it says is the request's fault, not a lack of the server."""
    async with (
        scripted(answer) as server,
        client_class(
            server.url, api_key=TOKEN, retry=RetryPolicy.off(), breaker=BREAKER
        ) as client,
    ):
        for _ in range(5):
            with pytest.raises(SensorVisionError) as caught:
                await client.send_data("dev-a", NUMBERS)
            assert not isinstance(caught.value, CircuitOpenError)


@both_clients
async def test_one_success_makes_up_for_failures(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Only failures in a row count."""
    async with client_class(
        sandbox.url, api_key=TOKEN, retry=RetryPolicy.off(), breaker=BREAKER
    ) as client:
        for _ in range(3):
            sandbox.faults.set("http_503", times=2)
            await _fail(client, ServerError, times=2)
            await client.send_data("dev-a", NUMBERS)


@both_clients
async def test_breaker_that_is_off_never_opens(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """The caller has a pace of its own."""
    sandbox.faults.set("http_503")
    async with client_class(
        sandbox.url,
        api_key=TOKEN,
        retry=RetryPolicy.off(),
        breaker=CircuitBreaker.off(),
        rate_limit=RateLimit.off(),
    ) as client:
        await _fail(client, ServerError, times=30)
    assert len(sandbox.requests) == 30


@both_clients
async def test_time_that_is_over_is_no_failure_of_the_server(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """It was not asked, here or elsewhere."""
    told: list[RequestMetrics] = []
    async with client_class(
        sandbox.url,
        fallback_urls=["http://127.0.0.1:9"],
        api_key=TOKEN,
        retry=RetryPolicy.off(),
        breaker=CircuitBreaker(failures=1),
        on_request=told.append,
    ) as client:
        with deadline(0):
            await _fail(client, RequestTimeoutError, times=2)
        assert not told
        await client.send_data("dev-a", NUMBERS)
    assert [metrics.outcome for metrics in told] == ["ok"]


@both_clients
async def test_open_breaker_ends_the_attempts(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Waiting for it in a call would look like a hang."""
    sandbox.faults.set("http_503")
    async with client_class(
        sandbox.url,
        api_key=TOKEN,
        retry=RetryPolicy(attempts=10, first_delay_s=0.001),
        breaker=BREAKER,
    ) as client:
        with pytest.raises(CircuitOpenError):
            await client.send_data("dev-a", NUMBERS)
    assert len(sandbox.requests) == 3


async def test_trial_is_one_request_and_another_one_if_it_is_given_up() -> None:
    """A server that comes back is not met by all who waited."""
    watch = Watch()
    async with (
        scripted(http_answer(503), silence, GOOD) as server,
        AsyncSensorVisionClient(
            server.url,
            api_key=TOKEN,
            retry=RetryPolicy.off(),
            breaker=CircuitBreaker(failures=1),
            clock=watch,
        ) as client,
    ):
        await _fail(client, ServerError)
        watch.time_s += 30
        trial = asyncio.create_task(client.send_data("dev-a", NUMBERS))
        await eventually(lambda: len(server.requests) == 2)
        await _fail(client, CircuitOpenError)
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        await client.send_data("dev-a", NUMBERS)
    assert len(server.requests) == 3


@both_clients
async def test_retries_that_are_off_send_once(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """Who has retries of their own wants no others."""
    sandbox.faults.set("http_503")
    async with client_class(
        sandbox.url, api_key=TOKEN, retry=RetryPolicy.off()
    ) as client:
        await _fail(client, ServerError)
    assert len(sandbox.requests) == 1


@both_clients
async def test_refused_credential_is_no_failure_of_the_server(
    client_class: ClientClass, sandbox: Sandbox
) -> None:
    """With the default policies."""
    async with client_class(
        sandbox.url, api_key="99999999-1111-4111-8111-111111111111"
    ) as client:
        await _fail(client, AuthenticationError, times=3)
