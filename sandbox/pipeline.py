"""The order in which a request is checked before its handler sees it."""

from collections.abc import Mapping
from dataclasses import replace
import re

from aiohttp import web

from .answers import (
    JSON,
    NOT_ACCEPTABLE,
    UNSUPPORTED_METHOD,
    Answer,
    container_refusal,
    dump,
    failure,
    invalid_bearer,
    problem,
    proxy_page,
    unauthenticated,
)
from .context import Access, Call, Context, Refused, RequestFailed
from .limits import Admission
from .paths import ContainerRefusesPath, FirewallRefusesPath, segments
from .routes.table import ROUTES
from .routing import Match, NoSuchPath, Router, WrongMethod
from .security import Caller, InvalidToken
from .settings import Mode

MAX_HEADER_BYTES = 8192
MAX_PROXIED_BODY_BYTES = 10 * 1024 * 1024

_API = ("api", "v1")
_PUBLIC = {
    ("api", "v1", "auth", "login"),
    ("api", "v1", "auth", "refresh"),
    ("api", "v1", "auth", "register"),
    ("actuator", "health"),
    ("actuator", "prometheus"),
}
_PUBLIC_FAMILIES = {("api", "v1", "ingest"), ("api", "v1", "connectivity")}
_PROTECTED_ROOTS = {"api", "actuator"}
_UNLIMITED = {"auth", "devices", "data", "ingest", "analytics", "events", "dashboards"}
_UNLIMITED_BY_PROXY = re.compile(r"/api/v1/(?:data|devices|analytics|events)")
_LOGIN = "/api/v1/auth/login"
_ANONYMOUS = "anonymousUser"
_PLUGIN_LIMIT = (
    b'{"error": "Rate limit exceeded", "message": "Maximum 60 plugin operations '
    b'per minute. Please try again later."}'
)


class Pipeline:
    """Answers requests: proxy, container, firewall, credentials, limits, handler."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._router = Router(ROUTES)

    async def answer(self, request: web.BaseRequest, body: bytes) -> Answer:
        """Answer one request as the first check that it fails, or as its handler."""
        path = request.raw_path.partition("?")[0]
        address = request.remote or ""
        if self._context.state.nginx and (
            refusal := self._proxy_refusal(path, address, body)
        ):
            return refusal
        if _header_bytes(request) > MAX_HEADER_BYTES:
            return container_refusal()
        try:
            parts = segments(request.raw_path)
        except ContainerRefusesPath:
            return container_refusal()
        except FirewallRefusesPath:
            return Answer(401, headers={"WWW-Authenticate": "Bearer"})
        if is_foreign_origin(request):
            return Answer(403, b"Invalid CORS request", "text/plain")
        call = Call(self._context, request, path, body)
        return _negotiated(await self._secured(call, parts, address), call)

    def _proxy_refusal(self, path: str, address: str, body: bytes) -> Answer | None:
        """Apply the limits of the hosted site's front server."""
        limits = self._context.limits
        if len(body) > MAX_PROXIED_BODY_BYTES:
            return proxy_page(413)
        if path == _LOGIN:
            return None if limits.proxy_login.admits(address) else proxy_page(503)
        if not path.startswith("/api/") or _UNLIMITED_BY_PROXY.match(path):
            return None
        return None if limits.proxy.admits(address) else proxy_page(503)

    async def _secured(
        self, call: Call, parts: tuple[str, ...], address: str
    ) -> Answer:
        """Check credentials and limits, then let the handler answer."""
        security, limits = self._context.security, self._context.limits
        key = call.headers.get("X-API-Key", "").strip()
        by_key = security.user_key(key, address, limits.keys)
        try:
            caller = security.bearer(call.headers.get("Authorization")) or by_key
        except InvalidToken as err:
            return invalid_bearer(str(err))
        if not self._admits_old_way(parts):
            return await self._routed(replace(call, caller=caller), parts)
        name = caller.user.username if caller else address
        admission = limits.old.take(name, call.path)
        if admission.retry_after_s is not None:
            return too_many_requests(admission.retry_after_s)
        answer = await self._routed(replace(call, caller=caller), parts)
        return _with_remaining(answer, admission)

    def _admits_old_way(self, parts: tuple[str, ...]) -> bool:
        """Tell whether the limiter of old servers watches this path."""
        return (
            self._context.has(Mode.BEFORE_2025_11_23)
            and parts[:2] == _API
            and parts[2:3] != ("auth",)
        )

    async def _routed(self, call: Call, parts: tuple[str, ...]) -> Answer:
        """Find the handler and let it answer."""
        if call.caller is None and not self._is_public(parts):
            return unauthenticated(call.headers.get("Accept", ""))
        try:
            match = self._resolve(call.request.method, parts)
        except WrongMethod:
            return failure(call.path, UNSUPPORTED_METHOD)
        except NoSuchPath:
            detail = f"No endpoint {call.request.method} {call.path}."
            return problem(404, call.path, detail=detail)
        if match.route.access is Access.ROLE and call.caller and call.caller.by_key:
            return problem(403, call.path, detail="Access Denied")
        if not self._admits(parts, call.caller):
            return Answer(429, _PLUGIN_LIMIT, f"{JSON};charset=ISO-8859-1")
        try:
            return await match.route.handler(replace(call, parameters=match.parameters))
        except RequestFailed as err:
            return failure(call.path, str(err))
        except Refused as err:
            return err.answer

    def _is_public(self, parts: tuple[str, ...]) -> bool:
        """Tell whether anybody may ask for this path."""
        if parts and not parts[-1]:
            parts = parts[:-1]
        if not parts or parts[0] not in _PROTECTED_ROOTS or parts in _PUBLIC:
            return True
        if self._is_hidden(parts):
            return False
        return parts[:3] in _PUBLIC_FAMILIES

    def _resolve(self, method: str, parts: tuple[str, ...]) -> Match:
        """Return the route, as far as this server has it already.

        Raises:
            NoSuchPath: There is none.
            WrongMethod: There is one, but not with this method.
        """
        if self._is_hidden(parts):
            raise NoSuchPath
        # Whatever is old about a server, it is older than the slash at a path's end.
        if not parts[-1] and self._context.state.modes:
            # The page's catch-all takes a path that no controller has; it only knows GET.
            raise NoSuchPath if method in ("GET", "HEAD") else WrongMethod
        return self._router.resolve("GET" if method == "HEAD" else method, parts)

    def _is_hidden(self, parts: tuple[str, ...]) -> bool:
        """Tell whether a path is younger than this server."""
        if parts[:3] == ("api", "v1", "connectivity"):
            return self._context.has(Mode.NO_CONNECTIVITY)
        return (
            parts[2:3] == ("devices",)
            and parts[4:5] == ("variables",)
            and (self._context.has(Mode.BEFORE_2025_12_06))
        )

    def _admits(self, parts: tuple[str, ...], caller: Caller | None) -> bool:
        """Apply the limit on everything that is neither data nor devices."""
        if parts[:2] != _API or parts[2] in _UNLIMITED:
            return True
        if self._context.has(Mode.BEFORE_2025_11_23):
            return True
        name = caller.user.username if caller else _ANONYMOUS
        return self._context.limits.plugins.admits(name)


def too_many_requests(retry_after_s: int) -> Answer:
    """Answer 429 as servers before 2025-11-23 do."""
    body = {
        "error": "Too Many Requests",
        "message": f"Rate limit exceeded. Please try again in {retry_after_s} seconds.",
        "retryAfter": retry_after_s,
    }
    headers = {"X-Rate-Limit-Retry-After-Seconds": str(retry_after_s)}
    return Answer(429, dump(body).encode(), JSON, headers)


def _with_remaining(answer: Answer, admission: Admission) -> Answer:
    """Tell how many tokens are left."""
    headers = {"X-Rate-Limit-Remaining": str(admission.remaining)}
    return replace(answer, headers={**answer.headers, **headers})


def _header_bytes(request: web.BaseRequest) -> int:
    """Return the size of the request line and the headers."""
    lines = (len(name) + len(value) + 4 for name, value in request.raw_headers)
    return len(request.method) + len(request.raw_path) + 12 + sum(lines)


def is_foreign_origin(request: web.BaseRequest) -> bool:
    """Tell whether a page of another site sent this request."""
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    return origin != f"{request.scheme}://{request.host}"


def _negotiated(answer: Answer, call: Call) -> Answer:
    """Refuse JSON to a client that does not accept it; what was stored stays."""
    accept = call.headers.get("Accept")
    if accept is None or not answer.negotiated or _accepts_json(accept):
        return answer
    return failure(call.path, NOT_ACCEPTABLE)


def _accepts_json(accept: str) -> bool:
    """Tell whether an ``Accept`` header admits JSON."""
    ranges = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return any(
        media in ("", "*/*", "application/*", "application/json", "application/*+json")
        for media in ranges
    )


def header_map(answer: Answer, extra: Mapping[str, str]) -> dict[str, str]:
    """Merge an answer's headers with those that go with every answer."""
    headers = {**extra, **answer.headers}
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    return headers
