"""The bodies and headers that the server, its container and its proxy answer with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
import json

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
HTML = "text/html;charset=utf-8"
HEALTH_JSON = "application/vnd.spring-boot.actuator.v3+json"

GENERIC_DETAIL = (
    "An unexpected error occurred while processing your request. "
    "Our team has been notified. Please try again later."
)
_BEARER_REFUSAL = (
    'Bearer error="invalid_token", error_description="{}", '
    'error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"'
)
_TITLES = {
    400: "Bad Request",
    401: "Invalid Credentials",
    403: "Access Denied",
    404: "Resource Not Found",
    409: "Data Conflict",
    500: "Something Went Wrong",
}

UNREADABLE = "HttpMessageNotReadableException"
UNSUPPORTED_TYPE = "HttpMediaTypeNotSupportedException"
UNSUPPORTED_METHOD = "HttpRequestMethodNotSupportedException"
NOT_ACCEPTABLE = "HttpMediaTypeNotAcceptableException"
ROLLED_BACK = "UnexpectedRollbackException"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is written.

    Attributes:
        status: HTTP status.
        body: The whole body.
        content_type: None for an empty body.
        headers: Further headers.
        negotiated: Whether a client that accepts no JSON is refused this answer.
        from_application: Whether the application's own headers go with it.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    negotiated: bool = False
    from_application: bool = True


_scalar = json.JSONEncoder(ensure_ascii=False).encode


def dump(value: object) -> str:
    """Write JSON; a Decimal keeps its places, as ``23.500000`` does."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        members = (f"{dump(name)}:{dump(member)}" for name, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    return _scalar(value)


def ok(value: object, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status, dump(value).encode(errors="replace"), JSON, negotiated=True)


def verdict(status: int, message: str) -> Answer:
    """Answer ``{"success": …, "message": …}`` as the ingest controllers do."""
    return ok({"success": status == 200, "message": message}, status)


def problem(
    status: int,
    instance: str,
    *,
    detail: str = GENERIC_DETAIL,
    title: str | None = None,
    error_type: str | None = None,
    **members: object,
) -> Answer:
    """Answer with an RFC 7807 problem, whatever the client accepts."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": title or _TITLES[status],
        "status": status,
        "detail": detail,
        "instance": instance,
        "developerMessage": None,
    }
    if error_type is not None:
        body["errorType"] = error_type
    body |= members
    return Answer(status, dump(body).encode(errors="replace"), PROBLEM_JSON)


def failure(instance: str, error_type: str) -> Answer:
    """Answer with the generic 500 problem."""
    return problem(500, instance, error_type=error_type)


def unauthenticated(accept: str) -> Answer:
    """Send to the login: a browser by redirect, anything else by an empty 401."""
    if "text/html" in accept or "text/plain" in accept:
        return Answer(302, headers={"Location": "/oauth2/login"})
    return Answer(401, headers={"WWW-Authenticate": "Bearer"})


def invalid_bearer(reason: str) -> Answer:
    """Refuse a bearer token that is not a valid JWT."""
    return Answer(401, headers={"WWW-Authenticate": _BEARER_REFUSAL.format(reason)})


def container_refusal() -> Answer:
    """Answer as the servlet container does to a request line that it does not take."""
    text = "HTTP Status 400: Bad Request"
    page = (
        f'<!doctype html><html lang="en"><head><title>{text}</title></head>'
        f"<body><h1>{text}</h1></body></html>"
    )
    return Answer(400, page.encode(), HTML, from_application=False)


def proxy_page(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer as the nginx in front of the server does."""
    text = f"{status} {HTTPStatus(status).phrase}"
    if status == 503:
        text = "503 Service Temporarily Unavailable"
    page = (
        f"<html>\r\n<head><title>{text}</title></head>\r\n<body>\r\n"
        f"<center><h1>{text}</h1></center>\r\n<hr><center>nginx</center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return Answer(
        status,
        page.encode(),
        "text/html",
        {"Server": "nginx", **(headers or {})},
        from_application=False,
    )
