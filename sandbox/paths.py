"""What a request path meets before any handler: the container, then a firewall."""

import re
from urllib.parse import unquote

_NOT_IN_A_PATH = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_NOT_IN_A_QUERY = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%?]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REFUSED_BY_CONTAINER = re.compile(r"%(?:2F|5C|00)", re.IGNORECASE)
_REFUSED_BY_FIREWALL = re.compile(
    r"%25|;|%3B|%2E|//|%0A|%0D|%E2%80%A[89]", re.IGNORECASE
)


class ContainerRefusesPath(ValueError):
    """The servlet container answers 400 with a page of its own."""


class FirewallRefusesPath(ValueError):
    """The security firewall answers, which shows as an empty 401."""


def segments(target: str) -> tuple[str, ...]:
    """Split a raw request target into its decoded path segments.

    A trailing slash shows as an empty last segment.

    Raises:
        ContainerRefusesPath: It holds characters that must not be there.
        FirewallRefusesPath: It holds an escape that is not let through.
    """
    path, _, query = target.partition("?")
    if (
        not path.startswith("/")
        or _NOT_IN_A_PATH.search(path)
        or _NOT_IN_A_QUERY.search(query)
        or _BAD_ESCAPE.search(path)
        or _REFUSED_BY_CONTAINER.search(path)
    ):
        raise ContainerRefusesPath(path)
    if _REFUSED_BY_FIREWALL.search(path):
        raise FirewallRefusesPath(path)
    parts: list[str] = []
    raw = path[1:].split("/")
    for index, part in enumerate(raw):
        if part not in (".", ".."):
            parts.append(unquote(part) if "%" in part else part)
            continue
        if part == "..":
            if not parts:
                raise ContainerRefusesPath(path)
            parts.pop()
        if index == len(raw) - 1:
            parts.append("")
    return tuple(parts)
