"""Prove to the server who is asking: by a key, or by a login that stays fresh."""

from __future__ import annotations

from dataclasses import dataclass
import logging
import time
from typing import Callable

from . import protocol, user_protocol
from .exceptions import AnswerError, NetworkError, raise_for
from .link import Link
from .protocol import Answer, Request
from .runtime import Runtime
from .user_protocol import Reader, Reply, Tokens, read_reply

_LOGGER = logging.getLogger(__name__)

DEVICE_TOKEN = "device_token"  # noqa: S105
USER_KEY = "user_key"
ACCOUNT = "account"

MAX_REPLY_BYTES = 32 * 1024 * 1024

_EXPIRY_LEEWAY_S = 60
_KEY_LOCKOUT_S = 16 * 60


@dataclass(frozen=True)
class _Session:
    """Tokens, and the moments on the client's clock from which they are too old."""

    tokens: Tokens
    access_until: float
    refresh_until: float


class UserKey:
    """Ask with a user key, and wait out the server's lockout.

    Args:
        key: the key, as it was issued.
        link: the way to the server.
        clock: seconds that only grow.
    """

    def __init__(self, key: str, link: Link, clock: Callable[[], float]) -> None:
        self._key = key
        self._link = link
        self._clock = clock
        self._refused_since: float | None = None

    async def exchange(self, request: Request, read: Reader = read_reply) -> Reply:
        """Send a request and judge its answer, which may be read in a way of its own.

        Raises:
            NetworkError: no answer came.
        """
        headers = {"X-API-Key": self._key}
        signed = user_protocol.with_headers(request, headers)
        reply = await _ask(self._link, signed, read)
        if user_protocol.is_empty_401(reply.answer):
            return Reply(self._verdict(reply.answer))
        # The pages of a proxy say nothing about the key.
        if reply.answer.is_json and reply.answer.status < 500:
            self._refused_since = None
        return reply

    def _verdict(self, answer: Answer) -> Answer:
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        refused_for_s = now - self._refused_since
        return user_protocol.key_verdict(answer, refused_for_s, _KEY_LOCKOUT_S)


class Account:
    """Ask with a user's JWT, logging in with the password whenever there is need.

    Args:
        username: name or e-mail address.
        password: password.
        link: the way to the server.
        runtime: how to wait.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        username: str,
        password: str,
        link: Link,
        runtime: Runtime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._username = username
        self._password = password
        self._link = link
        self._clock = clock
        self._session: _Session | None = None
        self._refusal: Answer | None = None
        self._refused_at = 0.0
        self._signing_in = runtime.semaphore(1)

    async def exchange(self, request: Request, read: Reader = read_reply) -> Reply:
        """Send a request and judge its answer; one that is not let in logs in anew.

        Raises:
            AnswerError: the login failed.
            NetworkError: no answer came.
        """
        tokens = await self._fresh()
        reply = await self._ask(request, tokens, read)
        if not user_protocol.is_empty_401(reply.answer):
            return reply
        _LOGGER.debug("The server no longer knows the login")
        return await self._ask(request, await self._fresh(refused=tokens), read)

    async def _ask(self, request: Request, tokens: Tokens, read: Reader) -> Reply:
        headers = {"Authorization": f"Bearer {tokens.access}"}
        signed = user_protocol.with_headers(request, headers)
        return await _ask(self._link, signed, read)

    async def _fresh(self, refused: Tokens | None = None) -> Tokens:
        """Return tokens that are valid for a while and not those that were refused."""
        async with self._signing_in:
            session = self._session
            if session is not None and session.tokens is refused:
                session = self._session = None
            if session is None or self._clock() >= session.access_until:
                session = self._session = await self._renewed(session)
            return session.tokens

    async def _renewed(self, old: _Session | None) -> _Session:
        if old is not None and self._clock() < old.refresh_until:
            reply = await self._sign(user_protocol.refresh_request(old.tokens.refresh))
            if reply.answer.kind == protocol.DELIVERED:
                return self._begin(reply.data)
        # Others that waited for a login that failed don't each try another one.
        if self._refusal is not None:
            if self._clock() < self._refused_at + user_protocol.LOGIN_SPACING_S:
                raise_for(self._refusal)
            self._refusal = None
        reply = await self._sign(
            user_protocol.login_request(self._username, self._password)
        )
        try:
            raise_for(reply.answer)
        except AnswerError:
            self._refusal, self._refused_at = reply.answer, self._clock()
            raise
        return self._begin(reply.data)

    async def _sign(self, request: Request) -> Reply:
        try:
            raw = await self._link.exchange(request)
        except NetworkError as err:
            # What was to follow was not sent.
            err.may_have_arrived = False
            raise
        return user_protocol.read_login(raw.status, raw.headers, raw.body)

    def _begin(self, tokens: Tokens) -> _Session:
        now = self._clock()

        def until(lifetime_s: float | None) -> float:
            if lifetime_s is None:
                return float("inf")
            # A token of a few seconds is used at least once.
            return now + max(lifetime_s - _EXPIRY_LEEWAY_S, lifetime_s / 2)

        return _Session(
            tokens,
            until(tokens.access_lifetime_s),
            until(tokens.refresh_lifetime_s),
        )


async def _ask(link: Link, request: Request, read: Reader) -> Reply:
    raw = await link.exchange(request, max_bytes=MAX_REPLY_BYTES)
    return read(raw.status, raw.headers, raw.body)
