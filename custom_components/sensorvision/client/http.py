"""Talk to a SensorVision server over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import logging
from typing import TYPE_CHECKING, Mapping

import aiohttp
from yarl import URL

from . import protocol
from .exceptions import (
    AnswerError,
    CertificateError,
    DeviceError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    SensorVisionError,
    ServerError,
    ValidationError,
    error_of,
    raise_for,
)
from .pace import RetryPolicy, Timeouts

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import TracebackType

_LOGGER = logging.getLogger(__name__)

_MAX_ANSWER_BYTES = 64 * 1024
_USER_AGENT = "sensorvision"


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
        attempt = 0
        while True:
            try:
                raise_for(await self._exchange(request))
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
        return await self._exchange(
            protocol.ingest_request(device_id, self._api_key, dict(variables))
        )

    async def probe(self, device_id: str) -> Probe:
        """Find out whether URL, token and device id are good, and store nothing.

        The token is sent only to what may be a SensorVision server.

        Raises:
            ValidationError: the device id can't be one.
            NotSensorVisionError: something else answered.
            RedirectError: the server points to another address.
            AuthenticationError: the server refused the token.
            PermissionDeniedError: the device id belongs to another organisation.
            AnswerError: the server said no for another reason.
            NetworkError: no answer came.
        """
        probe = protocol.probe_request(device_id, self._api_key)
        connectivity = await self._exchange(protocol.connectivity_request())
        if 300 <= connectivity.status < 400:
            raise_for(connectivity)
        # An empty 401 is an older server's; 429 and 5xx say nothing about it.
        is_page = not connectivity.is_json and connectivity.status < 500
        if is_page and connectivity.status not in (401, 429):
            raise NotSensorVisionError(connectivity)
        answer = await self._exchange(probe)
        if protocol.is_probe_passed(answer):
            return Probe(
                has_connectivity_check=connectivity.status == 200
                and connectivity.is_json
            )
        error = error_of(answer)
        is_foreign = isinstance(error, PermissionDeniedError)
        # Only a server that isn't SensorVision stores an empty object.
        if error is None or (isinstance(error, DeviceError) and not is_foreign):
            raise NotSensorVisionError(answer)
        raise error

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
                # Some servers repeat what they were sent.
                body = body.replace(self._api_key.encode(), b"***")
                return protocol.read_answer(response.status, headers, body)
        except aiohttp.ClientResponseError:
            # Its arguments hold the request's headers: it must not become a cause.
            pass
        except aiohttp.ClientConnectorCertificateError as err:
            raise CertificateError(
                f"The certificate of {self._base_url.host} is not trusted"
            ) from err
        except aiohttp.ClientConnectorSSLError as err:
            raise NotHttpError(f"{self._base_url.host} does not speak TLS") from err
        # Some names can't even be asked for.
        except (aiohttp.ClientConnectorDNSError, UnicodeError) as err:
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
        raise NotHttpError(f"{self._base_url.host} does not speak HTTP")

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
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer's body, and no more of it than any true answer has."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return body
