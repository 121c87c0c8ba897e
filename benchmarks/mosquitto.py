"""A real MQTT broker that can be killed and started again at the same address."""

import asyncio
from contextlib import suppress
import os
from pathlib import Path
import time

from demo.processes import StartError, free_port

_START_TIMEOUT_S = 10
_LOOK_EVERY_S = 0.02

_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
"""

# Debian keeps it where only root looks.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


class Mosquitto:
    """Mosquitto, forgetting everything with its process.

    Args:
        folder: takes its configuration.
        lines: of its configuration, beside the listener.

    Attributes:
        port: where it listens on this machine whenever it runs.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._configuration = folder / "mosquitto.conf"
        listener = _CONFIGURATION.format(port=self.port)
        self._configuration.write_text("\n".join((listener, *lines, "")))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Run it, and wait until it takes connections.

        Raises:
            StartError: it does not in time.
        """
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto",
            "-c",
            str(self._configuration),
            env={"PATH": _PATH},
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        await self.kill()
        raise StartError("Mosquitto takes no connections")

    async def kill(self) -> None:
        """End it at once, whatever it is doing."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.kill()
            await process.wait()
