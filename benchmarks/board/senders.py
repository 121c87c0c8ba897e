"""What sends a reading without being fetched, in the words of MicroPython.

This port's own clients, what the firmware brings, and sockets without any library: the
floor that none can be below.
"""

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from .client import Client

TOKEN = "11111111-1111-4111-8111-111111111111"  # noqa: S105 - no server knows it
"""A device's, which the servers of the measures don't look at."""

VARIABLES = {"temperature": 25.08, "pressure": 1006.53, "humidity": 41.2}
"""What each reading holds."""

READING = repr(VARIABLES)
"""What is sent over HTTP, as MicroPython source."""

PATH = "/api/v1/ingest/dev-a"
TOPIC = "indcloud/devices/dev-a/telemetry"
MESSAGE = (
    b'{"deviceId":"dev-a","apiToken":"%b","timestamp":"2026-11-28T18:22:03Z",'
    b'"variables":%b}'
) % (TOKEN.encode(), json.dumps(VARIABLES, separators=(",", ":")).encode())
"""What is published, and where."""

_TLS = """
import ssl
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.verify_mode = ssl.CERT_REQUIRED
tls.load_verify_locations(cadata={ca!r})
plain = line
line = tls.wrap_socket(line, server_hostname={host!r})
"""

# There is no `recv` of TLS, and `read` waits for as much as it is asked for.
_WAITING = """
import select
line.setblocking(False)
ready = select.poll()
ready.register(plain, select.POLLIN)
"""

# The last chunk of an answer is empty.
_TAKE = """
answer = b''
while not answer.endswith(b'0\\r\\n\\r\\n'):
    piece = {read}
    if piece == b'':
        raise OSError
    answer += piece or b''
if b'"success":true' not in answer:
    raise OSError
"""


@dataclass(frozen=True)
class Servers:
    """Where to send to on this machine.

    Attributes:
        http_port: of a server that takes readings over HTTP.
        mqtt_port: of a broker.
        ca: the DER certificate of the authority to ask for, where both speak TLS.
    """

    http_port: int
    mqtt_port: int
    ca: bytes | None = None

    @property
    def host(self) -> str:
        """Return the name that both are called by."""
        return "localhost" if self.ca else "127.0.0.1"

    @property
    def http_url(self) -> str:
        """Return the address of the server, without a path."""
        return f"{'https' if self.ca else 'http'}://{self.host}:{self.http_port}"

    @property
    def mqtt_url(self) -> str:
        """Return the address of the broker."""
        return f"{'mqtts' if self.ca else 'mqtt'}://{self.host}:{self.mqtt_port}"


def http_client(folder: Path, url: str, token: str, ca: bytes | None = None) -> Client:
    """Return the port's client over HTTP, whose bytecode is in a folder."""
    return Client(
        folder,
        imports="from sensorvision.http import HttpClient\n"
        "from sensorvision.protocol import ingest_request",
        connect=f"client = HttpClient({url!r}, {ca!r}, 20)",
        send=f"answer = await client.send(ingest_request('dev-a', {token!r}, {READING}))\n"
        "if answer.kind != 'delivered':\n    raise OSError(answer.message)",
        close="client.close()",
        is_async=True,
    )


def mqtt_client(folder: Path, url: str, ca: bytes | None = None) -> Client:
    """Return the port's client over MQTT, whose bytecode is in a folder."""
    return Client(
        folder,
        imports="from sensorvision.mqtt import MqttClient",
        connect=f"client = MqttClient({_mqtt_settings(url)!r}, {ca!r}, 'b1')",
        send=f"await client.publish('telemetry', {MESSAGE!r})",
        close="client.close()",
        is_async=True,
    )


def _mqtt_settings(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "device_id": "dev-a",
        "interval_s": 60,
        "timeout_s": 20,
        "mqtt": {"user": "", "password": "", "prefix": "indcloud"},
    }


def requests_client(folder: Path, url: str, token: str) -> Client:
    """Return `requests` as MicroPython's firmware has it, used as its readme says."""
    return Client(
        folder,
        imports="import requests",
        connect=f"headers = {{'X-API-Key': {token!r}}}",
        send=f"answer = requests.post({url + PATH!r}, json={READING}, "
        "headers=headers)\nif not answer.json()['success']:\n    raise OSError\n"
        "answer.close()",
    )


def raw_http_client(folder: Path, servers: Servers, *, writes: int = 1) -> Client:
    """Return a POST without any library.

    Args:
        folder: an empty one.
        servers: where to post to.
        writes: 1, or 2 for head and body apart.
    """
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {servers.host}:{servers.http_port}\r\n"
        f"X-API-Key: {TOKEN}\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n"
    )
    write = {
        1: f"line.write({head + '%s'!r} % (len(body), body))",
        2: f"line.write({head!r} % len(body))\nline.write(body)",
    }[writes]
    connect = _line_to(servers, servers.http_port)
    if servers.ca:
        connect += _WAITING
    return Client(
        folder,
        imports="import json, socket",
        connect=connect,
        send=f"body = json.dumps({READING})\n{write}\n"
        + _TAKE.format(
            read="ready.poll() and line.read(512)" if servers.ca else "line.recv(512)"
        ),
        close="line.close()",
    )


def raw_mqtt_client(folder: Path, servers: Servers) -> Client:
    """Return a message of QoS 1, its packets written out, without any library."""
    hello = _packet(0x10, b"\0\4MQTT\4\2\0\x3c", _text(b"bench"))
    message = _packet(0x32, _text(TOPIC.encode()), b"\0\1", MESSAGE)
    return Client(
        folder,
        imports="import socket",
        connect=f"{_line_to(servers, servers.mqtt_port)}\nline.write({hello!r})\n"
        "if line.read(4) != b' \\2\\0\\0':\n    raise OSError",
        send=f"line.write({message!r})\n"
        "if line.read(4) != b'@\\2\\0\\1':\n    raise OSError",
        close="line.close()",
    )


def _line_to(servers: Servers, port: int) -> str:
    line = (
        "line = socket.socket()\n"
        f"line.connect(socket.getaddrinfo({servers.host!r}, {port})[0][-1])"
    )
    if servers.ca:
        line += _TLS.format(ca=servers.ca, host=servers.host).rstrip()
    return line


def _packet(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    head = bytearray((kind,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
