"""Try the way to a host step by step: its name, its port, its certificate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import socket
import ssl
import time
from typing import Any, Awaitable, TypeVar

from .exceptions import SensorVisionError

# Certificates are renewed a month before their end, so this one was forgotten.
_RENEWED_DAYS = 14
_DAY_S = 86400

_T = TypeVar("_T")


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        check: name of the check, a word that stays the same.
        is_ok: whether all is well, or None if that was not tried or can't be told.
        text: what was found, a sentence without a full stop.
        remedy: what to do about it, a sentence without one, or "" for nothing.
    """

    check: str
    is_ok: bool | None
    text: str
    remedy: str = ""


class Way:
    """A host, and what was found out on the way to it.

    Args:
        host: name or address.
        port: TCP port.
        tls: whom to trust, or None for no TLS.
        timeout_s: how long each step may take.
        prefix: what the names of its checks begin with.

    Attributes:
        failed: the check after which nothing else could be tried, or None.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        timeout_s: float,
        prefix: str = "",
    ) -> None:
        self.failed: str | None = None
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout_s = timeout_s
        self._prefix = prefix
        self._certificate: dict[str, Any] = {}

    async def findings(self) -> list[Finding]:
        """Return what each step found; those behind one that failed are not tried."""
        found = []
        for name, step in (
            ("dns", self._resolve),
            ("connection", self._connect),
            ("tls", self._shake_hands),
        ):
            check = f"{self._prefix}{name}"
            if self.failed:
                found.append(untried(check, self.failed))
                continue
            finding = await step(check)
            found.append(finding)
            if finding.is_ok is False:
                self.failed = check
        if self._certificate:
            found.append(_judged(f"{self._prefix}certificate", self._certificate))
        return found

    async def _resolve(self, check: str) -> Finding:
        loop = asyncio.get_running_loop()
        try:
            found = await self._timed(
                loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            )
        # Some names can't even be asked for.
        except (OSError, UnicodeError, asyncio.TimeoutError):
            return bad(
                check,
                f"There is no host named {self._host}",
                "Check the host name, and this machine's DNS server",
            )
        addresses = dict.fromkeys(str(address[0]) for *_, address in found)
        return good(check, f"{self._host} is {', '.join(addresses)}")

    async def _connect(self, check: str) -> Finding:
        where = f"{self._host} at port {self._port}"
        try:
            await self._open(None)
        except asyncio.TimeoutError:
            return bad(
                check,
                f"{where} did not answer in {self._timeout_s:g} seconds",
                "Check that it is on, and that no firewall is between",
            )
        except OSError:
            return bad(
                check,
                f"{where} takes no connections",
                "Check the port, that the server is on and that this machine reaches it",
            )
        return good(check, f"{where} takes connections")

    async def _shake_hands(self, check: str) -> Finding:
        if self._tls is None:
            return unknown(
                check,
                "Not used: who is between can read the credential",
                "Use TLS where the network is not your own",
            )
        try:
            self._certificate = await self._open(self._tls)
        except ssl.SSLCertVerificationError as err:
            return bad(
                check,
                f"The certificate of {self._host} is not trusted: {err.verify_message}",
                "Renew it if it has expired, use the name that it is for, or set"
                " ca_file to the certificate of its authority",
            )
        except (OSError, asyncio.TimeoutError):
            return bad(
                check,
                f"{self._host} does not speak TLS at port {self._port}",
                "Check the port, or do without TLS",
            )
        if not self._certificate:
            return unknown(
                check,
                "Used, but anybody could pose as the server: nothing is verified",
                "Set verify_tls to true, and ca_file for an authority of your own",
            )
        return good(check, f"The certificate of {self._host} is trusted")

    async def _open(self, tls: ssl.SSLContext | None) -> dict[str, Any]:
        """Connect and leave; return the other side's certificate if it was verified."""
        _, writer = await self._timed(
            asyncio.open_connection(self._host, self._port, ssl=tls)
        )
        certificate: dict[str, Any] = writer.get_extra_info("peercert") or {}
        # What was to be found out is known, so nothing waits for a graceful end.
        writer.transport.abort()
        return certificate

    async def _timed(self, step: Awaitable[_T]) -> _T:
        return await asyncio.wait_for(step, self._timeout_s)


def good(check: str, text: str) -> Finding:
    """Say that all is well."""
    return Finding(check, is_ok=True, text=text)


def bad(check: str, text: str, remedy: str) -> Finding:
    """Say what is wrong, and what to do about it."""
    return Finding(check, is_ok=False, text=text, remedy=remedy)


def unknown(check: str, text: str, remedy: str = "") -> Finding:
    """Say why it can't be told whether all is well."""
    return Finding(check, is_ok=None, text=text, remedy=remedy)


def untried(check: str, failed: str) -> Finding:
    """Say that a check needs another one to succeed."""
    return unknown(check, f"Not tried, for {failed} failed")


def failure(check: str, err: SensorVisionError) -> Finding:
    """Say what an error tells of a check."""
    remedy: str = getattr(err, "remedy", "")
    text = str(err)
    if remedy and text.endswith(remedy):
        text = text[: -len(remedy)].rstrip(" .")
    correlation_id: str | None = getattr(err, "correlation_id", None)
    if correlation_id:
        text += f"; the server's log names the request {correlation_id}"
    return bad(check, text, remedy)


def _judged(check: str, certificate: dict[str, Any]) -> Finding:
    """Tell how long a certificate is good for, which is trusted today."""
    ends_s = ssl.cert_time_to_seconds(certificate["notAfter"])
    days = int((ends_s - time.time()) // _DAY_S)
    text = f"The certificate ends in {days} days"
    if days < _RENEWED_DAYS:
        return bad(check, text, "Renew it")
    return good(check, text)
