"""Publish with QoS 1 to a broker, in MQTT 3.1.1, over one kept connection.

The numbers of sections in here are those of the OASIS standard "MQTT Version 3.1.1".
"""

from micropython import const

from .connection import Connection, Unreachable

_MAX_PACKET_BYTES = const(4096)

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH = const(0x32)
_PUBLISH_RETAINED = const(0x33)
_PUBACK = const(0x40)

_CLEAN_SESSION = const(0x02)
_WILL_RETAINED = const(0x2C)
_USER = const(0xC0)

# Section 3.2.2.3.
_REFUSALS = {
    1: "speaks no MQTT 3.1.1. Update it",
    2: "refuses the client id. Shorten device_id",
    4: "refuses user or password. Check mqtt in the settings",
    5: "lets this user do nothing. Check mqtt in the settings, and the broker's rules",
}


class Refused(Unreachable):
    """The broker does not want this board; the message says what a person can do."""


class MqttClient(Connection):
    """A client of one broker, which publishes and is published nothing.

    Each connection begins a clean session: a broker keeps nothing of use for a client
    without subscriptions. So what was not acknowledged is published anew in the next
    session, not as a duplicate, which there are only within one (section 3.3.1.1).

    It never says goodbye: whenever the connection ends, be it for a sleep, the broker
    publishes the last will, and nobody takes the board for online any more. Nor does it
    ping: a connection that the broker has given up is replaced at the next message.

    Args:
        url: the broker's.
        ca: see `Connection`.
        timeout_s: see `Connection`.
        client_id: no two clients of a broker may have the same.
        user: the name to sign in with, or "" for a broker that asks for none.
        password: the user's.
        status: the topic where "online" is retained while the board is connected, and
            "offline" afterwards; "" for none.
        keep_alive_s: seconds without a message after whose one and a half the broker
            gives the board up; should be more than the time between two.
    """

    def __init__(
        self,
        url: str,
        ca: bytes | None,
        timeout_s: int,
        client_id: str,
        user: str = "",
        password: str = "",
        status: str = "",
        keep_alive_s: int = 120,
    ):
        super().__init__(url, ca, timeout_s)
        self._id = 0
        self._status = status
        flags = _CLEAN_SESSION
        texts = [client_id]
        if status:
            flags |= _WILL_RETAINED
            texts += (status, "offline")
        if user:
            flags |= _USER
            texts += (user, password)
        self._hello = _packet(
            _CONNECT,
            b"\0\4MQTT\4",
            bytes((flags, keep_alive_s >> 8, keep_alive_s & 255)),
            *[_text(text) for text in texts],
        )

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish bytes, and return when the broker has them.

        Raises:
            Refused: the broker does not want this board.
            Unreachable: it did not acknowledge the message in time; it may have it.
        """
        message = self._message(_PUBLISH, topic, payload)
        self._awaited = _PUBACK, message[1]
        await self._exchange(message[0])

    async def _open(self):
        await super()._open()
        kind, answer = await self._read(self._hello)
        if kind != _CONNACK or len(answer) != 2:
            raise ValueError("this is no MQTT")
        # Whether the broker knows an older session, in the first byte, is all the same.
        code = answer[1]
        if code in _REFUSALS:
            raise Refused(f"{self._authority} {_REFUSALS[code]}")
        if code:
            raise ValueError(f"the broker is unavailable ({code})")
        if self._status:
            message, id_ = self._message(_PUBLISH_RETAINED, self._status, b"online")
            while await self._read(message) != (_PUBACK, id_):
                message = b""

    def _message(self, kind, topic, payload):
        # Section 2.3.1: 0 is no packet identifier.
        self._id = self._id % 65535 + 1
        id_ = self._id.to_bytes(2, "big")
        return _packet(kind, _text(topic), id_, payload), id_

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


def make_client(settings: dict, ca: bytes | None) -> MqttClient:
    """Return a client of the broker in the settings.

    Args:
        settings: complete, as `settings.load` returns them.
        ca: see `Connection`.
    """
    from machine import unique_id

    options = settings["mqtt"]
    return MqttClient(
        settings["url"],
        ca,
        settings["timeout_s"],
        # Two boards may report for one device, but not with one client id.
        settings["device_id"] + "-" + unique_id().hex(),
        options["user"],
        options["password"],
        topic_of(settings, "status"),
        # A board that misses one reading still speaks in time.
        min(2 * settings["interval_s"] + settings["timeout_s"], 65535),
    )


def topic_of(settings: dict, leaf: str) -> str:
    """Return one of the device's topics, such as its `telemetry`.

    Args:
        settings: see `make_client`.
        leaf: the last level.
    """
    # Some brokers take a dot for the border of two levels.
    level = settings["device_id"].replace(".", "-")
    return f"{settings['mqtt']['prefix']}/devices/{level}/{leaf}"


def _packet(kind, *parts):
    size = sum(len(part) for part in parts)
    head = bytearray((kind,))
    # Section 2.2.3: seven bits a byte, the lowest first.
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((bytes(head),) + parts)


def _text(text):
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
