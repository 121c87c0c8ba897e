"""Publish to an MQTT broker from which a SensorVision server takes its telemetry."""

from __future__ import annotations

from .broker import Broker
from .mqtt_session import Session
from .pace import Timeouts


class Publisher(Session):
    """Sessions of one that publishes alone, and to which nobody does.

    Args:
        broker: where it is.
        timeouts: how long to wait for a connection, and for an acknowledgement.
    """

    def __init__(self, broker: Broker, *, timeouts: Timeouts | None = None) -> None:
        super().__init__(broker, timeouts=timeouts)
