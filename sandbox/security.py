"""Who is asking: JSON web tokens, user keys, and what a failed look-up costs."""

from collections.abc import Mapping
from dataclasses import dataclass
import re
import secrets
from typing import Any

import jwt

from .clock import Clock
from .limits import KeyLockout
from .records import User
from .store import Store

ACCESS_S = 24 * 3600
REFRESH_S = 7 * 24 * 3600
REMEMBERED_REFRESH_S = 30 * 24 * 3600

_LEEWAY_S = 60
_ALGORITHM = "HS256"
_BEARER = re.compile(r"Bearer ([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


class InvalidToken(ValueError):
    """The bearer token is no valid JWT of this server; the text says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user.

    Attributes:
        user: The account.
        by_key: Whether a user key proved it. Its roles are mis-prefixed, so that it may
            not do what asks for a role.
    """

    user: User
    by_key: bool


class Security:
    """Issues and checks the credentials of users."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._secret = store.setting("jwt_secret", secrets.token_hex(32))

    def issue(self, username: str, *, kind: str, lifetime_s: int) -> str:
        """Sign a token for a user.

        Args:
            username: Who may use it.
            kind: ``access`` or ``refresh``; either opens the API.
            lifetime_s: Seconds until it expires.
        """
        now = int(self._clock.now_s())
        return jwt.encode(
            {
                "sub": username,
                "type": kind,
                "iat": now,
                "exp": now + lifetime_s,
                "jti": secrets.token_hex(8),
            },
            self._secret,
            algorithm=_ALGORITHM,
        )

    def claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token.

        Raises:
            InvalidToken: It is not a JWT, not ours, or expired.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                # The server's own clock judges: it can be moved forward.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["sub", "exp"],
                },
            )
        except jwt.PyJWTError as err:
            raise InvalidToken("Malformed token") from err
        if claims["exp"] + _LEEWAY_S < self._clock.now_s():
            raise InvalidToken("Jwt expired")
        return claims

    def bearer(self, authorization: str | None) -> Caller | None:
        """Return who an ``Authorization`` header names, None without a bearer token.

        Raises:
            InvalidToken: It is a bearer token, but not a valid one.
        """
        if authorization is None or not authorization.lower().startswith("bearer"):
            return None
        found = _BEARER.fullmatch(authorization)
        if found is None:
            raise InvalidToken("Bearer token is malformed")
        user = self._store.user("username", self.claims(found[1])["sub"])
        if user is None:
            raise InvalidToken("Unknown user")
        return Caller(user, by_key=False)

    def user_key(
        self, key: str | None, address: str, lockout: KeyLockout
    ) -> Caller | None:
        """Look an ``X-API-Key`` up as a user key; a device token fails and is counted."""
        if not key or lockout.is_locked(address):
            return None
        user = self._store.user("user_key", key)
        if user is None:
            lockout.failed(address)
            return None
        lockout.succeeded(address)
        return Caller(user, by_key=True)
