"""Find out whether a broker takes messages that the server will read."""

from __future__ import annotations

import secrets
import ssl

from .capabilities import ServerInfo
from .config import Config
from .exceptions import ConfigError, SensorVisionError
from .pace import Timeouts
from .reaching import Finding, Way, bad, failure, good, unknown, untried

_PORT = 1883
_TLS_PORT = 8883


async def broker_findings(
    config: Config, server: ServerInfo | None, *, timeout_s: float
) -> list[Finding]:
    """Try the way to the broker, log in there, and publish nothing.

    Args:
        config: where it is.
        server: what the server tells of itself, or None if that is unknown.
        timeout_s: how long each step may take.
    """
    host = config.mqtt_host
    if host is None:
        return [unknown("broker", "Not configured", "Set mqtt_host to use MQTT")]
    try:
        tls = config.ssl_context() if config.mqtt_tls else None
    except ConfigError as err:
        return [failure("broker_tls", err)]
    port = config.mqtt_port or (_TLS_PORT if config.mqtt_tls else _PORT)
    way = Way(host, port, tls, timeout_s=timeout_s, prefix="broker_")
    found = await way.findings()
    if way.failed:
        login = untried("broker_login", way.failed)
    else:
        login = await _login(config, host, port, tls, timeout_s)
    return [*found, login, _prefix(config.mqtt_prefix, server)]


async def _login(
    config: Config, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float
) -> Finding:
    check = "broker_login"
    try:
        from .mqtt import Broker, Publisher
    except ModuleNotFoundError as err:
        return unknown(
            check,
            f"Not tried, for {err.name} is not installed",
            'Run: pip install "sensorvision[mqtt]"',
        )
    password = config.mqtt_password
    broker = Broker(
        host,
        # Another client of the same name would be thrown out.
        f"doctor-{secrets.token_hex(4)}",
        port,
        username=config.mqtt_username,
        password=None if password is None else password.reveal(),
        tls=tls,
    )
    publisher = Publisher(
        broker, timeouts=Timeouts(timeout_s, timeout_s, total_s=timeout_s)
    )
    try:
        await publisher.connect()
    except SensorVisionError as err:
        return failure(check, err)
    finally:
        await publisher.close()
    name = config.mqtt_username
    return good(check, f"The broker lets in {'everybody' if name is None else name}")


def _prefix(configured: str | None, server: ServerInfo | None) -> Finding:
    """Tell whether the server reads topics that begin as configured (contract 4.1)."""
    check = "broker_prefix"
    if server is None:
        return unknown(check, "Not known, for the server was not reached")
    told = server.mqtt_prefix
    if told is None:
        return unknown(
            check,
            "The server does not tell what its topics begin with",
            "Set mqtt_prefix to indcloud, or to sensorvision for a server that is older"
            " than 28 December 2025",
        )
    if configured is not None and configured != told:
        return bad(
            check,
            f"The server reads no topic that begins with {configured}/",
            f"Set mqtt_prefix to {told}",
        )
    return good(check, f"The server reads topics that begin with {told}/")
