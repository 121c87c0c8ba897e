"""Whether there is a session with a broker, as it is told to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
import datetime as dt

DISCONNECTED = "disconnected"
CONNECTING = "connecting"
CONNECTED = "connected"
RECONNECTING = "reconnecting"


@dataclass(frozen=True)
class MqttStatus:
    """Whether there is a session with a broker.

    Attributes:
        state: `disconnected`, `connecting`, `connected`, or `reconnecting` after a
            session was lost.
        since: since when.
        broker: host and port of the broker that the session is with, or None.
        problem: why there is none, or None.
    """

    state: str
    since: dt.datetime
    broker: str | None = None
    problem: str | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a session."""
        return self.state == CONNECTED
