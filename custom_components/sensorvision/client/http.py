"""Talk to a SensorVision server over HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Callable, Mapping

from . import management_protocol, protocol, user_protocol
from .age import (
    ANY_VARIABLE_SINCE,
    CONNECTIVITY_CHECK_SINCE,
    TOKENS_OWN_THEIR_DEVICES_SINCE,
    USER_KEYS_SINCE,
    age_of,
    slash_request,
    takes_slash,
)
from .batches import Batches
from .capabilities import Probe, ServerInfo, capabilities_of, server_info
from .credentials import ACCOUNT, DEVICE_TOKEN, USER_KEY, Account, UserKey
from .exceptions import (
    AnswerError,
    AuthenticationError,
    CapabilityError,
    CertificateError,
    DeviceError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    RateLimitError,
    SensorVisionError,
    ServerError,
    ValidationError,
    error_of,
    raise_for,
)
from .pace import RetryPolicy, Timeouts
from .probing import connectivity_request, is_probe_passed, probe_request
from .transport import Transport, normalize_url

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import TracebackType

    import aiohttp

__all__ = ["AsyncSensorVisionClient", "Probe", "normalize_url"]

_LOGGER = logging.getLogger(__name__)


class AsyncSensorVisionClient(Batches):
    """Talk to one SensorVision server with one credential.

    Give exactly one: `api_key`, `user_key`, or `username` with `password`.

    Args:
        api_url: where the server is, such as `https://sensors.example.org`; a path
            in it is kept.
        api_key: device token or user key; the server tells which, at the first need.
        user_key: a key that is known to be a user's, so that a server which ignores it
            for a while is not taken for one that refuses it.
        username: name or e-mail address of an account.
        password: the account's password.
        session: an `aiohttp` session to use, which stays the caller's to close;
            without one the client opens its own at first use.
        ssl: a context with an authority of your own, or False to trust any
            certificate; by default certificates are verified.
        timeouts: how long to wait.
        retry: how often `send_data` tries again.
        clock: seconds that only grow, by which logins and lockouts end.
        details_of_new: called with the id of a device that a user's post is about to
            make; returns what `register_device` takes of it besides.

    Raises:
        ValidationError: the URL or the credential can't be one.
    """

    def __init__(
        self,
        api_url: str,
        *,
        api_key: str | None = None,
        user_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        session: aiohttp.ClientSession | None = None,
        ssl: SSLContext | bool = True,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        details_of_new: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self._transport = Transport(
            normalize_url(api_url),
            session=session,
            ssl=ssl,
            timeouts=timeouts or Timeouts(),
        )
        self._retry = retry or RetryPolicy()
        self._clock = clock
        self._details_of_new = details_of_new or _no_details
        self._token = ""
        self._user: Account | UserKey | None = None
        self._kind: str | None = None
        account = None if username is password is None else (username, password)
        if sum(given is not None for given in (api_key, user_key, account)) != 1:
            raise ValidationError(
                "credential",
                "***",
                "is not exactly one",
                "Give a device token or user key, or a user name with its password",
            )
        if account is not None:
            name, secret = user_protocol.check_login(*account)
            self._user = Account(name, secret, self._transport, clock)
            self._kind = ACCOUNT
        elif user_key is not None:
            self._become_user(user_protocol.check_user_key(user_key))
        elif api_key is not None and user_protocol.is_user_key_only(api_key):
            self._become_user(api_key.strip())
        else:
            self._token = protocol.check_token(api_key or "")

    def __repr__(self) -> str:
        """Name the server and nothing secret."""
        return f"<{type(self).__name__} {self._transport.base_url}>"

    async def __aenter__(self) -> AsyncSensorVisionClient:
        """Return the client itself."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what the client opened."""
        await self.close()

    @property
    def credential(self) -> str | None:
        """What the credential is: `DEVICE_TOKEN`, `USER_KEY`, `ACCOUNT`, None if unknown.

        Which of the first two an `api_key` is, `probe` or the first success tells.
        """
        return self._kind

    @property
    def clock_offset_s(self) -> float | None:
        """How far the server's clock is ahead of this machine's, in seconds, or None."""
        return self._transport.clock_offset_s

    async def close(self) -> None:
        """Close the session if it is the client's own."""
        await self._transport.close()

    async def send_data(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> None:
        """Store numbers as true now, all of them or none.

        What may succeed later is tried again with growing random pauses. The server
        keeps no record of requests: after a lost answer the data may be stored twice.

        Args:
            device_id: 1 to 64 letters, digits, `.`, `_` or `-`; a device that the
                server does not know is made.
            variables: finite numbers below 1e14 by name.

        Raises:
            ValidationError: something can't be sent; nothing was.
            AnswerError: the server said no.
            NetworkError: no answer came.
        """
        attempt = 0
        while True:
            try:
                raise_for(await self.post(device_id, variables))
            except SensorVisionError as err:
                delay_s = self._delay_s(err, attempt)
                if delay_s is None:
                    raise
                _LOGGER.debug("Attempt %s failed: %s", attempt + 1, err)
            else:
                return
            await asyncio.sleep(delay_s)
            attempt += 1

    def _delay_s(self, err: SensorVisionError, attempt: int) -> float | None:
        """Return the pause before another attempt, or None if there is none."""
        is_permanent = isinstance(err, (CertificateError, NotHttpError))
        is_transient = isinstance(err, (NetworkError, RateLimitError, ServerError))
        asked_s = err.retry_after_s or 0 if isinstance(err, AnswerError) else 0
        if (
            attempt + 1 >= self._retry.attempts
            or is_permanent
            or not is_transient
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

    async def probe(self, device_id: str) -> Probe:
        """Find out whether URL, credential and device id are good, and store nothing.

        Tells which credential it is, what it can do, and how old the server is.
        The credential is sent only to what may be a SensorVision server.

        A key is tried as a device token first. Where it is one, that is a failed look-up
        of a user key, but the only one and no more than every post costs; where it is a
        user key, the look-up succeeds and even clears the server's count. In the other
        order a device token would cost two of the ten that a server bears.

        Raises:
            ValidationError: the device id can't be one.
            NotSensorVisionError: something else answered.
            RedirectError: the server points to another address.
            AuthenticationError: the server refused the credential.
            KeyLockedError: the server ignores user keys from this address for a while.
            LoginLimitError: the server takes no more logins for the moment.
            PermissionDeniedError: the device id belongs to another organisation.
            AnswerError: the server said no for another reason.
            NetworkError: no answer came.
        """
        protocol.check_device_id(device_id)
        has_connectivity_check = await self._check_connectivity()
        try:
            listed = await self._check_credential(device_id)
        except DeviceError as err:
            if isinstance(err, PermissionDeniedError):
                raise
            raise NotSensorVisionError(err.answer) from err
        has_uuids = any("id" in device for device in listed)
        kind = self._kind or DEVICE_TOKEN
        has_variables = has_uuids or (not listed and bool(has_connectivity_check))
        age = age_of(
            (
                (kind == USER_KEY or None, USER_KEYS_SINCE),
                (has_connectivity_check, CONNECTIVITY_CHECK_SINCE),
                (has_uuids if listed else None, ANY_VARIABLE_SINCE),
                (await self._takes_slash(device_id), TOKENS_OWN_THEIR_DEVICES_SINCE),
            )
        )
        return Probe(
            bool(has_connectivity_check),
            kind,
            capabilities_of(kind, has_variables=has_variables),
            age,
        )

    async def server_info(self) -> ServerInfo:
        """Return what the server tells everybody: how new it is, its MQTT prefix.

        No credential is sent.

        Raises:
            NotSensorVisionError: something else answered.
            RedirectError: the server points to another address.
            NetworkError: no answer came.
        """
        has_connectivity_check = bool(await self._check_connectivity())
        raw = await self._transport.exchange(user_protocol.metrics_request())
        return server_info(
            has_connectivity_check=has_connectivity_check,
            metrics=raw.beginning if raw.status == 200 else b"",
        )

    async def _check_connectivity(self) -> bool | None:
        """See that no stranger answers, and tell whether the server has this check.

        None if it can't be told now.
        """
        answer = await self._exchange(connectivity_request())
        if 300 <= answer.status < 400:
            raise_for(answer)
        # An empty 401 is an older server's; 429 and 5xx say nothing about it.
        is_page = not answer.is_json and answer.status < 500
        if is_page and answer.status not in (401, 429):
            raise NotSensorVisionError(answer)
        if answer.status == 200:
            return True
        return False if answer.status == 401 else None

    async def _takes_slash(self, device_id: str) -> bool | None:
        """Tell whether the server takes a slash at a path's end, None if it can't be told."""
        try:
            return takes_slash(await self._exchange(slash_request(device_id)))
        except NetworkError:
            return None

    async def _check_credential(self, device_id: str) -> list[dict[str, object]]:
        """Try credential and device id; return the devices that a user has."""
        if self._user is None:
            answer = await self._exchange(probe_request(device_id, self._token))
            if is_probe_passed(answer):
                self._kind = DEVICE_TOKEN
                return []
            error = error_of(answer)
            # Only a server that isn't SensorVision stores an empty object.
            if error is None:
                raise NotSensorVisionError(answer)
            if not isinstance(error, AuthenticationError):
                raise error
            reply = await self._identify()
            if reply.answer.status == 401:
                raise error
        else:
            reply = await self._ask(user_protocol.devices_request())
        raise_for(reply.answer)
        devices = user_protocol.objects(reply.data)
        if devices is None:
            raise NotSensorVisionError(reply.answer)
        if not any(device.get("externalId") == device_id for device in devices):
            shown = await self._ask(user_protocol.device_request(device_id))
            if not user_protocol.is_unknown_device(shown.answer):
                raise_for(shown.answer)
        return devices

    async def _identify(self) -> user_protocol.Reply:
        """Try the key as a user's, and take it for one if the server does."""
        user = UserKey(self._token, self._transport, self._clock)
        reply = await user.exchange(user_protocol.devices_request())
        if user_protocol.objects(reply.data) is not None:
            self._user, self._kind = user, USER_KEY
        return reply

    async def _ask(self, request: protocol.Request) -> user_protocol.Reply:
        """Send a request in the user's name.

        Raises:
            CapabilityError: the credential is a device's, or no user's that is known.
            AnswerError: a login failed.
            NetworkError: no answer came.
        """
        if self._user is None and self._kind is None:
            identified = await self._identify()
            if identified.answer.status != 401:
                raise_for(identified.answer)
        if self._user is None:
            raise CapabilityError(
                "A device token, or a key that the server knows as no user's, opens"
                " nothing but the posting of numbers that are true now",
                "Use a user key, or user name and password",
            )
        return await self._user.exchange(request)

    def _become_user(self, key: str) -> None:
        self._user = UserKey(key, self._transport, self._clock)
        self._kind = USER_KEY

    async def _exchange(self, request: protocol.Request) -> protocol.Answer:
        """Send one request and classify its answer."""
        raw = await self._transport.exchange(request)
        return user_protocol.read_answer(raw.status, raw.headers, raw.body)


def _no_details(_device_id: str) -> Mapping[str, str]:
    """Know nothing of a device but its id."""
    return {}
