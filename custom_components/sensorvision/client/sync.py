"""Talk to a SensorVision server over HTTP without an event loop."""

from __future__ import annotations

from functools import wraps
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
    TypeVar,
)

from .configured import arguments_of
from .core import Client
from .link import Link
from .pace import RetryPolicy, Timeouts
from .runtime import SyncRuntime, run
from .sync_durable import SyncDurableSender
from .sync_transport import SyncTransport
from .transport import normalize_url

if TYPE_CHECKING:
    from os import PathLike
    from ssl import SSLContext
    from types import TracebackType

    import requests
    from typing_extensions import Concatenate, ParamSpec

    from .config import Config
    from .limits import Limits
    from .metrics import RequestMetrics
    from .pace import Pace
    from .policies import CircuitBreaker, RateLimit

    P = ParamSpec("P")

R = TypeVar("R")


def _blocking(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SensorVisionClient, P], R]:
    """Return a method that does what a coroutine does, and returns when it is done."""

    @wraps(method)
    def call(self: SensorVisionClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run(method(self._client, *args, **kwargs))

    return call


class SensorVisionClient:
    """Talk to one SensorVision server with one credential, in the thread that calls.

    It does what `AsyncSensorVisionClient` does, under the same names, and each method
    returns when it is done. Threads may share one client, its connections and its limits.

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
        session: a session of `requests` to use, which stays the caller's to close, with
            its proxies and adapters; without one the client has its own.
        pool_size: how many connections its own session keeps to one address.
        verify: an authority of your own, as the path of a file or a context, or False to
            trust any certificate; by default certificates are verified by whom the system
            trusts. A session of the caller's takes a path, but no context.
        timeouts: how long to wait. The total is looked at between the pieces of an answer.
        retry: how often `send_data` tries again.
        rate_limit: how fast to ask; by default below what the hosted server bears.
        breaker: when to leave a server alone that keeps failing.
        on_request: called with the `RequestMetrics` of each request, to be counted, in
            the thread that made it.
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
        session: requests.Session | None = None,
        pool_size: int = 10,
        verify: bool | str | SSLContext = True,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        rate_limit: RateLimit | None = None,
        breaker: CircuitBreaker | None = None,
        on_request: Callable[[RequestMetrics], None] | None = None,
        cache_lifetime_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
        details_of_new: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        runtime = SyncRuntime()
        link = Link(
            [
                SyncTransport(
                    normalize_url(url),
                    session=session,
                    pool_size=pool_size,
                    verify=verify,
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
        self._client = Client(
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
        self._link = link

    @classmethod
    def from_config(cls, config: Config, **overrides: Any) -> SensorVisionClient:  # noqa: ANN401
        """Return a client for settings; a file of authorities is read here.

        Args:
            config: the settings, such as `load_config` finds.
            **overrides: what the constructor takes, in place of them.

        Raises:
            ConfigError: URL or credential is missing, or no authority is in the file.
        """
        arguments = arguments_of(config)
        if not config.verify_tls:
            arguments["verify"] = False
        elif config.ca_file is not None:
            arguments["verify"] = config.ssl_context()
        return cls(**{**arguments, **overrides})

    def __repr__(self) -> str:
        """Name the server and nothing secret."""
        return f"<{type(self).__name__} {self._link.base_url}>"

    def __enter__(self) -> SensorVisionClient:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what the client opened."""
        self.close()

    @property
    def credential(self) -> str | None:
        """See `AsyncSensorVisionClient.credential`."""
        return self._client.credential

    @property
    def clock_offset_s(self) -> float | None:
        """See `AsyncSensorVisionClient.clock_offset_s`."""
        return self._client.clock_offset_s

    def durable(
        self,
        path: str | PathLike[str],
        *,
        limits: Limits | None = None,
        pace: Pace | None = None,
    ) -> SyncDurableSender:
        """Return what sends by way of a file, to be used with `with`.

        Its readings survive an outage, a crash and a power cut; see `SyncDurableSender`.

        Args:
            path: the file, which is made if there is none.
            limits: how much it may hold, and how soon a reading is written down.
            pace: how fast to send.
        """
        return SyncDurableSender(self, path, limits=limits, pace=pace)

    def forget_devices(self) -> None:
        """See `AsyncSensorVisionClient.forget_devices`."""
        self._client.forget_devices()

    add_device = _blocking(Client.add_device)
    capabilities = _blocking(Client.capabilities)
    close = _blocking(Client.close)
    create_token = _blocking(Client.create_token)
    device = _blocking(Client.device)
    device_status = _blocking(Client.device_status)
    devices = _blocking(Client.devices)
    health = _blocking(Client.health)
    latest_values = _blocking(Client.latest_values)
    post = _blocking(Client.post)
    post_moments = _blocking(Client.post_moments)
    probe = _blocking(Client.probe)
    register_device = _blocking(Client.register_device)
    rotate_token = _blocking(Client.rotate_token)
    send_batch = _blocking(Client.send_batch)
    send_command = _blocking(Client.send_command)
    send_data = _blocking(Client.send_data)
    server_info = _blocking(Client.server_info)
    unregister_device = _blocking(Client.unregister_device)
    update_device = _blocking(Client.update_device)
    update_variable = _blocking(Client.update_variable)
    values = _blocking(Client.values)
    variables = _blocking(Client.variables)
