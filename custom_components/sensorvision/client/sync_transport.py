"""Carry requests to one address in the thread that calls."""

from __future__ import annotations

import http.client
from http.cookiejar import DefaultCookiePolicy
import ssl
import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from .deadline import within_deadline
from .exceptions import (
    CertificateError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    RequestTimeoutError,
    ValidationError,
)
from .transport import (
    MAX_ANSWER_BYTES,
    RawAnswer,
    check_pool_size,
    offset_s,
    raw_answer,
)
from .version import user_agent

if TYPE_CHECKING:
    from yarl import URL

    from .pace import Timeouts
    from .protocol import Request

_PIECE_BYTES = 16 * 1024
_SHORTEST_S = 0.001

_NO_HOST = (
    NameResolutionError,
    LocationValueError,
    requests.exceptions.InvalidURL,
    UnicodeError,
)


class SyncTransport:
    """A `Transport` whose exchange blocks until the answer is there.

    The environment's proxies, certificates and `.netrc` are not heeded, as the
    asynchronous client does not either, and no cookie is kept.

    Args:
        base_url: see `Transport`.
        session: a session that stays the caller's, or None for one of its own.
        pool_size: how many connections its own session keeps.
        verify: see `SensorVisionClient`.
        timeouts: how long to wait. A total is looked at between the pieces of an answer.

    Raises:
        ValidationError: `pool_size` or `verify` can't be used.
    """

    def __init__(
        self,
        base_url: URL,
        *,
        session: requests.Session | None,
        pool_size: int,
        verify: bool | str | ssl.SSLContext,
        timeouts: Timeouts,
    ) -> None:
        self.base_url = base_url
        self.clock_offset_s: float | None = None
        self._owns_session = session is None
        self._session = session or _open_session(
            check_pool_size(pool_size), _trust(verify)
        )
        if not isinstance(verify, ssl.SSLContext):
            self._verify = verify
        elif session is None:
            self._verify = True
        else:
            raise ValidationError(
                "verify",
                "a context",
                "can't be given to a session of your own",
                "Give the path of a file, or mount an adapter that has the context",
            )
        self._timeouts = timeouts

    async def close(self) -> None:
        """Close the connections that are the transport's own."""
        if self._owns_session:
            self._session.close()

    async def exchange(
        self, request: Request, *, max_bytes: int = MAX_ANSWER_BYTES
    ) -> RawAnswer:
        """Send one request; see `Transport.exchange`."""
        ends_at = time.monotonic() + within_deadline(self._timeouts.total_s)
        try:
            return self._exchange(request, max_bytes, ends_at)
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as err:
            cause = _root_of(err)
        # Raised out here: what `requests` raises holds the request with its credential.
        error = _error_of(cause, self.base_url.host)
        raise error from None if isinstance(cause, requests.RequestException) else cause

    def _exchange(self, request: Request, max_bytes: int, ends_at: float) -> RawAnswer:
        prepared = requests.Request(
            request.method,
            str(self.base_url),
            headers={**request.headers, "User-Agent": user_agent()},
            data=request.body or None,
        ).prepare()
        # As it is: `requests` would quote it anew.
        prepared.url = f"{self.base_url}{request.path}"
        # No time at all is no timeout to the library.
        left_s = max(ends_at - time.monotonic(), _SHORTEST_S)
        with self._session.send(
            prepared,
            allow_redirects=False,
            stream=True,
            timeout=(
                min(self._timeouts.connect_s, left_s),
                min(self._timeouts.read_s, left_s),
            ),
            verify=self._verify,
        ) as response:
            self.clock_offset_s = offset_s(response.headers.get("Date"))
            read = _read_bounded(response.raw, max_bytes, ends_at)
            headers = response.headers.items()
            return raw_answer(request, response.status_code, headers, read, max_bytes)


class _Adapter(HTTPAdapter):
    """Trust whom the operating system trusts, as `aiohttp` does, or one authority.

    `requests` by itself trusts a list of its own.
    """

    def __init__(self, pool_size: int, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(
            pool_connections=1, pool_maxsize=pool_size, max_retries=0, pool_block=True
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Make the pool's connections with the context."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401
        """Leave it to the context."""


def _open_session(pool_size: int, trust: ssl.SSLContext) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_size, trust))
    return session


def _trust(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    """Return the context by which certificates are verified, or none is.

    Raises:
        ValidationError: the file holds no authority.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        context = ssl.create_default_context(
            cafile=verify if isinstance(verify, str) else None
        )
    except OSError as err:
        raise ValidationError(
            "verify", verify, "holds no certificate", "Give a file in PEM format"
        ) from err
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _read_bounded(
    raw: urllib3.BaseHTTPResponse, max_bytes: int, ends_at: float
) -> bytes:
    """Read an answer's body, or hardly more of it than any true answer has."""
    pieces = []
    length = 0
    while length <= max_bytes:
        piece = raw.read1(_PIECE_BYTES, decode_content=True)
        if not piece:
            break
        pieces.append(piece)
        length += len(piece)
        if time.monotonic() > ends_at:
            raise TimeoutError("The answer took too long")
    return b"".join(pieces)


def _root_of(err: BaseException) -> BaseException:
    """Return what is behind the errors that a library wraps around one another."""
    while True:
        inner = getattr(err, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next(
                (arg for arg in reversed(err.args) if isinstance(arg, BaseException)),
                None,
            )
        if inner is None:
            return err
        err = inner


def _error_of(cause: BaseException, host: str | None) -> NetworkError:
    """Return what the error of a library means."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CertificateError(f"The certificate of {host} is not trusted")
    # Some names can't even be asked for.
    if isinstance(cause, _NO_HOST):
        return HostNotFoundError(f"There is no host named {host}")
    if isinstance(cause, NewConnectionError):
        return NetworkError(f"The connection to {host} failed")
    if isinstance(cause, ConnectTimeoutError):
        return RequestTimeoutError(f"{host} can't be reached in time")
    if isinstance(cause, (ReadTimeoutError, TimeoutError)):
        return RequestTimeoutError(
            f"{host} did not answer in time", may_have_arrived=True
        )
    is_broken = isinstance(cause, (ConnectionError, http.client.IncompleteRead))
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return NotHttpError(f"{host} does not speak TLS")
    if isinstance(cause, http.client.HTTPException) and not is_broken:
        return NotHttpError(f"{host} does not speak HTTP")
    return NetworkError(f"The connection to {host} broke", may_have_arrived=True)
