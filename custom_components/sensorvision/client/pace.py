"""How long to wait for a server, how often to try again, and how fast to send."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
import random

from .protocol import ValidationError


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

    def __post_init__(self) -> None:
        """See that each can be waited for.

        Raises:
            ValidationError: one is no number of seconds above 0.
        """
        for name in ("connect_s", "read_s", "total_s"):
            seconds = getattr(self, name)
            if not 0 < seconds < math.inf:
                raise ValidationError(
                    name,
                    seconds,
                    "is no time to wait",
                    "Take a finite number of seconds above 0",
                )

    @classmethod
    def within(cls, total_s: float) -> Timeouts:
        """Return limits none of which is longer than a whole exchange may take."""
        default = cls()
        return cls(
            min(default.connect_s, total_s), min(default.read_s, total_s), total_s
        )


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try again what may succeed later.

    Attributes:
        attempts: how often to send at the most; 1 switches retries off.
        first_delay_s: upper bound of the first pause; each further one doubles it,
            and the pause is drawn at random below it (full jitter).
        max_delay_s: upper bound of any pause; a server that asks for more is not
            tried again.
    """

    attempts: int = 3
    first_delay_s: float = 0.5
    max_delay_s: float = 30

    @classmethod
    def off(cls) -> RetryPolicy:
        """Return the policy of a client that sends once."""
        return cls(attempts=1)

    def delay_s(self, attempt: int) -> float:
        """Draw the pause after the given attempt, counted from 0."""
        bound = min(self.max_delay_s, self.first_delay_s * 2 ** min(attempt, 16))
        return random.uniform(0, bound)


@dataclass(frozen=True)
class Pace:
    """How fast to send, and how long to wait after each kind of failure.

    Attributes:
        window_s: how long to collect changes before a round of posts.
        spacing_s: the least time between two posts; the hosted server's proxy refuses
            more than 10 a second.
        max_in_flight: how many devices are posted to at once.
        backoff: the growing random pauses while the server is away.
        suspect_attempts: how often the server may fail on one device's data before
            the data is split to find a culprit.
        refused_device_s: pause before a device that the server refuses is tried again.
        refused_credential_s: pause before a refused credential is tried again.
        idle_s: with nothing to send, how often to see whether the server is there.
        unexpected_s: pause after an error that nobody has thought of.
    """

    window_s: float = 1
    spacing_s: float = 0.105
    max_in_flight: int = 4
    backoff: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(first_delay_s=2, max_delay_s=300)
    )
    suspect_attempts: int = 3
    refused_device_s: float = 3600
    refused_credential_s: float = 900
    idle_s: float = 300
    unexpected_s: float = 60
