"""Talk to a SensorVision server over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import logging
import random
from typing import TYPE_CHECKING, Mapping

import aiohttp
from yarl import URL

from . import protocol
from .exceptions import (
    CertificateError,
    HostNotFoundError,
    NetworkError,
    NotSensorVisionError,
    RequestTimeoutError,
    ValidationError,
    raise_for,
)

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import TracebackType

_LOGGER = logging.getLogger(__name__)

_MAX_ANSWER_BYTES = 64 * 1024
_USER_AGENT = "sensorvision"


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for the server, in seconds.

    Attributes:
        connect_s: for a connection, name resolution and TLS included.
        read_s: for the next piece of an answer.
        total_s: for a whole exchange.
    """

    connect_s: float = 10
    read_s: float = 35
    total_s: float = 60


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try again what may succeed later.

    Attributes:
        attempts: how often to send at the most; 1 switches retries off.
        first_delay_s: upper bound of the first pause; each further one doubles it,
            and the pause is drawn at random below it (full jitter).
        max_delay_s: upper bound of any pause.
    """

    attempts: int = 3
    first_delay_s: float = 0.5
    max_delay_s: float = 30

    def delay_s(self, attempt: int) -> float:
        """Draw the pause after the given attempt, counted from 0."""
        bound = min(self.max_delay_s, self.first_delay_s * 2 ** min(attempt, 16))
        return random.uniform(0, bound)


@dataclass(frozen=True)
class Probe:
    """What was found out about a server and a credential without storing data.

    Attributes:
        has_connectivity_check: whether the server answers its own public check, as
            those of December 2025 and later do.
    """

    has_connectivity_check: bool


class AsyncSensorVisionClient:
    """Send numbers to one SensorVision server.

    Args:
        api_url: where the server is, such as `https://sensors.example.org`; a path
            in it is kept.
        api_key: device token.
        session: an `aiohttp` session to use, which stays the caller's to close;
            without one the client opens its own at first use.
        ssl: a context with an authority of your own, or False to trust any
            certificate; by default certificates are verified.
        timeouts: how long to wait.
        retry: how often `send_data` tries again.

    Raises:
        ValidationError: the URL or the token can't be one.
    """

    def __init__(
        self,
        api_url: str,
        *,
        api_key: str,
        session: aiohttp.ClientSession | None = None,
        ssl: SSLContext | bool = True,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._base_url = normalize_url(api_url)
        self._api_key = protocol.check_token(api_key)
        self._session = session
        self._owns_session = session is None
        self._ssl = ssl
        self._retry = retry or RetryPolicy()
        timeouts = timeouts or Timeouts()
        self._timeout = aiohttp.ClientTimeout(
            total=timeouts.total_s,
            connect=timeouts.connect_s,
            sock_read=timeouts.read_s,
        )

    def __repr__(self) -> str:
        """Name the server and nothing secret."""
        return f"<{type(self).__name__} {self._base_url}>"

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

    async def close(self) -> None:
        """Close the session if it is the client's own."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def send_data(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> None:
        """Store numbers as true now, all of them or none.

        What may succeed later is tried again with growing random pauses. The server
        keeps no record of requests: after a lost answer the data may be stored twice.

        Args:
            device_id: 1 to 64 letters, digits, `.`, `_` or `-`; the server makes
                devices that it does not know.
            variables: finite numbers below 1e14 by name.

        Raises:
            ValidationError: something can't be sent; nothing was.
            AnswerError: the server said no.
            NetworkError: no answer came.
        """
        request = protocol.ingest_request(device_id, self._api_key, dict(variables))
        for attempt in range(self._retry.attempts):
            is_last = attempt + 1 >= self._retry.attempts
            delay_s = self._retry.delay_s(attempt)
            try:
                answer = await self._exchange(request)
            except CertificateError:
                raise
            except NetworkError as err:
                if is_last:
                    raise
                _LOGGER.debug("Attempt %s failed: %s", attempt + 1, err)
            else:
                if is_last or answer.kind != protocol.TRY_LATER:
                    raise_for(answer)
                    return
                _LOGGER.debug("Attempt %s failed: %s", attempt + 1, answer.message)
                delay_s = max(delay_s, answer.retry_after_s or 0)
            await asyncio.sleep(delay_s)

    async def post(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> protocol.Answer:
        """Send numbers once and return what the answer means, for callers that act on it.

        Raises:
            ValidationError: something can't be sent; nothing was.
            NetworkError: no answer came.
        """
        return await self._exchange(
            protocol.ingest_request(device_id, self._api_key, dict(variables))
        )

    async def probe(self, device_id: str) -> Probe:
        """Find out whether URL, token and device id are good, and store nothing.

        Raises:
            ValidationError: the device id can't be one.
            NotSensorVisionError: something else answered.
            AuthenticationError: the server refused the token.
            PermissionDeniedError: the device id belongs to another organisation.
            AnswerError: the server said no for another reason.
            NetworkError: no answer came.
        """
        probe = protocol.probe_request(device_id, self._api_key)
        connectivity = await self._exchange(protocol.connectivity_request())
        answer = await self._exchange(probe)
        if protocol.is_probe_passed(answer):
            return Probe(has_connectivity_check=connectivity.status == 200)
        if answer.kind == protocol.WRONG_DEVICE and answer.status != 403:
            raise NotSensorVisionError(answer)
        raise_for(answer)
        # Only a server that isn't SensorVision stores an empty object.
        raise NotSensorVisionError(answer)

    async def _exchange(self, request: protocol.Request) -> protocol.Answer:
        """Send one request and classify its answer."""
        session = self._open_session()
        try:
            async with session.request(
                request.method,
                URL(f"{self._base_url}{request.path}", encoded=True),
                headers={**request.headers, "User-Agent": _USER_AGENT},
                data=request.body or None,
                allow_redirects=False,
                ssl=self._ssl,
                timeout=self._timeout,
            ) as response:
                body = await _read_bounded(response)
                headers = {
                    name.lower(): value for name, value in response.headers.items()
                }
                return protocol.read_answer(response.status, headers, body)
        except aiohttp.ClientConnectorCertificateError as err:
            raise CertificateError(
                f"The certificate of {self._base_url.host} is not trusted"
            ) from err
        except aiohttp.ClientConnectorDNSError as err:
            raise HostNotFoundError(
                f"There is no host named {self._base_url.host}"
            ) from err
        except asyncio.TimeoutError as err:
            raise RequestTimeoutError(
                f"{self._base_url.host} did not answer in time"
            ) from err
        except (aiohttp.ClientError, OSError) as err:
            raise NetworkError(
                f"The connection to {self._base_url.host} failed"
            ) from err

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
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
    return URL(str(url.with_path(url.path.rstrip("/"))).rstrip("/"))


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer's body, and no more of it than any true answer has."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return body
