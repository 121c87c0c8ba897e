"""The server's link to the MQTT broker: readings in, commands out."""

import asyncio
from contextlib import suppress
import json
import logging
from urllib.parse import urlsplit

import aiomqtt

from .broker import EmbeddedBroker
from .clock import Clock
from .faults import Faults
from .instants import format_us, parse_instant, parse_local, to_us
from .json_reader import (
    Json,
    JsonError,
    Literal,
    PlainJson,
    plain_object,
    read,
)
from .readings import Ingestion, IngestionError, Reading
from .settings import EMBEDDED, Settings, product_name, reachable_host
from .store import Store
from .values import OutOfRange, bound_text, is_blank, mqtt_value

_LOGGER = logging.getLogger(__name__)

_CLIENT_ID = "sensorvision-backend-inbound"
_DEFAULT_PORT = 1883
_REACHABLE_S = 5
_RECONNECT_S = 0.5
_SETTLE_S = 5
_BROKER_DOWN = "broker_down"


class DroppedMessage(Exception):
    """A message is not a reading; the server only logs why."""


class MqttLink:
    """Keeps one session with the broker, and the embedded broker itself if there is one.

    Attributes:
        url: Where clients find the broker.
        received: Messages that arrived.
        dropped: Messages of these that were no readings.
    """

    def __init__(
        self,
        settings: Settings,
        broker: str,
        *,
        store: Store,
        ingestion: Ingestion,
        clock: Clock,
        faults: Faults,
    ) -> None:
        self._settings = settings
        self._store = store
        self._ingestion = ingestion
        self._clock = clock
        self._faults = faults
        self._embedded: EmbeddedBroker | None = None
        if broker == EMBEDDED:
            self._embedded = EmbeddedBroker(settings.host, settings.mqtt_port)
            address = f"mqtt://{reachable_host(settings.host)}:{self._embedded.port}"
        else:
            address = broker
        self._address = urlsplit(address)
        self.received = 0
        self.dropped = 0
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._in_use: tuple[bool, str] | None = None

    @property
    def host(self) -> str:
        """The broker's host."""
        return self._address.hostname or ""

    @property
    def port(self) -> int:
        """The broker's port."""
        return self._address.port or _DEFAULT_PORT

    @property
    def url(self) -> str:
        """Where clients find the broker, without the server's own credentials."""
        return f"mqtt://{self.host}:{self.port}"

    async def start(self) -> None:
        """Start the embedded broker, connect, and wait until readings would arrive."""
        self._faults.on_change.append(self.apply_changes)
        if self._embedded is not None and not self._faults.is_on(_BROKER_DOWN):
            await self._embedded.start()
        self._task = asyncio.create_task(self._run())
        await self.settle()

    async def stop(self) -> None:
        """Disconnect and stop the embedded broker."""
        task, self._task = self._task, None
        if task is None:
            return
        self._faults.on_change.remove(self.apply_changes)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if self._embedded is not None:
            await self._embedded.stop()

    def apply_changes(self) -> None:
        """Connect anew if the topics or the broker's fault have changed."""
        if self._in_use != self._wanted():
            self._settled.clear()
            self._changed.set()

    async def settle(self) -> None:
        """Wait until the last change is in force, or the broker has failed to let it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), _SETTLE_S)

    async def broker_is_reachable(self) -> bool:
        """Tell whether the broker takes connections."""
        if self._faults.is_on(_BROKER_DOWN):
            return False
        try:
            _, writer = await asyncio.wait_for(
                asyncio.open_connection(self.host, self.port), _REACHABLE_S
            )
        except OSError:
            return False
        writer.close()
        return True

    async def send_command(
        self, external_id: str, command: str, payload: PlainJson
    ) -> None:
        """Hand a command for a device to the broker.

        Raises:
            ConnectionError: The broker cannot be reached.
        """
        if self._client is None:
            raise ConnectionError("MQTT client is not connected")
        message = {
            "command": command,
            "payload": payload,
            "timestamp": format_us(self._clock.now_us()),
        }
        topic = f"{self._prefix()}/devices/{external_id}/commands"
        try:
            await self._client.publish(topic, json.dumps(message), qos=1)
        except aiomqtt.MqttError as err:
            raise ConnectionError(str(err)) from err

    def _prefix(self) -> str:
        """Return the first level of all topics."""
        return product_name(self._ingestion.modes)

    def _wanted(self) -> tuple[bool, str]:
        """Return whether to be connected, and to what."""
        return (
            not self._faults.is_on(_BROKER_DOWN),
            f"{self._prefix()}/devices/+/telemetry",
        )

    async def _run(self) -> None:
        """Stay connected whenever the broker is not switched off."""
        while True:
            self._changed.clear()
            self._in_use = self._wanted()
            is_up, topic = self._in_use
            await self._switch_embedded(is_up=is_up)
            if not is_up:
                self._settled.set()
                await self._changed.wait()
                continue
            try:
                await self._listen(topic)
            except aiomqtt.MqttError as err:
                _LOGGER.debug("No session with the broker %s: %s", self.url, err)
                self._settled.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _RECONNECT_S)

    async def _switch_embedded(self, *, is_up: bool) -> None:
        """Start or stop the embedded broker."""
        if self._embedded is None or self._embedded.is_running == is_up:
            return
        if is_up:
            await self._embedded.start()
        else:
            await self._embedded.stop()

    async def _listen(self, topic: str) -> None:
        """Take readings until something changes.

        Raises:
            aiomqtt.MqttError: The session cannot be had, or has ended.
        """
        client = aiomqtt.Client(
            self.host,
            self.port,
            username=self._address.username,
            password=self._address.password,
            identifier=_CLIENT_ID,
            clean_session=True,
        )
        async with client:
            await client.subscribe(topic, qos=1)
            self._client = client
            self._settled.set()
            consuming = asyncio.create_task(self._consume(client))
            changing = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait(
                    (consuming, changing), return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                self._client = None
                changing.cancel()
                consuming.cancel()
                await asyncio.gather(changing, return_exceptions=True)
                with suppress(asyncio.CancelledError):
                    await consuming

    async def _consume(self, client: aiomqtt.Client) -> None:
        """Store the readings that arrive, one after the other."""
        async for message in client.messages:
            self.received += 1
            try:
                self._ingestion.store(self._reading(bytes(message.payload)))
            except (DroppedMessage, IngestionError) as err:
                self.dropped += 1
                _LOGGER.warning("Dropped a message on %s: %s", message.topic, err)

    def _reading(self, payload: bytes) -> Reading:
        """Read a message.

        Raises:
            DroppedMessage: It is not a reading, or not its sender's to send.
        """
        try:
            members = read(payload)
        except JsonError as err:
            raise DroppedMessage(f"malformed JSON: {err}") from err
        if not isinstance(members, dict):
            raise DroppedMessage("not an object")
        device_id = self._sender(members)
        variables = members.get("variables")
        metadata = members.get("metadata")
        try:
            values = {
                name: value
                for name, member in (
                    variables.items() if isinstance(variables, dict) else ()
                )
                if (value := mqtt_value(member)) is not None
            }
        except OutOfRange as err:
            raise DroppedMessage(str(err)) from err
        return Reading(
            device_id,
            values,
            self._timestamp_us(members.get("timestamp")),
            plain_object(metadata) if isinstance(metadata, dict) else None,
        )

    def _sender(self, members: dict[str, Json]) -> str:
        """Return the device that a message is from.

        Raises:
            DroppedMessage: It names none, or does not carry exactly that device's token.
        """
        try:
            device_id = bound_text(members.get("deviceId"))
        except JsonError:
            device_id = None
        if device_id is None or is_blank(device_id):
            raise DroppedMessage("deviceId is missing")
        if not self._settings.mqtt_auth:
            return device_id
        token = members.get("apiToken")
        owner = self._store.token_owner(token) if isinstance(token, str) else None
        if owner is None or owner.external_id != device_id:
            raise DroppedMessage("apiToken is not that device's")
        return device_id

    def _timestamp_us(self, timestamp: Json) -> int:
        """Return a message's time; what cannot be read becomes the server's time."""
        if isinstance(timestamp, str) and not isinstance(timestamp, Literal):
            for parse in (parse_instant, parse_local):
                with suppress(ValueError):
                    return to_us(parse(timestamp))
        return self._clock.now_us()
