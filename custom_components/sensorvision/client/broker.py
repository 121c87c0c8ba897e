"""Where an MQTT broker is, and how to log in there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .exceptions import ValidationError
from .topics import TOPIC_PREFIXES

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Broker:
    """A broker, and how to log in there.

    Attributes:
        host: name or address.
        client_id: what no other client of the broker calls itself.
        port: 1883, or 8883 with TLS, is usual.
        topic_prefix: `indcloud` for servers since 2025-12-28, else `sensorvision`
            (contract 4.1).
        username: or None for a broker that lets everybody in.
        password: of that user.
        tls: whom to trust, and by which certificate to be known; None for no TLS.
        keepalive_s: after how many seconds without a word a session is given up.

    Raises:
        ValidationError: a server reads no topic that begins so.
    """

    host: str
    client_id: str
    port: int = 1883
    topic_prefix: str = TOPIC_PREFIXES[0]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    keepalive_s: int = 60

    def __post_init__(self) -> None:
        if self.topic_prefix not in TOPIC_PREFIXES:
            raise ValidationError(
                "topic_prefix",
                self.topic_prefix,
                "is nothing that a server reads",
                f"Choose one of {', '.join(TOPIC_PREFIXES)}",
            )
