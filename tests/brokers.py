"""Debian's Mosquitto, as a test wants it: with passwords, with TLS, killed, started again."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
import random
import signal
import socket

PASSWORD = "a-password-of-nobody"
_DEADLINE_S = 10


def free_port() -> int:
    """Return a port that is free, and is given to no connection that goes out."""
    while True:
        # Linux takes those from 32768 on for connections.
        port = random.randrange(20_000, 32_768)  # noqa: S311
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def answers(port: int) -> bool:
    """Tell whether something listens on a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@dataclass
class Mosquitto:
    """A broker that comes back on its port.

    Attributes:
        folder: where its configuration lies.
        lines: of its configuration, beside the listener.
        port: where it listens.
    """

    folder: Path
    lines: Sequence[str] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and return when it listens."""
        config = self.folder / "mosquitto.conf"
        first = (f"listener {self.port} 127.0.0.1", "persistence false")
        # It is root that runs the tests, and another user could not read their folder.
        config.write_text("\n".join((*first, "user root", *self.lines, "")))
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto",
            "-c",
            str(config),
            env={"PATH": "/usr/sbin:/usr/bin"},
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_DEADLINE_S):
            while not await answers(self.port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """Kill it."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Let it end in order, if it still runs."""
        await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it fall silent, with all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it fell silent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        # One that is frozen hears nothing else.
        process.send_signal(signal.SIGCONT)
        await process.wait()
