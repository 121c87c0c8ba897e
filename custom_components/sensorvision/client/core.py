"""Send numbers that are true now, and again if need be: what every client does."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Awaitable, Callable, Mapping, TypeVar

from . import management_protocol, protocol, user_protocol
from .credentials import DEVICE_TOKEN
from .deadline import remaining_s
from .exceptions import (
    AnswerError,
    CertificateError,
    CircuitOpenError,
    NetworkError,
    NotHttpError,
    RateLimitError,
    SensorVisionError,
    ServerError,
    raise_for,
)
from .exploration import Exploration
from .link import Link
from .metrics import numbered
from .pace import RetryPolicy
from .runtime import Runtime

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_PERMANENT = (CertificateError, CircuitOpenError, NotHttpError)
_TRANSIENT = (NetworkError, RateLimitError, ServerError)


class Client(Exploration):
    """Talk to one SensorVision server with one credential.

    Nothing in here knows whether it is awaited in an event loop or blocks a thread: its
    link and its runtime do.

    Args:
        link: the way to the server.
        runtime: how to wait.
        api_key: see `AsyncSensorVisionClient`, as for all that follow.
        user_key: see there.
        username: see there.
        password: see there.
        retry: see there.
        cache_lifetime_s: see there.
        clock: see there.
        details_of_new: see there.

    Raises:
        ValidationError: the credential can't be one.
    """

    def __init__(
        self,
        link: Link,
        runtime: Runtime,
        *,
        api_key: str | None,
        user_key: str | None,
        username: str | None,
        password: str | None,
        retry: RetryPolicy | None,
        cache_lifetime_s: float,
        clock: Callable[[], float],
        details_of_new: Callable[[str], Mapping[str, str]] | None,
    ) -> None:
        super().__init__(
            link,
            runtime,
            api_key=api_key,
            user_key=user_key,
            username=username,
            password=password,
            cache_lifetime_s=cache_lifetime_s,
            clock=clock,
        )
        self._retry = retry or RetryPolicy()
        self._details_of_new = details_of_new or _no_details

    def __repr__(self) -> str:
        """Name the server and nothing secret."""
        return f"<{type(self).__name__} {self._link.base_url}>"

    @property
    def credential(self) -> str | None:
        """What the credential is: `DEVICE_TOKEN`, `USER_KEY`, `ACCOUNT`, None if unknown.

        Which of the first two an `api_key` is, `probe` or the first success tells.
        """
        return self._kind

    @property
    def clock_offset_s(self) -> float | None:
        """How far the server's clock is ahead of this machine's, in seconds, or None."""
        return self._link.clock_offset_s

    async def close(self) -> None:
        """Close the session if it is the client's own."""
        await self._link.close()

    async def send_data(
        self,
        device_id: str,
        variables: Mapping[str, int | float],
        timestamp: dt.datetime | None = None,
    ) -> None:
        """Store numbers as true now or at a time, all of them or none.

        What may succeed later is tried again with growing random pauses. The server
        keeps no record of requests: after a lost answer the data may be stored twice.

        Args:
            device_id: 1 to 64 letters, digits, `.`, `_` or `-`; a device that the
                server does not know is made.
            variables: finite numbers below 1e14 by name.
            timestamp: when they were true, with a zone; None for the server's now.

        Raises:
            ValidationError: something can't be sent; nothing was.
            CapabilityError: a device token sends no times.
            AnswerError: the server said no.
            NetworkError: no answer came.
        """

        async def send() -> None:
            if timestamp is None:
                raise_for(await self.post(device_id, variables))
            else:
                await self._post_at(device_id, variables, timestamp)

        await self._retried(send)

    async def _retried(self, send: Callable[[], Awaitable[T]]) -> T:
        """Do what can be done again as often as the policy allows.

        Raises:
            SensorVisionError: what the last attempt raised.
        """
        attempt = 0
        may_have_arrived = False
        while True:
            try:
                with numbered(attempt + 1):
                    return await send()
            except SensorVisionError as err:
                if isinstance(err, (AnswerError, NetworkError)):
                    # What one attempt has left in doubt, no later one clears up.
                    may_have_arrived = may_have_arrived or err.may_have_arrived
                    err.may_have_arrived = may_have_arrived
                delay_s = self._delay_s(err, attempt)
                left_s = remaining_s()
                if delay_s is None or (left_s is not None and left_s <= delay_s):
                    raise
                _LOGGER.debug("Attempt %s failed: %s", attempt + 1, err)
            await self._runtime.sleep(delay_s)
            attempt += 1

    def _delay_s(self, err: SensorVisionError, attempt: int) -> float | None:
        """Return the pause before another attempt, or None if there is none."""
        asked_s = err.retry_after_s or 0 if isinstance(err, AnswerError) else 0
        if (
            attempt + 1 >= self._retry.attempts
            or isinstance(err, _PERMANENT)
            or not isinstance(err, _TRANSIENT)
            or asked_s > self._retry.max_delay_s
        ):
            return None
        return max(asked_s, self._retry.delay_s(attempt))

    async def post(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> protocol.Answer:
        """Send numbers once and return what the answer means, for callers that act on it.

        Raises:
            ValidationError: something can't be sent; nothing was.
            NetworkError: no answer came.
        """
        try:
            if self._user is None:
                request = protocol.ingest_request(
                    device_id, self._token, dict(variables)
                )
                answer = await self._exchange(request)
                if answer.kind == protocol.DELIVERED:
                    self._kind = DEVICE_TOKEN
                if answer.kind != protocol.SIGN_IN or self._kind == DEVICE_TOKEN:
                    return answer
                # No device has this key; a user may have it.
                identified = await self._identify()
                if identified.answer.kind != protocol.DELIVERED:
                    is_401 = identified.answer.status == 401
                    return answer if is_401 else identified.answer
            return await self._post_as_user(device_id, variables)
        except AnswerError as err:
            return err.answer

    async def _post_as_user(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> protocol.Answer:
        """Post to a device of the user's organisation, and make it if there is none."""
        request = user_protocol.ingest_request(device_id, variables)
        answer = (await self._ask(request)).answer
        if not user_protocol.is_unknown_device(answer):
            return answer
        details = management_protocol.device_details(
            **{"name": device_id, **self._details_of_new(device_id)}
        )
        register = user_protocol.register_request(device_id, details)
        made = (await self._ask(register)).answer
        # Somebody else was faster: the next post tells whose it is.
        is_there = made.kind == protocol.DELIVERED or user_protocol.is_taken_device(
            made
        )
        if is_there:
            return (await self._ask(request)).answer
        # The refusal is the device's: the numbers must not be dropped for it.
        return answer if made.kind == protocol.WRONG_PAYLOAD else made


def _no_details(_device_id: str) -> Mapping[str, str]:
    """Know nothing of a device but its id."""
    return {}
