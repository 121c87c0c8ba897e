"""Bring a client's requests to its server politely, by whichever address answers."""

from __future__ import annotations

from dataclasses import dataclass
import logging
import time
from typing import TYPE_CHECKING, Callable, Sequence

from .deadline import check_time_left
from .exceptions import CertificateError, NetworkError
from .metrics import (
    CANCELLED,
    RequestMetrics,
    attempt_number,
    outcome_of,
    template_of,
)
from .policies import Circuit, CircuitBreaker, Limiter, RateLimit
from .transport import MAX_ANSWER_BYTES, RawAnswer, Transport

if TYPE_CHECKING:
    from yarl import URL

    from .protocol import Request
    from .runtime import Runtime

_LOGGER = logging.getLogger(__name__)

FIRST_AGAIN_S = 300


@dataclass(frozen=True)
class _Address:
    """One way to the server, and how well it did."""

    transport: Transport
    circuit: Circuit


class Link:
    """Exchange requests for answers with one server at one or more addresses.

    When one does not answer, the next one is asked, with the same request unless that may
    have arrived and must not be done twice. The address that answered is kept to; after
    five minutes the first one is asked again.

    Args:
        transports: one an address, the preferred one first.
        runtime: how to wait.
        rate_limit: how fast to ask.
        breaker: when to stop asking an address.
        on_request: told of each request that went out.
        clock: seconds that only grow.

    Attributes:
        clock_offset_s: see `Transport`, of the address that answered last.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        runtime: Runtime,
        rate_limit: RateLimit | None = None,
        breaker: CircuitBreaker | None = None,
        on_request: Callable[[RequestMetrics], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock_offset_s: float | None = None
        breaker = breaker or CircuitBreaker()
        self._addresses = [
            _Address(transport, Circuit(breaker, str(transport.base_url), clock))
            for transport in transports
        ]
        self._limiter = Limiter(rate_limit or RateLimit(), runtime)
        self._on_request = on_request
        self._clock = clock
        self._current = 0
        self._first_again_at = float("-inf")

    @property
    def base_url(self) -> URL:
        """The preferred address."""
        return self._addresses[0].transport.base_url

    async def close(self) -> None:
        """Close the connections that are the client's own."""
        for address in self._addresses:
            await address.transport.close()

    async def exchange(
        self, request: Request, *, max_bytes: int = MAX_ANSWER_BYTES
    ) -> RawAnswer:
        """Send one request and return what came back, of which `max_bytes` are read.

        Raises:
            NetworkError: no answer came.
        """
        *others, last = self._in_turn()
        for index in others:
            try:
                return await self._ask(index, request, max_bytes)
            except NetworkError as err:  # noqa: PERF203
                # A certificate that is not trusted has to be seen, not passed over.
                if isinstance(err, CertificateError) or _is_done_twice(err, request):
                    raise
                _LOGGER.debug("The next address is tried: %s", err)
        return await self._ask(last, request, max_bytes)

    def _in_turn(self) -> list[int]:
        if self._clock() >= self._first_again_at:
            self._current = 0
        count = len(self._addresses)
        return [(self._current + step) % count for step in range(count)]

    async def _ask(self, index: int, request: Request, max_bytes: int) -> RawAnswer:
        async with self._limiter.slot:
            await self._limiter.turn()
            check_time_left()
            try:
                answer = await self._observed(index, request, max_bytes)
            except NetworkError as err:
                if not isinstance(err, CertificateError):
                    self._current = (index + 1) % len(self._addresses)
                    self._first_again_at = self._clock() + FIRST_AGAIN_S
                raise
        self.clock_offset_s = self._addresses[index].transport.clock_offset_s
        return answer

    async def _observed(
        self, index: int, request: Request, max_bytes: int
    ) -> RawAnswer:
        address = self._addresses[index]
        with address.circuit.around() as answered:
            started = time.perf_counter()
            status, received, outcome = 0, 0, CANCELLED
            try:
                answer = await address.transport.exchange(request, max_bytes=max_bytes)
                status, received = answer.status, len(answer.beginning)
                outcome = outcome_of(status)
            except NetworkError as err:
                outcome = err.code
                raise
            finally:
                took_s = time.perf_counter() - started
                self._report(request, status, took_s, received, outcome)
            answered(status)
            return answer

    def _report(
        self, request: Request, status: int, took_s: float, received: int, outcome: str
    ) -> None:
        if self._on_request is None:
            return
        metrics = RequestMetrics(
            request.method,
            template_of(request.path),
            status,
            took_s,
            len(request.body),
            received,
            attempt_number(),
            outcome,
        )
        try:
            self._on_request(metrics)
        except Exception:
            # A meter that fails must not cost a reading.
            _LOGGER.exception("The hook for metrics failed")


def _is_done_twice(err: NetworkError, request: Request) -> bool:
    return err.may_have_arrived and request.method == "POST"
