"""Find out why readings do not arrive, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Iterable

from yarl import URL

from .age import ServerAge
from .broker_diagnosis import broker_findings
from .capabilities import Capabilities, ServerInfo
from .config import Config
from .credentials import ACCOUNT, DEVICE_TOKEN, USER_KEY
from .exceptions import ConfigError, SensorVisionError
from .http import AsyncSensorVisionClient
from .pace import RetryPolicy, Timeouts
from .reaching import Finding, Way, bad, failure, good, unknown, untried
from .redaction import without_known
from .version import build_info

__all__ = ["Finding", "diagnose"]

_PATIENCE_S = 10
_MAX_CLOCK_OFFSET_S = 5

# Asked for where no device is named; nothing is stored of it.
_ANY_DEVICE = "sensorvision-doctor"
# Nobody's: what everybody may ask is asked without any.
_NO_CREDENTIAL = {"api_key": "00000000-0000-0000-0000-000000000000"}

_KINDS = {
    DEVICE_TOKEN: "a device token",
    USER_KEY: "a user key",
    ACCOUNT: "user name and password",
}
_CAN = {
    "timestamps": "send times",
    "bulk": "send many readings at once",
    "create_devices": "make devices",
    "read_back": "read values",
    "name_variables": "name variables",
}


async def diagnose(config: Config) -> list[Finding]:
    """Try everything on the way of a reading, and store nothing.

    Returns:
        What each check found, none of it a secret, in this order: `build`, `settings`,
        `url`, `dns`, `connection`, `tls`, `certificate` where one was verified,
        `server`, `clock`, `credential`, `age`, `capabilities`, a `fallback_url` for each
        of them; then `broker` if there is none, else `broker_dns`, `broker_connection`,
        `broker_tls`, `broker_certificate`, `broker_login` and `broker_prefix`.
    """
    patience_s = min(config.timeout_s or _PATIENCE_S, _PATIENCE_S)
    doctor = _Doctor(config, patience_s)
    findings = [
        _build(),
        _settings(config),
        *await doctor.server_findings(),
        *[await doctor.fallback_finding(url) for url in config.fallback_urls],
        *await broker_findings(config, doctor.server, timeout_s=patience_s),
    ]
    return [
        replace(
            finding,
            text=without_known(finding.text),
            remedy=without_known(finding.remedy),
        )
        for finding in findings
    ]


class _Doctor:
    """Checks of a server, of which each may need what those before it have found.

    Attributes:
        server: what the server tells everybody, once it was asked.
    """

    def __init__(self, config: Config, patience_s: float) -> None:
        self.server: ServerInfo | None = None
        self._config = config
        self._patience_s = patience_s

    async def server_findings(self) -> list[Finding]:
        """Return what was found of the server and the credential."""
        later = ("server", "clock", "credential", "age", "capabilities")
        try:
            url = URL(self._config.require("url"))
        except ConfigError as err:
            way_checks = ("dns", "connection", "tls")
            return [failure("url", err), *_untried((*way_checks, *later), "url")]
        found = [good("url", f"The server is {url}")]
        try:
            context = self._config.ssl_context()
        except ConfigError as err:
            return [*found, failure("tls", err), *_untried(later, "tls")]
        way = Way(
            url.host or "",
            url.port or 0,
            context if url.scheme == "https" else None,
            timeout_s=self._patience_s,
        )
        found += await way.findings()
        if way.failed:
            return [*found, *_untried(later, way.failed)]
        async with self._client(str(url), _NO_CREDENTIAL) as anybody:
            try:
                self.server = await anybody.server_info()
            except SensorVisionError as err:
                failed = failure("server", err)
                return [*found, failed, *_untried(later[1:], "server")]
            found.append(_server(self.server))
            found.append(_clock(anybody.clock_offset_s))
        return [*found, *await self._credential_findings(str(url))]

    async def fallback_finding(self, url: str) -> Finding:
        """Tell whether a SensorVision server answers at a further address."""
        try:
            async with self._client(url, _NO_CREDENTIAL) as client:
                await client.server_info()
        except SensorVisionError as err:
            return failure("fallback_url", err)
        return good("fallback_url", f"A SensorVision server is at {url}")

    async def _credential_findings(self, url: str) -> list[Finding]:
        """Return what the credential is, and what it opens on this server."""
        device_id = self._config.device_id
        try:
            async with self._client(url, self._config.credential()) as client:
                probe = await client.probe(device_id or _ANY_DEVICE)
        except SensorVisionError as err:
            failed = failure("credential", err)
            return [failed, *_untried(("age", "capabilities"), "credential")]
        kind = _KINDS[probe.credential]
        to = f" for the device {device_id}" if device_id else ""
        return [
            good("credential", f"The server takes {kind}{to}"),
            _age(probe.age, is_token=probe.credential == DEVICE_TOKEN),
            _capabilities(kind, probe.capabilities),
        ]

    def _client(self, url: str, credential: dict[str, Any]) -> AsyncSensorVisionClient:
        patience_s = self._patience_s
        return AsyncSensorVisionClient(
            url,
            **credential,
            ssl=self._config.ssl_context(),
            timeouts=Timeouts(patience_s, patience_s, patience_s),
            retry=RetryPolicy(attempts=1),
        )


def _build() -> Finding:
    build = build_info()
    return good(
        "build",
        f"sensorvision {build.version} ({build.revision}) on {build.implementation}"
        f" {build.python}",
    )


def _settings(config: Config) -> Finding:
    """Tell where each setting was found, without its value."""
    if not config.origins:
        return unknown("settings", "Nothing is set by a variable or in a file")
    names: dict[str, list[str]] = {}
    for name, origin in config.origins.items():
        names.setdefault(origin, []).append(name)
    told = (f"{', '.join(those)} from {origin}" for origin, those in names.items())
    return good("settings", "; ".join(told))


def _server(info: ServerInfo) -> Finding:
    since = info.not_before
    age = f" of {since:%Y-%m-%d} or later" if since else ""
    return good("server", f"It is a SensorVision server{age}")


def _clock(offset_s: float | None) -> Finding:
    """Judge this machine's clock by the server's, which tells whole seconds."""
    if offset_s is None:
        return unknown("clock", "The server does not tell the time")
    way = "behind" if offset_s > 0 else "ahead of"
    text = f"This machine's clock is {abs(offset_s):.0f} s {way} the server's"
    if abs(offset_s) > _MAX_CLOCK_OFFSET_S:
        remedy = "Let NTP set the clock, or readings are stored at a wrong time"
        return bad("clock", text, remedy)
    return good("clock", text)


def _age(age: ServerAge, *, is_token: bool) -> Finding:
    """Tell what a server that is old does to readings (contract 7)."""
    if age.loses_readings:
        return bad(
            "age",
            "The server is older than 6 December 2025: it says yes to every variable and"
            " stores only kw_consumption, voltage, current, power_factor and frequency",
            "Update the server",
        )
    if age.misplaces_devices and is_token:
        return bad(
            "age",
            "The server is older than 18 January 2026: a device that a token makes is"
            " given away, and refused from then on",
            "Update the server, or make each device there before anything is sent",
        )
    if age.not_before is None:
        return unknown("age", "How old the server is can't be told")
    return good("age", "The server is new enough for what is sent to it")


def _capabilities(kind: str, capabilities: Capabilities) -> Finding:
    """Say what a credential can do."""
    can = [words for name, words in _CAN.items() if asdict(capabilities)[name]]
    return good("capabilities", f"With {kind} you can {', '.join(['send', *can])}")


def _untried(checks: Iterable[str], failed: str) -> list[Finding]:
    return [untried(check, failed) for check in checks]
