"""A sandbox that runs in this process, on a real socket."""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp import web

from . import fixtures
from .clock import Clock
from .context import Context, State
from .faults import Faults
from .feed import Feed
from .limits import Limits
from .readings import Ingestion
from .security import Security
from .server import ArrivedRequest, HttpServer
from .settings import Settings, reachable_host
from .store import Store

if TYPE_CHECKING:
    from .mqtt import MqttLink

_SHUTDOWN_S = 0.2


class Sandbox:
    """A running server; use it as an async context manager.

    Attributes:
        clock: Its clock, which can be moved forward.
        faults: What can be switched on to go wrong.
        store: Its database.
        url: Where it answers, without a trailing slash.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.faults = Faults()
        self.store = Store(self.settings.database)
        self.url = ""
        ingestion = Ingestion(self.store, self.clock)
        ingestion.modes = self.settings.modes
        ingestion.auto_provision = self.settings.auto_provision
        feed = Feed()
        ingestion.on_stored.append(feed.publish)
        self.context = Context(
            settings=self.settings,
            state=State(self.settings.modes, self.settings.nginx),
            clock=self.clock,
            store=self.store,
            ingestion=ingestion,
            security=Security(self.store, self.clock),
            limits=Limits(self.clock),
            faults=self.faults,
            feed=feed,
            mqtt=self._link(ingestion),
        )
        if self.store.is_empty():
            fixtures.fill(self.context)
        self._server = HttpServer(self.context)
        self._runner: web.ServerRunner | None = None

    @property
    def requests(self) -> deque[ArrivedRequest]:
        """The newest requests that arrived, oldest first."""
        return self._server.requests

    def _link(self, ingestion: Ingestion) -> MqttLink | None:
        """Make the link to the broker, if there is one."""
        if self.settings.broker is None:
            return None
        # Loaded here, because a sandbox without MQTT must start in milliseconds.
        from .mqtt import MqttLink

        return MqttLink(
            self.settings,
            self.settings.broker,
            store=self.store,
            ingestion=ingestion,
            clock=self.clock,
            faults=self.faults,
        )

    @property
    def mqtt_url(self) -> str | None:
        """Where the MQTT broker answers, None without one."""
        return self.context.mqtt.url if self.context.mqtt else None

    def account(self) -> dict[str, str | None]:
        """Return the first account with its first device, if it has one, for printing."""
        row = self.store.row(
            "SELECT username, password, external_id, api_token FROM users"
            " LEFT JOIN devices USING (organization_id) ORDER BY users.id, devices.id"
        )
        keys = ("username", "password", "device", "token")
        return dict(zip(keys, row or (), strict=True))

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: A port is taken.
        """
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def _start(self) -> None:
        """Start the HTTP server, then the link to the broker."""
        self._runner = web.ServerRunner(
            self._server.make(), shutdown_timeout=_SHUTDOWN_S
        )
        await self._runner.setup()
        settings = self.settings
        site = web.TCPSite(
            self._runner, settings.host, settings.port, ssl_context=settings.ssl_context
        )
        await site.start()
        port = self._runner.addresses[0][1]
        scheme = "https" if settings.ssl_context else "http"
        self.url = f"{scheme}://{reachable_host(settings.host)}:{port}"
        if self.context.mqtt is not None:
            await self.context.mqtt.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and close the database."""
        await self.close()

    async def close(self) -> None:
        """Stop listening and close the database; does nothing twice."""
        if self.context.mqtt is not None:
            await self.context.mqtt.stop()
        self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self.store.close()
