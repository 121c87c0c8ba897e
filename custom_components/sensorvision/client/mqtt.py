"""Publish to an MQTT broker from which a SensorVision server takes its telemetry."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

import aiomqtt

from . import protocol
from .exceptions import (
    BrokerLoginError,
    CertificateError,
    HostNotFoundError,
    NetworkError,
    RequestTimeoutError,
    ValidationError,
)
from .models import format_instant
from .pace import Timeouts
from .protocol import Answer
from .user_protocol import bulk_item

if TYPE_CHECKING:
    from .models import Sample

TOPIC_PREFIXES = ("indcloud", "sensorvision")

# MQTT 3.1.1, 3.2.2.3, and the reason codes of MQTT 5 that newer libraries tell instead.
_REFUSALS = frozenset({4, 5, 134, 135})

_MAX_IN_FLIGHT = 100
_LEAVE_S = 0.5


@dataclass(frozen=True)
class Broker:
    """A broker, and how to log in there.

    Attributes:
        host: name or address.
        client_id: what no other client of the broker calls itself.
        port: 1883, or 8883 with TLS, is usual.
        topic_prefix: `indcloud` for servers since 2025-12-28, else `sensorvision`
            (contract 4.1).
        username: or None for a broker that lets everybody in.
        password: of that user.
        tls: whom to trust, and by which certificate to be known; None for no TLS.
        keepalive_s: after how many seconds without a word a session is given up.

    Raises:
        ValidationError: a server reads no topic that begins so.
    """

    host: str
    client_id: str
    port: int = 1883
    topic_prefix: str = TOPIC_PREFIXES[0]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    keepalive_s: int = 60

    def __post_init__(self) -> None:
        if self.topic_prefix not in TOPIC_PREFIXES:
            raise ValidationError(
                "topic_prefix",
                self.topic_prefix,
                "is nothing that a server reads",
                f"Choose one of {', '.join(TOPIC_PREFIXES)}",
            )


class Message(NamedTuple):
    """What is published, and under which topic."""

    topic: str
    payload: bytes


class Publisher:
    """One session after the other with a broker, each forgotten with its end.

    Args:
        broker: where it is.
        timeouts: how long to wait for a connection, and for an acknowledgement.

    Attributes:
        broker: where it is.
        on_lost: called in the event loop when a session ends by itself.
    """

    def __init__(self, broker: Broker, *, timeouts: Timeouts | None = None) -> None:
        self.broker = broker
        self.on_lost: Callable[[], None] = _nobody_cares
        self._timeouts = timeouts or Timeouts()
        self._client: aiomqtt.Client | None = None
        self._lost: asyncio.Future[None] | None = None
        self._leaving: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<MQTT broker {self.broker.host}:{self.broker.port}>"

    @property
    def is_connected(self) -> bool:
        """Whether there is a session."""
        return self._lost is not None and not self._lost.done()

    async def connect(self) -> None:
        """Begin a session, in place of the one there was.

        Raises:
            BrokerLoginError: the broker refuses user name and password.
            NetworkError: there is no session, for a reason that its class tells.
        """
        await self.close()
        broker = self.broker
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=broker.client_id,
            clean_session=True,
            timeout=self._timeouts.connect_s,
            keepalive=broker.keepalive_s,
            max_inflight_messages=_MAX_IN_FLIGHT,
            tls_context=broker.tls,
            # Or the last of some messages waits for the first to be acknowledged.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        # There are as many at once as the sender wants, which is nothing to warn of.
        client.pending_calls_threshold = 1 << 16
        opening = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.wait([opening], timeout=self._timeouts.connect_s)
        except asyncio.CancelledError:
            self._leave(client, opening)
            raise
        if not opening.done():
            self._leave(client, opening)
            raise RequestTimeoutError(
                f"The broker {broker.host} can't be reached in time"
            )
        try:
            opening.result()
        except aiomqtt.MqttError as err:
            raise self._error_of(err) from err
        self._client = client
        self._lost = asyncio.ensure_future(self._watch(client))

    async def publish(self, messages: Sequence[Message]) -> list[bool]:
        """Publish with QoS 1, not retained, in this order.

        Returns:
            For each message whether the broker has acknowledged it. The others may have
            arrived all the same; the session has ended then.

        Raises:
            NetworkError: there is no session; nothing was published.
        """
        client, lost = self._client, self._lost
        if client is None or lost is None or lost.done():
            raise NetworkError(
                f"There is no session with the broker {self.broker.host}"
            )
        calls = [
            asyncio.ensure_future(
                client.publish(topic, payload, qos=1, timeout=self._timeouts.read_s)
            )
            for topic, payload in messages
        ]
        everything: asyncio.Future[Any] = asyncio.gather(*calls, return_exceptions=True)
        either: list[asyncio.Future[Any]] = [everything, lost]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A message that nobody waits for any more is given up with its session.
            everything.cancel()
        acknowledged = [_is_done(call) for call in calls]
        if not all(acknowledged):
            await self.close()
        return acknowledged

    async def close(self) -> None:
        """End the session, if there is one."""
        client, lost = self._client, self._lost
        self._client = self._lost = None
        if client is None or lost is None:
            return
        lost.cancel()
        # A broker that is silent is not waited for.
        client.timeout = _LEAVE_S
        with suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)

    async def _watch(self, client: aiomqtt.Client) -> None:
        """Return when the session has ended; nobody publishes to a publisher."""
        try:
            async for _ in client.messages:
                pass
        except aiomqtt.MqttError:
            asyncio.get_running_loop().call_soon(self.on_lost)

    def _leave(
        self, client: aiomqtt.Client, opening: asyncio.Future[aiomqtt.Client]
    ) -> None:
        """End a session as soon as it has begun, which nobody waits for any more."""

        async def leave() -> None:
            with suppress(aiomqtt.MqttError):
                await opening
                client.timeout = _LEAVE_S
                await client.__aexit__(None, None, None)

        leaving = asyncio.ensure_future(leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _error_of(self, err: aiomqtt.MqttError) -> Exception:
        """Return what a session that could not begin means."""
        host = self.broker.host
        if isinstance(err, aiomqtt.MqttCodeError):
            code = getattr(err.rc, "value", err.rc)
            said = str(err).partition("] ")[2] or str(err)
            if code in _REFUSALS:
                return BrokerLoginError(
                    Answer(
                        protocol.SIGN_IN,
                        0,
                        f"The broker {host} says: {said}",
                        is_json=False,
                    )
                )
            return NetworkError(f"The broker {host} says: {said}")
        # The library tells only its text.
        cause = err.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
            return CertificateError(
                f"The certificate of the broker {host} is not trusted: {reason}"
            )
        if isinstance(cause, ssl.SSLError):
            return CertificateError(
                f"The broker {host} and this machine did not agree on TLS"
            )
        if isinstance(cause, socket.gaierror):
            return HostNotFoundError(f"There is no host named {host}")
        if isinstance(cause, (socket.timeout, TimeoutError)) or cause is None:
            return RequestTimeoutError(f"The broker {host} can't be reached in time")
        return NetworkError(f"The connection to the broker {host} failed")


def telemetry_topic(prefix: str, device_id: str) -> str:
    """Return the topic of a device's telemetry (contract 4.1).

    Raises:
        ValidationError: it is no device id that can stand in a topic.
    """
    return f"{prefix}/devices/{protocol.check_device_id(device_id)}/telemetry"


def telemetry_payload(sample: Sample, token: str | None) -> bytes:
    """Return a device's telemetry as the server reads it (contract 4.3).

    Args:
        sample: what was true.
        token: the device's own, or None for a server that asks for none.

    Raises:
        ValidationError: it can't be sent.
    """
    at = sample.timestamp
    members = bulk_item(
        sample.device_id, sample.variables, None if at is None else format_instant(at)
    )
    if token is not None:
        members["apiToken"] = protocol.check_token(token)
    return json.dumps(members, separators=(",", ":"), allow_nan=False).encode()


def _is_done(call: asyncio.Future[None]) -> bool:
    return call.done() and not call.cancelled() and call.exception() is None


def _nobody_cares() -> None:
    """Do nothing."""
