"""Tasks and threads wait, take turns and keep a deadline alike."""

import asyncio
from collections.abc import Awaitable, Callable
import threading
import time

import pytest

from custom_components.sensorvision.client import RequestTimeoutError
from custom_components.sensorvision.client.deadline import (
    deadline,
    remaining_s,
    within_deadline,
)
from custom_components.sensorvision.client.runtime import (
    AsyncRuntime,
    Runtime,
    SyncRuntime,
    run,
)

SHORT_S = 0.05

both_runtimes = pytest.mark.parametrize("runtime", [AsyncRuntime(), SyncRuntime()])


def _job(value: int, *, fails: bool = False) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        if fails:
            raise ValueError(value)
        return value

    return work


def _done(runtime: Runtime, work: Callable[[], Awaitable[object]]) -> object:
    """Do some work as the client of a runtime does."""

    async def awaited() -> object:
        return await work()

    if isinstance(runtime, SyncRuntime):
        return run(awaited())
    return asyncio.run(awaited())


@both_runtimes
def test_results_come_in_the_order_of_their_jobs(runtime: Runtime) -> None:
    jobs = [_job(number) for number in range(20)]
    assert _done(runtime, lambda: runtime.gather(jobs, limit=3)) == list(range(20))


@both_runtimes
def test_nothing_to_do_is_done(runtime: Runtime) -> None:
    assert _done(runtime, lambda: runtime.gather([], limit=3)) == []


@both_runtimes
def test_no_more_jobs_run_at_once_than_may(runtime: Runtime) -> None:
    running, most = 0, 0
    guard = threading.Lock()

    async def work() -> None:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        await runtime.sleep(0.01)
        with guard:
            running -= 1

    _done(runtime, lambda: runtime.gather([work] * 9, limit=3))
    assert (running, most) == (0, 3)


@both_runtimes
def test_first_failure_is_raised_and_nothing_more_is_begun(runtime: Runtime) -> None:
    begun = []

    def counted(number: int) -> Callable[[], Awaitable[int]]:
        async def work() -> int:
            begun.append(number)
            return await _job(number, fails=number == 2)()

        return work

    jobs = [counted(number) for number in range(6)]
    with pytest.raises(ValueError, match=r"^2$"):
        _done(runtime, lambda: runtime.gather(jobs, limit=1))
    assert begun == [0, 1, 2]


@both_runtimes
def test_job_that_has_begun_ends_before_the_failure_is_raised(
    runtime: Runtime,
) -> None:
    """None may go on unattended."""
    ended = []

    async def slow() -> int:
        await runtime.sleep(SHORT_S)
        ended.append(True)
        return 0

    jobs = [slow, _job(1, fails=True), slow]
    with pytest.raises(ValueError, match=r"^1$"):
        _done(runtime, lambda: runtime.gather(jobs, limit=2))
    assert ended == [True]


async def test_cancelled_jobs_are_all_cancelled() -> None:
    """Cancelling means now."""
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    gathering = asyncio.ensure_future(AsyncRuntime().gather([work] * 3, limit=2))
    for _ in range(3):
        await asyncio.sleep(0)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert len(cancelled) == 2


async def test_job_that_cancels_itself_ends_the_others() -> None:
    """It has no result that could be returned."""

    async def give_up() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await AsyncRuntime().gather([_job(1), give_up, _job(2)], limit=1)


@both_runtimes
def test_deadline_refuses_a_pause_that_is_longer(runtime: Runtime) -> None:
    """No time passes in vain."""

    async def work() -> float:
        started = runtime.now()
        with deadline(60), pytest.raises(RequestTimeoutError, match="was over"):
            await runtime.sleep(61)
        return runtime.now() - started

    took_s = _done(runtime, work)
    assert isinstance(took_s, float)
    assert took_s < 30


@both_runtimes
def test_deadline_ends_the_wait_for_a_slot(runtime: Runtime) -> None:
    async def work() -> None:
        slot = runtime.semaphore(1)
        async with slot:
            with deadline(SHORT_S), pytest.raises(RequestTimeoutError):
                async with slot:
                    pass
        # It is free again, and the wait that ended has not taken it.
        with deadline(10):
            async with slot:
                pass

    assert _done(runtime, work) is None


@both_runtimes
def test_deadline_that_is_over_lets_no_slot_be_taken_by_waiting(
    runtime: Runtime,
) -> None:
    async def work() -> None:
        slot = runtime.semaphore(1)
        async with slot:
            with deadline(-1), pytest.raises(RequestTimeoutError):
                async with slot:
                    pass

    assert _done(runtime, work) is None


@both_runtimes
def test_deadline_holds_in_each_job(runtime: Runtime) -> None:
    """Also in threads, which know nothing of what starts them."""

    async def left() -> float | None:
        return remaining_s()

    async def work() -> list[float | None]:
        with deadline(60):
            return await runtime.gather([left, left], limit=2)

    found = _done(runtime, work)
    assert isinstance(found, list)
    assert all(0 < left_s <= 60 for left_s in found)


def test_earlier_one_of_two_deadlines_counts() -> None:
    with deadline(10):
        with deadline(100):
            assert within_deadline(50) <= 10
        with deadline(1):
            assert within_deadline(50) <= 1
        with deadline(None):
            assert 1 < within_deadline(50) <= 10
    assert within_deadline(50) == 50
    assert remaining_s() is None


def test_no_step_begins_once_the_deadline_is_over() -> None:
    with deadline(0):
        time.sleep(0.001)
        with pytest.raises(RequestTimeoutError) as caught:
            within_deadline(1)
    assert not caught.value.may_have_arrived


def test_coroutine_that_waits_for_an_event_loop_is_not_driven() -> None:
    """It would never end."""

    async def wait() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="has waited for one"):
        run(wait())
