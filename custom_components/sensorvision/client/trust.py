"""Whose TLS certificates are trusted."""

from __future__ import annotations

import ssl

from .exceptions import ValidationError


def tls_context(ca_file: str | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """Return a context that verifies certificates, unless it is told not to.

    Args:
        ca_file: PEM file of an authority of your own, in place of the machine's.
        verify: whether certificates are verified at all.

    Raises:
        ValidationError: the file can't be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as err:
        raise ValidationError(
            "ca_file",
            ca_file,
            "is no file of certificates that can be read",
            "Give the path of a PEM file",
        ) from err
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
