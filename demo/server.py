"""The local SensorVision server of the demo."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path

from .processes import StartError, first_line, running

_START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Server:
    """A running sandbox.

    Attributes:
        url: where its API and its page are.
        mqtt_url: where its MQTT broker listens.
        device_id: a device that it has from the beginning.
        token: the device's token, good for every device of its organisation.
        username: account that owns the organisation.
        password: its password.
        database: the SQLite file that it stores into.
    """

    url: str
    mqtt_url: str
    device_id: str
    token: str
    username: str
    password: str
    database: Path


@asynccontextmanager
async def server(folder: Path, *, broker: str | None = None) -> AsyncIterator[Server]:
    """Run a fresh sandbox until the block ends.

    Args:
        folder: takes its database and its log.
        broker: the MQTT broker that it is to read from; None for one of its own.

    Raises:
        StartError: it did not say in time where it serves.
    """
    database = folder / "sensorvision.sqlite"
    log = folder / "sensorvision.log"
    _remove(database)
    command = [
        "-m",
        "sandbox",
        "--json",
        "--port",
        "0",
        "--mqtt-port",
        "0",
        "--database",
        str(database),
        *(["--broker", broker] if broker else []),
    ]
    async with running(command, log, asyncio.subprocess.PIPE) as process:
        told = json.loads(await first_line(process, _START_TIMEOUT_S) or "null")
        if told is None:
            raise StartError(f"The sandbox did not start. Its log is {log}")
        yield Server(
            url=told["http"],
            mqtt_url=told["mqtt"],
            device_id=told["device"],
            token=told["token"],
            username=told["username"],
            password=told["password"],
            database=database,
        )


def _remove(database: Path) -> None:
    """Remove a database with its journals."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
