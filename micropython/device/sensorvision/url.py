"""Take a server's address apart."""

from .protocol import ValidationError

_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}


def split_url(url: str) -> tuple[bool, str, int, str]:
    """Return whether TLS is used, host, port and path prefix of a server's URL.

    Raises:
        ValidationError: it does not begin with http://, https://, mqtt:// or mqtts://, or
            what follows is no host with an optional port and, for the first two, path.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    path = (slash + path).rstrip("/")
    if (
        scheme not in _PORTS
        or not host
        or "@" in authority
        or (colon and not port.isdigit())
        or (path and scheme[0] == "m")
        or set(url) & set(" \r\n?#")
    ):
        raise ValidationError(
            "url",
            # What stands before an @ is a password.
            "***" if "@" in url else url,
            "is no server address",
            "Write it like https://sensorvision.example or mqtts://broker.example",
        )
    return scheme[-1] == "s", host, int(port or _PORTS[scheme]), path
