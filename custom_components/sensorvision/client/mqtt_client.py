"""Everything that MQTT can do, and SensorVision over it, for scripts."""

from __future__ import annotations

import ssl
import sys
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
import uuid

from .broker import Broker
from .exceptions import NetworkError, ValidationError
from .mqtt_batches import publish_all
from .mqtt_connection import Connection
from .mqtt_devices import DeviceTopics
from .mqtt_inbox import Inbox
from .mqtt_looks import BrokerLooks
from .mqtt_messages import Outgoing, check_qos
from .mqtt_session import MAX_IN_FLIGHT
from .mqtt_statistics import Counter
from .mqtt_status import RECONNECTING
from .mqtt_subscriptions import Subscriptions
from .pace import RetryPolicy, Timeouts
from .protocol import check_token
from .topics import TOPIC_PREFIXES, check_filter

if TYPE_CHECKING:
    from .config import Config
    from .mqtt_inbox import Messages
    from .mqtt_messages import Item, Message, PublishBatch, Will
    from .mqtt_session import Session
    from .mqtt_status import MqttStatus
    from .secret import Secret

_PORT, _TLS_PORT = 1883, 8883


class MQTTClient(DeviceTopics, BrokerLooks):
    """A client of an MQTT broker, or of several of which one is enough.

    It belongs to the event loop that it connects in, and to no other thread. A lost
    session is replaced and its subscriptions are made again; to publish meanwhile raises
    `NetworkError`. What arrives waits for those who read it, or for the first who will;
    where too much waits, the oldest is let go and counted.

    Args:
        host: name or address of the broker.
        port: None for 1883, or 8883 with TLS.
        username: or None for a broker that lets everybody in.
        password: of that user.
        tls: whether to speak TLS and verify the broker's certificate, or a context of
            your own.
        client_id: what no other client of the broker calls itself, or it ends the
            sessions of this one and this one its; None to draw one.
        topic_prefix: `indcloud` for servers since 2025-12-28, else `sensorvision`.
        keepalive_s: after how many seconds without a word a session is given up.
        brokers: more brokers of the same server, tried in this order after `host`, if
            that is given.
        api_key: token of the device that sends telemetry, where it is not told with it.
        will: what the broker publishes if this client goes without a farewell.
        birth: what is published as soon as a session has begun, each time.
        reconnect: how often to try again after a session was lost, and the pauses;
            `RetryPolicy(attempts=1)` not to. None for ever, with pauses of up to a
            minute.
        timeouts: how long to wait for a connection, and for an acknowledgement.
        max_queued: how many messages may wait for each who reads them.
        on_status: called in the event loop with each change of `status`.

    Raises:
        ValidationError: an argument can't be used.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | bool = False,
        client_id: str | None = None,
        topic_prefix: str = TOPIC_PREFIXES[0],
        keepalive_s: int = 60,
        brokers: Sequence[Broker] = (),
        api_key: str | None = None,
        will: Will | None = None,
        birth: Outgoing | None = None,
        reconnect: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        max_queued: int = 1000,
        on_status: Callable[[MqttStatus], None] | None = None,
    ) -> None:
        if host is not None:
            context = ssl.create_default_context() if tls is True else tls or None
            own = Broker(
                host,
                client_id or f"sensorvision-{uuid.uuid4().hex[:10]}",
                port or (_PORT if context is None else _TLS_PORT),
                topic_prefix,
                username,
                password,
                context,
                keepalive_s,
            )
            brokers = (own, *brokers)
        self.brokers = _check_brokers(brokers)
        self._prefix = self.brokers[0].topic_prefix
        self._token = None if api_key is None else check_token(api_key)
        self._birth = birth
        self._timeouts = timeouts or Timeouts()
        self._counter = Counter()
        self._subscriptions = Subscriptions()
        self._inbox = Inbox(max_queued, self._counter.count_dropped)
        self._connection = Connection(
            self.brokers,
            timeouts=self._timeouts,
            reconnect=reconnect
            or RetryPolicy(attempts=sys.maxsize, first_delay_s=1, max_delay_s=60),
            will=will,
            on_message=self._arrived,
            on_begun=self._prepare,
            on_status=on_status,
            on_ended=self._inbox.end,
        )

    @classmethod
    def from_config(cls, config: Config, **overrides: Any) -> MQTTClient:  # noqa: ANN401
        """Return a client for settings; a file of authorities is read here.

        Args:
            config: the settings, such as `load_config` finds.
            **overrides: what the constructor takes, in place of them.

        Raises:
            ConfigError: the broker's host is missing, or no authority is in the file.
            ValidationError: as the constructor.
        """
        arguments: dict[str, Any] = {
            "port": config.mqtt_port,
            "username": config.mqtt_username,
            "password": _revealed(config.mqtt_password),
            "tls": config.ssl_context() if config.mqtt_tls else False,
            "topic_prefix": config.mqtt_prefix or TOPIC_PREFIXES[0],
            "api_key": _revealed(config.api_key),
        }
        if not {"host", "brokers"} & overrides.keys():
            arguments["host"] = config.require("mqtt_host")
        if config.timeout_s is not None:
            arguments["timeouts"] = Timeouts.within(config.timeout_s)
        return cls(**{**arguments, **overrides})

    def __repr__(self) -> str:
        """Show where to, and nothing secret."""
        where = ", ".join(f"{each.host}:{each.port}" for each in self.brokers)
        return f"<MQTTClient {where} {self.status.state}>"

    async def __aenter__(self) -> MQTTClient:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Disconnect."""
        await self.disconnect()

    @property
    def status(self) -> MqttStatus:
        """Whether there is a session, since when, and why not."""
        return self._connection.status

    @property
    def is_connected(self) -> bool:
        """Whether there is a session."""
        return self.status.is_connected

    @property
    def subscriptions(self) -> Mapping[str, int]:
        """By topic filter, the quality of service that the broker grants."""
        return dict(self._subscriptions.granted)

    async def connect(self) -> None:
        """Begin a session, unless there is one, with the first broker that takes one.

        Raises:
            BrokerLoginError: user name and password are refused.
            NetworkError: no broker was reached, for a reason that its class tells.
        """
        await self._connection.open()

    async def disconnect(self) -> None:
        """End the session with a farewell, and all `messages()` with it."""
        await self._connection.close()

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait for a session in place of the one that was lost.

        Args:
            timeout: seconds to wait, or None for as long as it takes.

        Raises:
            NetworkError: there is none in time, or nobody tries to get one.
        """
        await self._connection.wait_connected(timeout)

    async def publish(
        self,
        topic: str,
        payload: Any,  # noqa: ANN401 - whatever JSON can say
        qos: int = 1,
        retain: bool = False,
    ) -> None:
        """Publish a message, and return when the broker has it.

        With QoS 0 it returns when the message is sent.

        Args:
            topic: where to.
            payload: bytes, text that goes as UTF-8, or anything else that JSON can say.
            qos: 0, at most once; 1, at least once; or 2, exactly once.
            retain: whether the broker keeps it for those who subscribe later.

        Raises:
            ValidationError: it can't be published, or is telemetry to be retained.
            NetworkError: there is no session, or it has ended before the broker had
                acknowledged the message: then `may_have_arrived` is true.
        """
        await self._publish(Outgoing(topic, payload, qos, retain))

    async def publish_batch(
        self,
        messages: Iterable[Item],
        *,
        stop_on_first_error: bool = False,
        timeout: float | None = None,
    ) -> PublishBatch:
        """Publish many messages in their order, and say of each what became of it.

        Args:
            messages: `Outgoing`, or pairs of topic and payload.
            stop_on_first_error: whether to begin no more once one has failed; those that
                are on their way arrive all the same.
            timeout: seconds for all of them, or None for as long as it takes.
        """
        return await publish_all(
            self._publish,
            list(messages),
            max_in_flight=MAX_IN_FLIGHT,
            stop_on_first_error=stop_on_first_error,
            timeout_s=timeout,
        )

    async def subscribe(self, filters: str | Iterable[str], qos: int = 1) -> None:
        """Subscribe, over all sessions to come.

        Args:
            filters: one topic filter or many, such as `house/+/temperature`.
            qos: the quality of service wanted; `subscriptions` tells what was granted.

        Raises:
            ValidationError: it is no filter.
            SubscriptionError: the broker refuses some; it has taken the others.
            NetworkError: there is no session, or it has ended.
        """
        check_qos(qos)
        checked = _check_filters(filters)
        session = self._connection.session
        try:
            await self._subscriptions.add(session, checked, qos)
        finally:
            self._connection.check()

    async def unsubscribe(self, filters: str | Iterable[str]) -> None:
        """Subscribe no longer.

        Raises:
            ValidationError: it is no filter.
            NetworkError: there is no session, or it has ended.
        """
        checked = _check_filters(filters)
        session = self._connection.session
        try:
            await self._subscriptions.remove(session, checked)
        finally:
            self._connection.check()

    def messages(
        self,
        filters: str | Iterable[str] | None = None,
        *,
        max_queued: int | None = None,
    ) -> Messages:
        """Return the messages that arrive, for `async for`; it subscribes to nothing.

        Each who reads gets all that its filters take in.

        Args:
            filters: one topic filter or many; None for all messages.
            max_queued: how many may wait, or None for the client's own.

        Raises:
            ValidationError: it is no filter.
        """
        checked = None if filters is None else _check_filters(filters)
        return self._inbox.reader(checked, max_queued)

    @property
    def _broker(self) -> Broker:
        """The broker that the session is with, or else the first."""
        try:
            return self._connection.session.broker
        except NetworkError:
            return self.brokers[0]

    async def _publish(self, message: Outgoing, device_id: str | None = None) -> None:
        try:
            await self._connection.session.publish(
                message.topic, message.payload, qos=message.qos, retain=message.retain
            )
        except NetworkError:
            self._counter.count_failed(message, device_id)
            raise
        finally:
            self._connection.check()
        self._counter.count_sent(message, device_id)

    async def _prepare(self, session: Session) -> None:
        """Make a new session what the last one was."""
        await self._subscriptions.renew(session)
        birth = self._birth
        if birth is not None:
            await session.publish(
                birth.topic, birth.payload, qos=birth.qos, retain=birth.retain
            )
            self._counter.count_sent(birth)
        self._counter.sessions += 1
        self._counter.reconnects += self.status.state == RECONNECTING

    def _arrived(self, message: Message) -> None:
        self._counter.count_received(message)
        self._inbox.put(message)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _check_brokers(brokers: Sequence[Broker]) -> tuple[Broker, ...]:
    """Return brokers of one server, at least one."""
    if not brokers:
        raise ValidationError(
            "host", None, "is missing", "Give the broker's host, or brokers"
        )
    prefixes = {broker.topic_prefix for broker in brokers}
    if len(prefixes) > 1:
        raise ValidationError(
            "brokers",
            sorted(prefixes),
            "have different topic prefixes",
            "Give the prefix of the one server that they all serve",
        )
    return tuple(brokers)


def _check_filters(filters: str | Iterable[str]) -> list[str]:
    """Return topic filters, each once, at least one."""
    given = [filters] if isinstance(filters, str) else list(filters)
    if not given:
        raise ValidationError("filters", given, "hold nothing", "Give at least one")
    return list(dict.fromkeys(check_filter(topic_filter) for topic_filter in given))
