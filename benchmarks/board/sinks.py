"""What boards send to, on this machine: it counts what arrives."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
import json
from pathlib import Path
import ssl
from uuid import uuid4

import aiomqtt
import trustme

from benchmarks.loopback import Loopback, loopback
from benchmarks.mosquitto import Mosquitto
from demo.processes import free_port

from .senders import VARIABLES, Servers

_MARKS = "marks"


@dataclass
class Sinks:
    """Servers of HTTP and MQTT, each of them plain, over TLS, and over a stranger's TLS.

    Attributes:
        plain: takes readings as they are.
        trusted: speaks TLS with a certificate of the authority that is asked for.
        stranger: speaks TLS with one of another authority.
        client: of the broker, which is handed out all that is published there.
    """

    plain: Servers
    trusted: Servers
    stranger: Servers
    client: aiomqtt.Client
    _posted: list[Loopback]
    _published: Counter[bytes] = field(default_factory=Counter)
    _marks: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    async def arrived(self) -> int:
        """Return how many readings have arrived since the start, none of them garbled."""
        # What the broker has acknowledged before, it hands out before.
        mark = uuid4().hex.encode()
        await self.client.publish(_MARKS, mark, qos=1)
        while await self._marks.get() != mark:
            pass
        seen = sum((each.bodies for each in self._posted), self._published)
        return count_readings(seen)

    async def listen(self) -> None:
        """Count what the broker hands out, until cancelled."""
        async for message in self.client.messages:
            payload = bytes(message.payload)
            if message.topic.value == _MARKS:
                self._marks.put_nowait(payload)
            else:
                self._published[payload] += 1


def count_readings(seen: Mapping[bytes, int]) -> int:
    """Return how many of some payloads are the reading that is sent.

    Args:
        seen: how often each of them came.
    """
    return sum(count for payload, count in seen.items() if _is_reading(payload))


def _is_reading(payload: bytes) -> bool:
    try:
        told = json.loads(payload)
    except ValueError:
        return False
    # In this server's messages device, token and time stand beside it; ThingsBoard's are
    # lists.
    is_message = isinstance(told, dict) and "variables" in told
    return (told["variables"] if is_message else told) in (VARIABLES, [VARIABLES])


@asynccontextmanager
async def running_sinks(folder: Path) -> AsyncIterator[Sinks]:
    """Run the servers until the block ends.

    Args:
        folder: takes the broker's configuration and certificates.
    """
    authority = trustme.CA()
    certificates = {
        "trusted": authority.issue_cert("localhost"),
        "stranger": trustme.CA().issue_cert("localhost"),
    }
    ca = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    ports = {name: free_port() for name in certificates}
    # Root's folders are not for the user that Mosquitto would become.
    lines = ["user root", "max_queued_messages 0"]
    for name, certificate in certificates.items():
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.private_key_pem.write_to_path(key)
        certificate.cert_chain_pems[0].write_to_path(chain)
        lines += (f"listener {ports[name]} 127.0.0.1", f"certfile {chain}")
        lines.append(f"keyfile {key}")
    broker = Mosquitto(folder, *lines)
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(loopback())
        trusted, stranger = [
            await stack.enter_async_context(loopback(_context(certificate)))
            for certificate in certificates.values()
        ]
        await broker.start()
        stack.push_async_callback(broker.kill)
        client = await stack.enter_async_context(
            aiomqtt.Client("127.0.0.1", broker.port)
        )
        await client.subscribe("#", qos=1)
        sinks = Sinks(
            plain=Servers(plain.port, broker.port),
            trusted=Servers(trusted.port, ports["trusted"], ca),
            stranger=Servers(stranger.port, ports["stranger"], ca),
            client=client,
            _posted=[plain, trusted, stranger],
        )
        listening = asyncio.create_task(sinks.listen())
        try:
            yield sinks
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
