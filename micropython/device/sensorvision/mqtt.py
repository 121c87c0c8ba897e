"""Publish every reading with QoS 1 to a broker, in MQTT 3.1.1, over one kept connection.

The numbers of sections in here are those of the OASIS standard "MQTT Version 3.1.1".
"""

import json

from micropython import const

from .clock import iso
from .connection import Connection, Unreachable
from .protocol import ValidationError, check_variables
from .sending import Sender

_MAX_PACKET_BYTES = const(4096)
_MOST_RECORDS = const(8)

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH = const(0x32)
_PUBLISH_RETAINED = const(0x33)
_PUBACK = const(0x40)
# The packet identifier of the status, which is acknowledged before another takes it.
_FIRST = const(b"\0\1")

# A clean session, and a will that is retained and has QoS 1.
_CLEAN_WITH_WILL = const(0x2E)
_USER = const(0xC0)

# Section 3.2.2.3.
_REFUSALS = {
    1: "MQTT 3.1.1. Update it",
    2: "the client id. Shorten device_id",
    4: "user or password. Check mqtt in the settings",
    5: "user or password. Check mqtt in the settings",
}


class Refused(Unreachable):
    """The broker does not want this board; the message says what a person can do."""


class MqttClient(Connection):
    """A client of one broker, which publishes and is published nothing.

    Each connection begins a clean session: a broker keeps nothing of use for a client
    without subscriptions. So what was not acknowledged is published anew in the next
    session, not as a duplicate, which there are only within one (section 3.3.1.1).

    While it is connected, "online" is retained under the device's topic `status`. It never
    says goodbye: whenever the connection ends, be it for a sleep, the broker publishes the
    last will, "offline", and nobody takes the board for online any more. Nor does it ping:
    a connection that the broker has given up is replaced at the next message.

    Args:
        settings: the board's, complete, as `settings.load` returns them.
        ca: see `Connection`.
        board_id: tells it from another board that reports for the same device, as no two
            clients of a broker may have the same id.
    """

    def __init__(self, settings: dict, ca: bytes | None, board_id: str):
        super().__init__(settings["url"], ca, settings["timeout_s"])
        self._id = 0
        options = settings["mqtt"]
        device_id = settings["device_id"]
        # Some brokers take a dot for the border of two levels.
        self._topics = f"{options['prefix']}/devices/{device_id.replace('.', '-')}/"
        flags = _CLEAN_WITH_WILL
        texts = [device_id + "-" + board_id, self._topics + "status", "offline"]
        if options["user"]:
            flags |= _USER
            texts += (options["user"], options["password"])
        # The broker waits one and a half of it: a board that misses one reading still
        # speaks in time.
        keep_alive_s = min(2 * settings["interval_s"] + settings["timeout_s"], 65535)
        self._hello = _packet(
            _CONNECT,
            b"\0\4MQTT\4",
            bytes((flags, keep_alive_s >> 8, keep_alive_s & 255)),
            *map(_text, texts),
        )
        self._online = _packet(_PUBLISH_RETAINED, _text(texts[1]), _FIRST, b"online")

    def publish(self, leaf: str, payload: bytes):
        """Publish bytes; what is returned can be awaited, until the broker has them.

        Args:
            leaf: the last level of the device's topic, such as `telemetry`.
            payload: the bytes.

        Raises:
            Refused: the broker does not want this board.
            Unreachable: it did not acknowledge the message in time; it may have it.
        """
        # Section 2.3.1: 0 is no packet identifier.
        self._id = self._id % 65535 + 1
        number = self._id.to_bytes(2, "big")
        self._awaited = _PUBACK, number
        return self._exchange(_packet(_PUBLISH, _text(self._topics + leaf), number, payload))

    async def _open(self):
        await super()._open()
        kind, answer = await self._read(self._hello)
        if kind != _CONNACK or len(answer) != 2:
            raise ValueError("this is no MQTT")
        # Whether the broker knows an older session, in the first byte, is all the same.
        code = answer[1]
        if code in _REFUSALS:
            raise Refused(f"{self._authority} refuses {_REFUSALS[code]}")
        if code:
            raise ValueError(f"the broker is unavailable ({code})")
        message = self._online
        while await self._read(message) != (_PUBACK, _FIRST):
            message = b""

    def _parse(self):
        # Whatever else a broker sends, nobody here has asked for it.
        while packet := self._take():
            if packet == self._awaited:
                self._is_keeping = True
                return True
        return None

    async def _read(self, message):
        while not (packet := self._take()):
            await self._swap(message, "signing in")
            message = b""
        return packet

    def _take(self):
        data = self._received
        size = 0
        for at in range(1, len(data)):
            size |= (data[at] & 127) << 7 * at - 7
            if at > 4 or size > _MAX_PACKET_BYTES:
                raise ValueError("an endless packet")
            if data[at] < 128:
                end = at + 1 + size
                if len(data) < end:
                    break
                self._received = data[end:]
                return data[0], data[at + 1 : end]
        return None


class Publishing(Sender):
    """Publishes one moment's readings with each call, oldest first.

    They leave the outbox when the broker has acknowledged them.
    """

    _limit = _MOST_RECORDS

    async def _send(self):
        outbox = self.outbox
        if not outbox.has_any():
            return 0
        # Every reading is told with its time.
        await self._reach(True)
        try:
            records = outbox.oldest(self._limit)
            variables, errors, count = _first_moment(records)
            if variables:
                message = {
                    "deviceId": self.settings["device_id"],
                    "apiToken": self.settings["token"],
                    "timestamp": iso(records[0][1]),
                    "variables": variables,
                }
                await self.client.publish("telemetry", json.dumps(message).encode())
        except Refused as err:
            return self._refused(err)
        except MemoryError:
            if self._limit == 1:
                raise
            self._limit //= 2
            return 0
        self._limit = min(self._limit + 1, _MOST_RECORDS)
        for err in errors:
            outbox.dropped += 1
            print("dropped because", err)
        outbox.confirm(records[:count])
        if variables:
            self._delivered(variables)
        return 0


def _first_moment(records):
    variables = {}
    errors = []
    count = 0
    for _, at, more in records:
        # What several sensors measured at one moment makes one message.
        if at != records[0][1] or set(more) & set(variables):
            break
        count += 1
        for name in more:
            try:
                check_variables({name: more[name]})
                variables[name] = more[name]
            except ValidationError as err:
                errors.append(err)
    return variables, errors, count


def _packet(kind, *parts):
    body = b"".join(parts)
    size = len(body)
    head = bytearray((kind,))
    # Section 2.2.3: seven bits a byte, the lowest first.
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def _text(text):
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
