"""Carry requests to one server, and what comes back, over real connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import datetime as dt
from email.utils import parsedate_to_datetime
from functools import lru_cache
import time
from typing import TYPE_CHECKING, Iterable, Iterator, Protocol

import aiohttp
from yarl import URL

from .deadline import within_deadline
from .exceptions import (
    CertificateError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    RequestTimeoutError,
    ValidationError,
)
from .version import user_agent

if TYPE_CHECKING:
    from ssl import SSLContext

    from .pace import Timeouts
    from .protocol import Request

MAX_ANSWER_BYTES = 64 * 1024

_BEARER = "Bearer "
_REDACTED = "***"


@dataclass(frozen=True)
class RawAnswer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: values by name in lower case.
        body: the whole body, or nothing of one that is longer than it may be.
        beginning: as much of the body as was read.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    beginning: bytes


class Transport(Protocol):
    """Exchange requests for answers with one address, and follow no redirect.

    Attributes:
        base_url: the address.
        clock_offset_s: how far the server's clock was ahead of this machine's when it
            last answered, to a second or two, or None if it has not said.
    """

    base_url: URL
    clock_offset_s: float | None

    async def close(self) -> None:
        """Close the connections that are the transport's own."""

    async def exchange(
        self, request: Request, *, max_bytes: int = MAX_ANSWER_BYTES
    ) -> RawAnswer:
        """Send one request and return what came back, of which `max_bytes` are read.

        Raises:
            NetworkError: no answer came.
        """


class AsyncTransport:
    """A `Transport` in an event loop.

    Args:
        base_url: see `Transport`.
        session: a session that stays the caller's, or None for one of its own.
        pool_size: how many connections its own session keeps.
        ssl: see `AsyncSensorVisionClient`.
        timeouts: how long to wait.
    """

    def __init__(
        self,
        base_url: URL,
        *,
        session: aiohttp.ClientSession | None,
        pool_size: int,
        ssl: SSLContext | bool,
        timeouts: Timeouts,
    ) -> None:
        self.base_url = base_url
        self.clock_offset_s: float | None = None
        self._session = session
        self._pool_size = check_pool_size(pool_size)
        self._owns_session = session is None
        self._ssl = ssl
        self._timeouts = timeouts

    async def close(self) -> None:
        """Close the session if it is the transport's own."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(
        self, request: Request, *, max_bytes: int = MAX_ANSWER_BYTES
    ) -> RawAnswer:
        """Send one request; see `Transport.exchange`."""
        host = self.base_url.host
        timeout = aiohttp.ClientTimeout(
            total=within_deadline(self._timeouts.total_s),
            connect=self._timeouts.connect_s,
            sock_read=self._timeouts.read_s,
        )
        try:
            async with self._open_session().request(
                request.method,
                URL(f"{self.base_url}{request.path}", encoded=True),
                headers={**request.headers, "User-Agent": user_agent()},
                data=request.body or None,
                allow_redirects=False,
                ssl=self._ssl,
                timeout=timeout,
            ) as response:
                self.clock_offset_s = offset_s(response.headers.get("Date"))
                read = await _read_bounded(response, max_bytes)
                headers = response.headers.items()
                return raw_answer(request, response.status, headers, read, max_bytes)
        except aiohttp.ClientResponseError:
            # Its arguments hold the request's headers: it must not become a cause.
            pass
        except aiohttp.ClientConnectorCertificateError as err:
            raise CertificateError(f"The certificate of {host} is not trusted") from err
        except aiohttp.ClientConnectorSSLError as err:
            raise NotHttpError(f"{host} does not speak TLS") from err
        # Some names can't even be asked for.
        except (aiohttp.ClientConnectorDNSError, UnicodeError) as err:
            raise HostNotFoundError(f"There is no host named {host}") from err
        except aiohttp.ConnectionTimeoutError as err:
            raise RequestTimeoutError(f"{host} can't be reached in time") from err
        except asyncio.TimeoutError as err:
            raise RequestTimeoutError(
                f"{host} did not answer in time", may_have_arrived=True
            ) from err
        except aiohttp.ClientConnectorError as err:
            raise NetworkError(f"The connection to {host} failed") from err
        except (aiohttp.ClientError, OSError) as err:
            raise NetworkError(
                f"The connection to {host} broke", may_have_arrived=True
            ) from err
        raise NotHttpError(f"{host} does not speak HTTP")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._pool_size),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def normalize_url(text: str) -> URL:
    """Return a server's URL without the slash at its end.

    Raises:
        ValidationError: it is no http or https URL with a host, or it holds a
            credential, a query or a fragment.
    """
    try:
        url = URL(text.strip())
    except ValueError:
        url = URL()
    is_bare = not (url.user or url.password or url.query_string or url.fragment)
    if url.scheme not in ("http", "https") or not url.host or not is_bare:
        # The text may hold a password, so it is not repeated.
        raise ValidationError(
            "URL",
            "***",
            "is not a server's address",
            "Write it like https://sensors.example.org, without user, query or fragment",
        )
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def check_pool_size(pool_size: int) -> int:
    """Return how many connections to keep.

    Raises:
        ValidationError: none could ever be had.
    """
    if pool_size < 1:
        raise ValidationError(
            "pool_size", pool_size, "holds no connection", "Take 1 or more"
        )
    return pool_size


def raw_answer(
    request: Request,
    status: int,
    headers: Iterable[tuple[str, str]],
    read: bytes,
    max_bytes: int,
) -> RawAnswer:
    """Return an answer without the credential, which some servers repeat.

    Args:
        request: what was answered.
        status: HTTP status.
        headers: names and values.
        read: the body, or more of it than `max_bytes`.
        max_bytes: how long a whole body may be.
    """
    is_whole = len(read) <= max_bytes
    given = {name.lower(): value for name, value in headers}
    for secret in _secrets_of(request):
        read = read.replace(secret.encode(), _REDACTED.encode())
        given = {
            name: value.replace(secret, _REDACTED) for name, value in given.items()
        }
    return RawAnswer(status, given, read if is_whole else b"", read)


def offset_s(date: str | None) -> float | None:
    """Return how far a server's clock is ahead, by the date of its answer."""
    moment_s = _seconds_of(date or "")
    return None if moment_s is None else moment_s - time.time()


# Of many answers in a second all tell the same date.
@lru_cache(maxsize=16)
def _seconds_of(date: str) -> float | None:
    """Return the seconds from 1970 (UTC) to a date of HTTP, or None of what is none."""
    try:
        moment = parsedate_to_datetime(date)
    # Before Python 3.10 the first is raised of what is no date.
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or dt.timezone.utc).timestamp()


def _secrets_of(request: Request) -> Iterator[str]:
    """Yield the credentials that a request holds."""
    for name in ("X-API-Key", "Authorization"):
        sent = request.headers.get(name, "")
        secret = sent[len(_BEARER) :] if sent.startswith(_BEARER) else sent
        if secret:
            yield secret


async def _read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read an answer's body, or hardly more of it than any true answer has."""
    chunks = []
    length = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        length += len(chunk)
        if length > max_bytes:
            break
    return b"".join(chunks)
