"""Take a server's address apart."""

from .protocol import ValidationError


def split_url(url: str) -> tuple[bool, str, int, str]:
    """Return whether TLS is used, host, port and path prefix of a server's URL.

    Raises:
        ValidationError: it does not begin with http:// or https://, or what follows is no
            host with an optional port and path.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    if (
        scheme not in ("http", "https")
        or not host
        or "@" in authority
        or (colon and not port.isdigit())
        or any(char in url for char in " \r\n?#")
    ):
        raise ValidationError(
            "url",
            # What stands before an @ is a password.
            "***" if "@" in url else url,
            "is no server address",
            "Write it like https://sensorvision.example",
        )
    tls = scheme == "https"
    return tls, host, int(port or (443 if tls else 80)), (slash + path).rstrip("/")
