"""A web server that offers a release to boards, and can be made to do so badly."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import hashlib
import hmac
import json
import ssl
from typing import Any

from aiohttp import web

KEY = "a-key-that-nobody-guesses"

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Releases:
    """What the server offers.

    Attributes:
        url: where.
        files: contents by name.
        answers: what is done in the place of offering a file, by its name.
        asked: the names that boards have asked for.
        headers: of all that they have asked.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def offer(
        self, version: str, files: dict[str, bytes], key: str = KEY, **changes: object
    ) -> None:
        """Offer a version of these files, with a manifest that may be changed."""
        self.files = dict(files)
        self.offer_manifest(
            {
                "version": version,
                "mpy": None,
                "files": {
                    name: [len(content), hashlib.sha256(content).hexdigest()]
                    for name, content in files.items()
                },
                **changes,
            },
            key,
        )

    def offer_manifest(self, manifest: Any, key: str = KEY) -> None:
        """Offer a manifest, whatever it says, well signed with a key."""
        text = json.dumps(manifest).encode()
        self.files["manifest.json"] = text
        self.files["manifest.sig"] = (
            hmac.digest(key.encode(), text, "sha256").hex().encode()
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a board."""
        name = request.match_info["name"]
        self.asked.append(name)
        self.headers.append(dict(request.headers))
        if name in self.answers:
            return await self.answers[name](request)
        if name not in self.files:
            raise web.HTTPNotFound
        return web.Response(body=self.files[name])


@asynccontextmanager
async def offering(tls: ssl.SSLContext | None = None) -> AsyncIterator[Releases]:
    """Run a server of releases."""
    releases = Releases()
    app = web.Application()
    app.router.add_get("/boards/{name:.*}", releases.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    releases.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/boards"
    try:
        yield releases
    finally:
        await runner.cleanup()
