"""Which handler answers which path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .context import Access, Handler


class NoSuchPath(LookupError):
    """No endpoint has this path."""


class WrongMethod(LookupError):
    """The path is an endpoint's, but not with this method."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: a method, a path with ``{parameters}``, and who may use it."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.USER
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.path[1:].split("/")))

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Return the parameters of a path of this shape, None for another."""
        parameters = {}
        for part, segment in zip(self.parts, segments, strict=True):
            if part.startswith("{"):
                if not segment:
                    return None
                parameters[part[1:-1]] = segment
            elif part != segment:
                return None
        return parameters


@dataclass(frozen=True, slots=True)
class Match:
    """A route with the parameters of a path."""

    route: Route
    parameters: Mapping[str, str]


class Router:
    """All routes; of two that match, the one that was listed first wins."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_length: dict[int, list[Route]] = {}
        for route in routes:
            self._by_length.setdefault(len(route.parts), []).append(route)

    def resolve(self, method: str, segments: tuple[str, ...]) -> Match:
        """Return the route for a request; one trailing slash is ignored.

        Raises:
            NoSuchPath: No route has this path.
            WrongMethod: Routes have it, but none with this method.
        """
        if len(segments) > 1 and not segments[-1]:
            segments = segments[:-1]
        has_path = False
        for route in self._by_length.get(len(segments), ()):
            parameters = route.match(segments)
            if parameters is None:
                continue
            if route.method == method:
                return Match(route, parameters)
            has_path = True
        raise WrongMethod if has_path else NoSuchPath
