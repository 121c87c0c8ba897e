"""Talk to a SensorVision server over HTTP, in an event loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from .capabilities import Probe
from .configured import arguments_of
from .core import Client
from .durable import DurableSender
from .link import Link
from .pace import RetryPolicy, Timeouts
from .runtime import AsyncRuntime
from .transport import AsyncTransport, normalize_url

if TYPE_CHECKING:
    from os import PathLike
    from ssl import SSLContext
    from types import TracebackType

    import aiohttp

    from .config import Config
    from .limits import Limits
    from .metrics import RequestMetrics
    from .pace import Pace
    from .policies import CircuitBreaker, RateLimit

__all__ = ["AsyncSensorVisionClient", "Probe", "normalize_url"]


class AsyncSensorVisionClient(Client):
    """Talk to one SensorVision server with one credential.

    Give exactly one: `api_key`, `user_key`, or `username` with `password`.

    Args:
        api_url: where the server is, such as `https://sensors.example.org`; a path
            in it is kept.
        fallback_urls: where else it is, asked in turn while one does not answer. The
            credential goes to all of them, and nowhere else.
        api_key: device token or user key; the server tells which, at the first need.
        user_key: a key that is known to be a user's, so that a server which ignores it
            for a while is not taken for one that refuses it.
        username: name or e-mail address of an account.
        password: the account's password.
        session: an `aiohttp` session to use, which stays the caller's to close;
            without one the client opens its own at first use.
        pool_size: how many connections its own session keeps to one address.
        ssl: a context with an authority of your own, or False to trust any
            certificate; by default certificates are verified.
        timeouts: how long to wait.
        retry: how often `send_data` tries again.
        rate_limit: how fast to ask; by default below what the hosted server bears.
        breaker: when to leave a server alone that keeps failing.
        on_request: called with the `RequestMetrics` of each request, to be counted.
        cache_lifetime_s: for how long it is held for true which devices there are and
            what the credential can do, in seconds.
        clock: seconds that only grow, by which logins, lockouts and pauses end.
        details_of_new: called with the id of a device that a user's post is about to
            make; returns what `register_device` takes of it besides.

    Raises:
        ValidationError: the URL or the credential can't be one.
    """

    def __init__(
        self,
        api_url: str,
        *,
        fallback_urls: Sequence[str] = (),
        api_key: str | None = None,
        user_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        session: aiohttp.ClientSession | None = None,
        pool_size: int = 10,
        ssl: SSLContext | bool = True,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        rate_limit: RateLimit | None = None,
        breaker: CircuitBreaker | None = None,
        on_request: Callable[[RequestMetrics], None] | None = None,
        cache_lifetime_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
        details_of_new: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        runtime = AsyncRuntime()
        link = Link(
            [
                AsyncTransport(
                    normalize_url(url),
                    session=session,
                    pool_size=pool_size,
                    ssl=ssl,
                    timeouts=timeouts or Timeouts(),
                )
                for url in (api_url, *fallback_urls)
            ],
            runtime=runtime,
            rate_limit=rate_limit,
            breaker=breaker,
            on_request=on_request,
            clock=clock,
        )
        super().__init__(
            link,
            runtime,
            api_key=api_key,
            user_key=user_key,
            username=username,
            password=password,
            retry=retry,
            cache_lifetime_s=cache_lifetime_s,
            clock=clock,
            details_of_new=details_of_new,
        )

    def durable(
        self,
        path: str | PathLike[str],
        *,
        limits: Limits | None = None,
        pace: Pace | None = None,
    ) -> DurableSender:
        """Return what sends by way of a file, to be used with `async with`.

        Its readings survive an outage, a crash and a power cut; see `DurableSender`.

        Args:
            path: the file, which is made if there is none.
            limits: how much it may hold, and how soon a reading is written down.
            pace: how fast to send.
        """
        return DurableSender(self, path, limits=limits, pace=pace)

    @classmethod
    def from_config(cls, config: Config, **overrides: Any) -> AsyncSensorVisionClient:  # noqa: ANN401
        """Return a client for settings; a file of authorities is read here.

        Args:
            config: the settings, such as `load_config` finds.
            **overrides: what the constructor takes, in place of them.

        Raises:
            ConfigError: URL or credential is missing, or no authority is in the file.
        """
        arguments = arguments_of(config)
        if not config.verify_tls:
            arguments["ssl"] = False
        elif config.ca_file is not None:
            arguments["ssl"] = config.ssl_context()
        return cls(**{**arguments, **overrides})

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
