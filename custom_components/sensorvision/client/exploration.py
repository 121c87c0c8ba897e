"""Find out who is asking, whom, and what the server lets them do."""

from __future__ import annotations

from typing import Callable
import uuid

from . import protocol, user_protocol
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
from .capabilities import Capabilities, Probe, ServerInfo, capabilities_of, server_info
from .credentials import ACCOUNT, DEVICE_TOKEN, USER_KEY, Account, UserKey
from .exceptions import (
    AuthenticationError,
    CapabilityError,
    DeviceError,
    NetworkError,
    NotSensorVisionError,
    PermissionDeniedError,
    ValidationError,
    error_of,
    raise_for,
)
from .health import Health, health_request, read_health
from .link import Link
from .probing import connectivity_request, is_probe_passed, probe_request
from .runtime import Runtime


class Exploration(Batches):
    """What a client knows of its credential and learns of its server.

    Args:
        link: the way to the server.
        runtime: how to wait.
        api_key: see `AsyncSensorVisionClient`.
        user_key: see there.
        username: see there.
        password: see there.
        cache_lifetime_s: see there.
        clock: see there.

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
        cache_lifetime_s: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(runtime, clock, cache_lifetime_s)
        self._link = link
        self._capabilities: Capabilities | None = None
        self._capabilities_until = float("-inf")
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
            self._user = Account(name, secret, link, runtime, clock)
            self._kind = ACCOUNT
        elif user_key is not None:
            self._become_user(user_protocol.check_user_key(user_key))
        elif api_key is not None and user_protocol.is_user_key_only(api_key):
            self._become_user(api_key.strip())
        else:
            self._token = protocol.check_token(api_key or "")

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
        self._capabilities = capabilities_of(kind, has_variables=has_variables)
        self._capabilities_until = self._clock() + self._cache_lifetime_s
        return Probe(bool(has_connectivity_check), kind, self._capabilities, age)

    async def capabilities(self) -> Capabilities:
        """Return what the credential can do, and store nothing.

        The server is asked as by `probe`, about a device id that is nobody's, unless it
        was within `cache_lifetime_s`. Raises as `probe` does.
        """
        if self._capabilities is None or self._clock() >= self._capabilities_until:
            return (await self.probe(f"probe-{uuid.uuid4()}")).capabilities
        return self._capabilities

    async def health(self) -> Health:
        """Return how the server is, by its own account.

        No credential is sent.

        Raises:
            AnswerError: something else was answered.
            NetworkError: no answer came.
        """
        raw = await self._link.exchange(health_request())
        return read_health(raw.status, raw.headers, raw.body)

    async def server_info(self) -> ServerInfo:
        """Return what the server tells everybody: how new it is, its MQTT prefix.

        No credential is sent.

        Raises:
            NotSensorVisionError: something else answered.
            RedirectError: the server points to another address.
            NetworkError: no answer came.
        """
        has_connectivity_check = bool(await self._check_connectivity())
        raw = await self._link.exchange(user_protocol.metrics_request())
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
        user = UserKey(self._token, self._link, self._clock)
        reply = await user.exchange(user_protocol.devices_request())
        if user_protocol.objects(reply.data) is not None:
            self._user, self._kind = user, USER_KEY
        return reply

    async def _ask(
        self,
        request: protocol.Request,
        read: user_protocol.Reader = user_protocol.read_reply,
    ) -> user_protocol.Reply:
        """Send a request in the user's name, and read what comes back.

        Raises:
            CapabilityError: the credential is a device's, or no user's that is known.
            AnswerError: a login failed.
            NetworkError: no answer came.
        """
        if not await self._is_user() or self._user is None:
            raise CapabilityError(
                "A device token, or a key that the server knows as no user's, opens"
                " nothing but the posting of numbers that are true now",
                "Use a user key, or user name and password",
            )
        return await self._user.exchange(request, read)

    async def _is_user(self) -> bool:
        """Tell whether the credential is a user's, and ask the server if need be.

        Raises:
            AnswerError: the server does not say it now.
            NetworkError: no answer came.
        """
        if self._user is None and self._kind is None:
            identified = await self._identify()
            if identified.answer.status != 401:
                raise_for(identified.answer)
        return self._user is not None

    def _become_user(self, key: str) -> None:
        self._user = UserKey(key, self._link, self._clock)
        self._kind = USER_KEY

    async def _exchange(self, request: protocol.Request) -> protocol.Answer:
        """Send one request and classify its answer."""
        raw = await self._link.exchange(request)
        return user_protocol.read_answer(raw.status, raw.headers, raw.body)
