"""A server with a certificate that no public authority has signed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
import ssl
from threading import Thread
from typing import ClassVar

import trustme

from sandbox import Sandbox, Settings

_STRANGER = trustme.CA()


@dataclass(frozen=True)
class TlsServer:
    """Where it is, and what to trust for it.

    Attributes:
        url: where it is.
        authority: the certificate of the authority that signed the server's, in PEM.
        own_certificate: the server's own, in PEM.
    """

    STRANGE_AUTHORITY: ClassVar[str] = _STRANGER.cert_pem.bytes().decode()
    STRANGE_KEY: ClassVar[str] = _STRANGER.private_key_pem.bytes().decode()

    url: str
    authority: str
    own_certificate: str


@contextmanager
def tls_server(settings: Settings) -> Iterator[TlsServer]:
    """Run a server whose certificate is new.

    It has a thread of its own: the core counts what a client leaves of a handshake in
    its event loop as a fault of the test.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.configure_cert(context)
    urls: SimpleQueue[str] = SimpleQueue()
    stop = asyncio.Event()

    async def serve() -> None:
        async with Sandbox(replace(settings, ssl_context=context)) as sandbox:
            urls.put(sandbox.url)
            await stop.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = Thread(target=runner.run, args=(serve(),))
        thread.start()
        try:
            yield TlsServer(
                urls.get(timeout=5),
                authority.cert_pem.bytes().decode(),
                certificate.cert_chain_pems[0].bytes().decode(),
            )
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
