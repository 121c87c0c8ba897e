"""Be polite to a server: how fast to ask it, and when to leave it alone.

Each client keeps to these for all its requests. Each of them has `off()`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
import threading
from typing import TYPE_CHECKING, AsyncContextManager, Callable, Iterator

from .exceptions import CircuitOpenError, NetworkError, ValidationError

if TYPE_CHECKING:
    from .runtime import Runtime

# What an overloaded or missing server answers with, or a proxy in its place.
_TROUBLE = frozenset({502, 503, 504})


@dataclass(frozen=True)
class RateLimit:
    """How fast a client asks, by itself, before a server has to refuse.

    The defaults stay below what the hosted server's proxy bears: ten requests a second
    from one address, and twenty more at once.

    Attributes:
        per_second: requests a second in the long run, `inf` for no limit.
        burst: how many may go out at once after a pause.
        max_in_flight: how many wait for their answers at once, 0 for no limit.
    """

    per_second: float = 9.5
    burst: int = 10
    max_in_flight: int = 4

    def __post_init__(self) -> None:
        """See that anything could ever be sent.

        Raises:
            ValidationError: nothing could.
        """
        _check("per_second", self.per_second, self.per_second > 0, "above 0")
        _check("burst", self.burst, self.burst >= 1, "of 1 or more")
        _check("max_in_flight", self.max_in_flight, self.max_in_flight >= 0, "from 0")

    @classmethod
    def off(cls) -> RateLimit:
        """Return the policy of a client that something else slows down, or nothing."""
        return cls(per_second=float("inf"), max_in_flight=0)


@dataclass(frozen=True)
class CircuitBreaker:
    """When a client stops asking a server that keeps failing, and for how long.

    A failure is no answer, or one of HTTP 502, 503 or 504. After the pause one request
    goes out alone; if it fails as well, the pause begins anew.

    Attributes:
        failures: after how many in a row, 0 for never.
        pause_s: for how long, in seconds.
    """

    failures: int = 10
    pause_s: float = 30

    def __post_init__(self) -> None:
        """See that it is one.

        Raises:
            ValidationError: a number is negative.
        """
        _check("failures", self.failures, self.failures >= 0, "from 0")
        _check("pause_s", self.pause_s, self.pause_s >= 0, "from 0")

    @classmethod
    def off(cls) -> CircuitBreaker:
        """Return the policy of a client that always asks."""
        return cls(failures=0)


class Limiter:
    """Let requests out as fast as a `RateLimit` allows.

    Args:
        limit: how fast.
        runtime: how to wait.
    """

    def __init__(self, limit: RateLimit, runtime: Runtime) -> None:
        self._interval_s = 1 / limit.per_second
        self._leeway_s = (limit.burst - 1) * self._interval_s
        self._runtime = runtime
        self._due = float("-inf")
        self._guard = threading.Lock()
        self.slot: AsyncContextManager[None] = (
            runtime.semaphore(limit.max_in_flight) if limit.max_in_flight else _Free()
        )

    async def turn(self) -> None:
        """Wait until one more request may go out."""
        # The generic cell rate algorithm: one number is all that is known of the past.
        with self._guard:
            now = self._runtime.now()
            due = max(self._due, now)
            self._due = due + self._interval_s
        delay_s = due - self._leeway_s - now
        if delay_s > 0:
            await self._runtime.sleep(delay_s)


class Circuit:
    """What a `CircuitBreaker` knows of one server.

    Args:
        breaker: when it opens.
        host: the server's address, for people.
        clock: seconds that only grow.
    """

    def __init__(
        self, breaker: CircuitBreaker, host: str, clock: Callable[[], float]
    ) -> None:
        self._breaker = breaker
        self._host = host
        self._clock = clock
        self._failures = 0
        self._open_until = float("-inf")
        self._is_tried = False
        self._guard = threading.Lock()

    @contextmanager
    def around(self) -> Iterator[Callable[[int], None]]:
        """Watch one request; yields what is to be called with the status of its answer.

        Raises:
            CircuitOpenError: the server has failed too often; nothing was sent.
        """
        is_trial = self._enter()
        try:
            yield self._answered
        except NetworkError:
            self._failed()
            raise
        finally:
            # Whoever gave up the trial leaves it to the next one.
            if is_trial:
                self._is_tried = False

    def _enter(self) -> bool:
        """Tell whether this request is the one that tries a broken server anew."""
        with self._guard:
            is_broken = 0 < self._breaker.failures <= self._failures
            left_s = max(0.0, self._open_until - self._clock())
            if is_broken and (left_s or self._is_tried):
                raise CircuitOpenError(
                    f"{self._host} has failed {self._failures} times in a row and is"
                    " left alone for a while",
                    retry_after_s=left_s,
                )
            self._is_tried = is_broken
            return is_broken

    def _answered(self, status: int) -> None:
        if status in _TROUBLE:
            self._failed()
        else:
            with self._guard:
                self._failures = 0

    def _failed(self) -> None:
        with self._guard:
            self._failures += 1
            self._open_until = self._clock() + self._breaker.pause_s


class _Free:
    """A semaphore of endless slots."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_exc: object) -> None:
        pass


def _check(field: str, value: float, is_good: bool, must_be: str) -> None:
    if not is_good:
        raise ValidationError(
            field, value, "can't be kept to", f"Take a number {must_be}"
        )
