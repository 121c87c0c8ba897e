"""What every handler can reach, and what it is called with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDictProxy

from .answers import UNREADABLE, UNSUPPORTED_TYPE, Answer
from .clock import Clock
from .faults import Faults
from .json_reader import Json, JsonError, read
from .limits import Limits
from .readings import Ingestion
from .security import Caller, Security
from .settings import Mode, Settings
from .store import Store

if TYPE_CHECKING:
    from .feed import Feed
    from .mqtt import MqttLink


class RequestFailed(Exception):
    """A request failed before its handler; the text names the server's exception."""


class Refused(Exception):
    """A handler cannot go on.

    Attributes:
        answer: What it answers instead.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Access(Enum):
    """Who may use an endpoint."""

    PUBLIC = auto()
    USER = auto()
    ROLE = auto()
    """A user who was authenticated by a JWT: a user key's roles do not count."""


@dataclass(slots=True)
class State:
    """What can be switched while the server runs."""

    modes: frozenset[Mode]
    nginx: bool
    health: str = "UP"


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one running server."""

    settings: Settings
    state: State
    clock: Clock
    store: Store
    ingestion: Ingestion
    security: Security
    limits: Limits
    faults: Faults
    feed: Feed
    mqtt: MqttLink | None

    def has(self, mode: Mode) -> bool:
        """Tell whether this server behaves as an old one in that respect."""
        return mode in self.state.modes

    def switch_modes(self, modes: frozenset[Mode]) -> None:
        """Behave as old servers in these respects, and only these."""
        self.state.modes = self.ingestion.modes = modes


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as its handler sees it.

    Attributes:
        context: The server.
        request: The HTTP request.
        path: Raw path without the query, as problems name it.
        body: The whole body.
        parameters: Decoded path segments by name.
        caller: Who is asking, if known.
    """

    context: Context
    request: web.BaseRequest
    path: str
    body: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    caller: Caller | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The request's headers."""
        return self.request.headers

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters."""
        return self.request.query

    def user(self) -> Caller:
        """Return who is asking, where the endpoint lets only users in."""
        if self.caller is None:
            raise RuntimeError(f"{self.path} is open to anybody")
        return self.caller

    def json(self) -> Json:
        """Read the body as JSON.

        Raises:
            RequestFailed: The media type or the body is not what the server reads.
        """
        if not _reads(self.headers.get("Content-Type", "")):
            raise RequestFailed(UNSUPPORTED_TYPE)
        try:
            value = read(self.body)
        except JsonError as err:
            raise RequestFailed(UNREADABLE) from err
        if value is None:
            raise RequestFailed(UNREADABLE)
        return value

    def json_object(self) -> dict[str, Json]:
        """Read the body as a JSON object.

        Raises:
            RequestFailed: It is something else.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise RequestFailed(UNREADABLE)
        return value


type Handler = Callable[[Call], Awaitable[Answer]]

_CHARSETS = {
    "utf-8",
    "utf8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-32le",
    "utf-32be",
    "us-ascii",
}


def _reads(content_type: str) -> bool:
    """Tell whether the server has a reader for a media type."""
    if content_type == "application/json":
        return True
    essence, *parameters = content_type.split(";")
    kind, _, subtype = essence.strip().lower().partition("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        return False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in _CHARSETS
    return True
