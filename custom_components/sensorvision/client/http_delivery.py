"""Bring readings to the server over its own API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping, Protocol, Sequence

from .delivery import Delivery
from .exceptions import AuthenticationError, PermissionDeniedError, SensorVisionError

if TYPE_CHECKING:
    from .capabilities import Probe
    from .moments import Moment
    from .pace import Pace
    from .protocol import Answer
    from .status import Status


class HttpPeer(Protocol):
    """What a delivery needs of a client; `AsyncSensorVisionClient` says what each does."""

    @property
    def clock_offset_s(self) -> float | None:
        """How far the server's clock is ahead of this machine's, in seconds, or None."""

    def forget_devices(self) -> None:
        """Look up anew whose the devices are."""

    async def probe(self, device_id: str) -> Probe:
        """Find out whether URL, credential and device id are good."""

    async def post(
        self, device_id: str, variables: Mapping[str, int | float]
    ) -> Answer:
        """Send numbers once."""

    async def post_moments(self, moments: Sequence[Moment]) -> list[Answer]:
        """Send readings in one request."""


class HttpDelivery(Delivery):
    """Send what is in an outbox to a server that is asked what it takes.

    Args:
        client: the way to the server.
        home_device_id: a device id of this installation, to try the credential with.
        on_change: see `Delivery`.
        pace: how fast to send.
        status: see `Delivery`.
    """

    def __init__(
        self,
        client: HttpPeer,
        home_device_id: str,
        *,
        on_change: Callable[[], None],
        pace: Pace | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(client, on_change=on_change, pace=pace, status=status)
        self._client = client
        self._home_device_id = home_device_id

    async def _probe(self) -> None:
        """See whether the server is there and takes the credential."""
        try:
            probe = await self._client.probe(self._home_device_id)
        except AuthenticationError as err:
            self._credential_refused(err)
        except PermissionDeniedError:
            # Of server and credential this says that they are good.
            self._is_explored = True
            self._server_answered()
        except SensorVisionError as err:
            self._server_failed(err)
        else:
            self.status.capabilities = probe.capabilities
            self.status.age = probe.age
            self._is_explored = True
            self._server_answered()

    def _server_answered(self) -> None:
        self.status.clock_offset_s = self._client.clock_offset_s
        super()._server_answered()
