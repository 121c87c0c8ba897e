"""What is right of a client, and what it did wrong, by what its server has seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .answer_servers import YES, Facts, Order, Reply, Serve, answer_of

_MAX_READ_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Found:
    """What a client did.

    Attributes:
        outcome: the class of what it raised, or "" if it said that all is well.
        kinds: the class's name and those of its bases.
        text: what it said.
        tells_token: whether that holds the credential.
        retry_after_s: the pause that the server asked for, if the client tells it.
        seconds: how long it took.
    """

    outcome: str
    kinds: Sequence[str] = ()
    text: str = ""
    tells_token: bool = False
    retry_after_s: float | None = None
    seconds: float = 0


@dataclass(frozen=True)
class Right:
    """What is right; None is what does not matter.

    Attributes:
        says_stored: whether the client returns, rather than raise.
        stored: how often the data may be stored, at the least and at the most.
        posts: how often it may be sent, at the least and at the most.
        kind: the name of a class that what is raised must be of.
        no_kind: the name of a class that it must not be of.
        least_s: how long it must take, in seconds.
        most_s: how long it may take, in seconds.
        tells_pause: whether the client must tell how long the server asks to wait.
    """

    says_stored: bool | None = None
    stored: tuple[int, int] = (0, 0)
    posts: tuple[int, int] = (1, 1)
    kind: str | None = None
    no_kind: str | None = None
    least_s: float = 0
    most_s: float = 6
    tells_pause: bool = False

    def flaws(self, found: Found, facts: Facts) -> list[str]:
        """Return what a client did wrong, each in a few words."""
        did_say = not found.outcome
        gave_up = self.says_stored is True and not did_say
        is_deceived = did_say and not facts.stored
        checks = {
            "says stored, and it is not": is_deceived,
            "gives up too early": gave_up,
            f"stored {facts.stored} times": not (gave_up or is_deceived)
            and not _within(facts.stored, self.stored),
            f"{facts.posts} posts": not gave_up
            and not _within(facts.posts, self.posts),
            f"{found.outcome} is no {self.kind}": bool(found.outcome)
            and self.kind not in (None, *found.kinds),
            f"taken for {self.no_kind}": self.no_kind in found.kinds,
            f"stored {facts.astray} elsewhere": facts.astray > 0,
            "credential sent to another host": facts.leaked,
            "credential in the error": found.tells_token,
            f"{facts.still_open} connections left open": facts.still_open > 0,
            f"read {facts.sent_bytes >> 20} MiB": facts.sent_bytes > _MAX_READ_BYTES,
            "did not wait": not gave_up and found.seconds < self.least_s,
            f"took {found.seconds:.1f} s": found.seconds > self.most_s,
            "tells no pause": self.tells_pause and not found.retry_after_s,
        }
        return [flaw for flaw, is_so in checks.items() if is_so]


@dataclass(frozen=True)
class Case:
    """One thing that may happen.

    Attributes:
        name: what happens, in words.
        source: where the contract says what is right.
        serve: runs the server.
        right: what is right.
        order: what the client is told to do.
        is_async: whether only a client of asyncio can be told so.
    """

    name: str
    source: str
    serve: Serve
    right: Right
    order: Order = field(default_factory=Order)
    is_async: bool = False


OK = Reply(answer_of(200, YES), stores=True)
DONE = Right(says_stored=True, stored=(1, 1))
REFUSED = Right(says_stored=False)


def _within(number: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= number <= bounds[1]
