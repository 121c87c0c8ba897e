"""Sessions with an MQTT broker: they begin, or say why not, and end without a trace."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import functools
import socket
import ssl
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Sequence, cast

import aiomqtt

from . import protocol
from .exceptions import (
    BrokerLoginError,
    CertificateError,
    ClientCertificateError,
    HostNotFoundError,
    NetworkError,
    RequestTimeoutError,
)
from .mqtt_library import CarefulLoop, Listener
from .mqtt_messages import Message
from .pace import Timeouts
from .protocol import Answer

if TYPE_CHECKING:
    from .broker import Broker
    from .exceptions import SensorVisionError
    from .mqtt_messages import Will

# MQTT 3.1.1, 3.2.2.3, and the reason codes of MQTT 5 that newer libraries tell instead.
_REFUSALS = frozenset({4, 5, 134, 135})

MAX_IN_FLIGHT = 200
# Mosquitto says yes to all, but forgets those of QoS 2 that are beyond its
# max_inflight_messages, by default 20.
_MAX_QOS_2_IN_FLIGHT = 10
_LEAVE_S = 0.25
_REFUSED = 128
_EXACTLY_ONCE = 2


class Session:
    """One session after the other with a broker, each forgotten with its end.

    Args:
        broker: where it is.
        timeouts: how long to wait for a connection, and for an acknowledgement.
        will: what the broker publishes if a session ends without a farewell.
        on_message: called in the event loop with each message that arrives; it must
            return at once and raise nothing.

    Attributes:
        broker: where it is.
        on_lost: called in the event loop when a session ends by itself.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        timeouts: Timeouts | None = None,
        will: Will | None = None,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        self.broker = broker
        self.on_lost: Callable[[], None] = _nobody_cares
        self._timeouts = timeouts or Timeouts()
        self._will = will
        self._on_message = on_message or _nobody_listens
        self._client: Client | None = None
        self._lost: asyncio.Future[None] | None = None
        self._turns: asyncio.Semaphore | None = None
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
        broker, listener = self.broker, Listener()
        client = Client(
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
            will=self._library_will(),
            # What arrives is handed on at once: a broker that sends faster than its
            # messages are taken out would let the library's own queue grow.
            queue_type=functools.partial(_Inlet, self._on_message),
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
        self._turns = asyncio.Semaphore(_MAX_QOS_2_IN_FLIGHT)
        self._lost = asyncio.ensure_future(self._watch(client))

    async def _opened(
        self, opening: asyncio.Future[Client], listener: Listener
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

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Publish, and return when the broker has it, or with QoS 0 when it is sent.

        What is published at the same time goes out in the order of the calls.

        Raises:
            NetworkError: there is no session, or it has ended before the broker has
                acknowledged the message, which may have arrived then.
        """
        if qos == _EXACTLY_ONCE and self._turns is not None:
            async with self._turns:
                await self._publish(topic, payload, qos, retain=retain)
        else:
            await self._publish(topic, payload, qos, retain=retain)

    async def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[int | None]:
        """Subscribe, and return for each filter the QoS granted, or None if refused.

        Args:
            filters: pairs of a topic filter and the QoS wanted, at least one.

        Raises:
            NetworkError: as `publish`.
        """
        client = self._living()
        codes = await self._answered(
            client,
            client.subscribe(list(filters), timeout=self._timeouts.read_s),
        )
        granted = [getattr(code, "value", code) for code in codes]
        # MQTT 3.1.1, 3.9.3: from 128 on it is a failure.
        return [None if code >= _REFUSED else code for code in granted]

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Subscribe no longer.

        Raises:
            NetworkError: as `publish`.
        """
        client = self._living()
        await self._answered(
            client, client.unsubscribe(list(filters), timeout=self._timeouts.read_s)
        )

    async def _publish(
        self, topic: str, payload: bytes, qos: int, *, retain: bool
    ) -> None:
        client = self._living()
        await self._answered(
            client,
            client.publish(
                topic, payload, qos=qos, retain=retain, timeout=self._timeouts.read_s
            ),
        )

    def _living(self) -> Client:
        """Return the session that there is."""
        if self._client is None or not self.is_connected:
            raise NetworkError(
                f"There is no session with the broker {self.broker.host}"
            )
        return self._client

    async def _answered(self, client: Client, asked: Awaitable[Any]) -> Any:  # noqa: ANN401 - as the library
        """Return what the broker answers, unless its session ends before."""
        call = asyncio.ensure_future(asked)
        lost = [] if self._lost is None else [self._lost]
        either: list[asyncio.Future[Any]] = [call, *lost]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()
        if call.done() and not call.cancelled() and call.exception() is None:
            return call.result()
        if self._client is client:
            # What nobody waits for any more is given up with its session.
            await self.close()
        raise NetworkError(
            f"The session with the broker {self.broker.host} has ended",
            may_have_arrived=True,
        )

    def _library_will(self) -> aiomqtt.Will | None:
        will = self._will
        if will is None:
            return None
        return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain)

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

    async def _watch(self, client: Client) -> None:
        """Return when the session has ended; its messages come by another way."""
        try:
            async for _ in client.messages:
                pass
        except aiomqtt.MqttError:
            if self._client is client:
                asyncio.get_running_loop().call_soon(self.on_lost)

    def _leave(self, client: Client, opening: asyncio.Future[Client]) -> None:
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


class Client(aiomqtt.Client):
    """A client that bears a connection which breaks while a thread still opens it.

    The library asks the event loop to watch a socket that its thread may have closed by
    the time that the loop comes to it.
    """

    def __init__(self, hostname: str, port: int, **options: Any) -> None:  # noqa: ANN401 - the library's own
        super().__init__(hostname, port, **options)
        self._loop = cast("asyncio.AbstractEventLoop", CarefulLoop(self._loop))
        self._client.on_publish = self._hear_of_publishing
        # What is to be called when a message is acknowledged, by the library's number.
        self._acknowledge: dict[int, Callable[[], None]] = {}

    def send(
        self, topic: str, payload: bytes, on_acknowledged: Callable[[], None]
    ) -> None:
        """Publish with QoS 1, and wait for nothing.

        The library's own way to publish takes a task and a timer for each message,
        which cost as much as all the rest.

        Args:
            topic: where to.
            payload: what.
            on_acknowledged: called in the event loop when the broker has it.

        Raises:
            aiomqtt.MqttError: it can't be sent.
        """
        info = self._client.publish(topic, payload, qos=1)
        if info.rc:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        self._acknowledge[info.mid] = on_acknowledged

    def _hear_of_publishing(self, *told: Any) -> None:  # noqa: ANN401 - the library's own
        _, _, number, *_ = told
        acknowledge = self._acknowledge.pop(number, None)
        if acknowledge is None:
            self._on_publish(*told)
        else:
            acknowledge()


class _Inlet(asyncio.Queue):  # type: ignore[type-arg] # none before Python 3.9
    """A queue that keeps nothing, but hands on what is put into it."""

    def __init__(self, take: Callable[[Message], None], maxsize: int) -> None:
        super().__init__(maxsize)
        self._take = take

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Hand on a message."""
        self._take(
            Message(item.topic.value, bytes(item.payload), item.qos, item.retain)
        )


async def _end(client: Client, wait_s: float) -> None:
    """End a session; a broker that is silent is not waited for any longer."""
    client.timeout = wait_s
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


def _nobody_cares() -> None:
    """Do nothing."""


def _nobody_listens(_message: Message) -> None:
    """Do nothing."""
