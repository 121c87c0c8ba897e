"""Publish to an MQTT broker from which a SensorVision server takes its telemetry."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
import json
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any, Callable, cast

import aiomqtt

from . import protocol
from .exceptions import (
    BrokerLoginError,
    CertificateError,
    ClientCertificateError,
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
    from .exceptions import SensorVisionError
    from .models import Sample

TOPIC_PREFIXES = ("indcloud", "sensorvision")

# MQTT 3.1.1, 3.2.2.3, and the reason codes of MQTT 5 that newer libraries tell instead.
_REFUSALS = frozenset({4, 5, 134, 135})

MAX_IN_FLIGHT = 200
_LEAVE_S = 0.25


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
        broker, listener = self.broker, _Listener()
        client: aiomqtt.Client = _Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=broker.client_id,
            clean_session=True,
            timeout=self._timeouts.connect_s,
            keepalive=broker.keepalive_s,
            max_inflight_messages=MAX_IN_FLIGHT,
            tls_context=broker.tls,
            logger=listener.logger,
            # Or the last of some messages waits for the first to be acknowledged.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        # There are as many at once as the sender wants, which is nothing to warn of.
        client.pending_calls_threshold = 1 << 16
        opening = asyncio.ensure_future(client.__aenter__())
        try:
            await self._opened(opening, listener)
        except aiomqtt.MqttCodeError as err:
            self._leave(client, opening)
            raise self._refusal_of(err) from err
        except aiomqtt.MqttError as err:
            self._leave(client, opening)
            # The library tells only the text of what has happened.
            raise self._error_of(err.__context__) from err
        except BaseException:
            self._leave(client, opening)
            raise
        self._client = client
        self._lost = asyncio.ensure_future(self._watch(client))

    async def _opened(
        self, opening: asyncio.Future[aiomqtt.Client], listener: _Listener
    ) -> None:
        """Return once a session has begun, or raise why it has not."""
        either: list[asyncio.Future[Any]] = [opening, listener.failure]
        await asyncio.wait(
            either,
            timeout=self._timeouts.connect_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if opening.done():
            opening.result()
        elif listener.failure.done():
            # The library has closed the connection, and would wait for an answer.
            opening.cancel()
            raise self._error_of(listener.failure.result())
        else:
            raise self._late()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, not retained, and return when the broker has it.

        What is published at the same time goes out in the order of the calls.

        Raises:
            NetworkError: there is no session, or it has ended before the broker has
                acknowledged the message, which may have arrived then.
        """
        client, lost = self._client, self._lost
        if client is None or lost is None or lost.done():
            raise NetworkError(
                f"There is no session with the broker {self.broker.host}"
            )
        call = asyncio.ensure_future(
            client.publish(topic, payload, qos=1, timeout=self._timeouts.read_s)
        )
        either: list[asyncio.Future[Any]] = [call, lost]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()
        if not call.done() or call.cancelled() or call.exception() is not None:
            if self._client is client:
                # What nobody waits for any more is given up with its session.
                await self.close()
            raise NetworkError(
                f"The session with the broker {self.broker.host} has ended",
                may_have_arrived=True,
            )

    async def close(self) -> None:
        """End the session, if there is one."""
        client, lost = self._client, self._lost
        self._client = self._lost = None
        if client is not None and lost is not None:
            await _end(client, wait_s=_LEAVE_S)
            # What the library knows of its end must be asked for, or it complains.
            await asyncio.wait([lost], timeout=_LEAVE_S)
            lost.cancel()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_LEAVE_S)

    async def _watch(self, client: aiomqtt.Client) -> None:
        """Return when the session has ended; nobody publishes to a publisher."""
        try:
            async for _ in client.messages:
                pass
        except aiomqtt.MqttError:
            if self._client is client:
                asyncio.get_running_loop().call_soon(self.on_lost)

    def _leave(
        self, client: aiomqtt.Client, opening: asyncio.Future[aiomqtt.Client]
    ) -> None:
        """End a session as soon as it has begun, which nobody waits for any more."""

        async def leave() -> None:
            # A thread of the library is busy with it until then.
            await asyncio.wait([opening])
            if not opening.cancelled():
                opening.exception()
                await _end(client, wait_s=0)

        leaving = asyncio.ensure_future(leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _late(self) -> RequestTimeoutError:
        host = self.broker.host
        return RequestTimeoutError(f"The broker {host} can't be reached in time")

    def _refusal_of(self, err: aiomqtt.MqttCodeError) -> SensorVisionError:
        """Return what the broker's no to a session means."""
        code = getattr(err.rc, "value", err.rc)
        said = str(err).partition("] ")[2] or str(err)
        problem = f"The broker {self.broker.host} says: {said}"
        if code not in _REFUSALS:
            return NetworkError(problem)
        return BrokerLoginError(Answer(protocol.SIGN_IN, 0, problem, is_json=False))

    def _error_of(self, cause: BaseException | None) -> NetworkError:
        """Return what it means that no session could begin."""
        host = self.broker.host
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
            return CertificateError(
                f"The certificate of the broker {host} is not trusted: {reason}"
            )
        if isinstance(cause, ssl.SSLError):
            if "ALERT" in (cause.reason or ""):
                return ClientCertificateError(
                    f"The broker {host} does not accept this client by its certificate"
                )
            return CertificateError(
                f"The broker {host} and this machine did not agree on TLS"
            )
        if isinstance(cause, socket.gaierror):
            return HostNotFoundError(f"There is no host named {host}")
        if cause is None or isinstance(cause, (socket.timeout, TimeoutError)):
            return self._late()
        return NetworkError(f"The connection to the broker {host} failed")


class _Client(aiomqtt.Client):
    """A client that bears a connection which breaks while a thread still opens it.

    The library asks the event loop to watch a socket that its thread may have closed by
    the time that the loop comes to it.
    """

    def __init__(self, hostname: str, port: int, **options: Any) -> None:  # noqa: ANN401 - the library's own
        super().__init__(hostname, port, **options)
        self._loop = cast("asyncio.AbstractEventLoop", _CarefulLoop(self._loop))


class _CarefulLoop:
    """An event loop that watches no socket that is closed already."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it is a loop in all else
        return getattr(self._loop, name)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Watch a socket for what comes, if it is open."""
        with suppress(OSError, ValueError):
            self._loop.add_reader(fd, callback)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Watch a socket for room to write, if it is open."""
        with suppress(OSError, ValueError):
            self._loop.add_writer(fd, callback)


class _Listener(logging.Handler):
    """Hear why a connection broke, which the library tells nobody but its log.

    Attributes:
        failure: why it did, once it has.
        logger: what the library is given to log to; nothing of it is seen elsewhere.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._loop = asyncio.get_running_loop()
        self.failure: asyncio.Future[OSError] = self._loop.create_future()
        # One of the tree of loggers would stay there after the session.
        self.logger = logging.Logger("mqtt", logging.ERROR)  # noqa: LOG001
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error, from whichever thread."""
        causes = record.args if isinstance(record.args, tuple) else ()
        for cause in causes:
            if isinstance(cause, OSError):
                self._loop.call_soon_threadsafe(self._fail, cause)

    def _fail(self, cause: OSError) -> None:
        if not self.failure.done():
            self.failure.set_result(cause)


async def _end(client: aiomqtt.Client, wait_s: float) -> None:
    """End a session; a broker that is silent is not waited for any longer."""
    client.timeout = wait_s
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


def telemetry_topic(prefix: str, device_id: str) -> str:
    """Return the topic of a device's telemetry (contract 4.1).

    The server reads the device from the payload alone. RabbitMQ takes a dot for the
    border of two levels, and would acknowledge what nobody listens to.

    Raises:
        ValidationError: it is no device id that can stand in a topic.
    """
    level = protocol.check_device_id(device_id).replace(".", "-")
    return f"{prefix}/devices/{level}/telemetry"


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


def _nobody_cares() -> None:
    """Do nothing."""
