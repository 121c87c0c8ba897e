"""A real Home Assistant that mirrors into a sandbox, and may be killed at any time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
import time

import aiohttp

from demo.home_assistant import (
    HomeAssistantApi,
    onboard,
    wait_until_running,
    wait_until_served,
)
from demo.house import furnish
from demo.processes import StartError, free_port, running
from demo.server import Server

# What every Home Assistant has, without even a recorder.
_CONFIGURATION = """\
homeassistant:
  name: Proof
  latitude: 52.37
  longitude: 4.9
  elevation: 2
  unit_system: metric
  time_zone: Europe/Amsterdam
  country: NL
  currency: EUR
  language: en

config:
logger:
  default: warning
  logs:
    custom_components.sensorvision: info
    custom_components.sensorvision.stopping: debug
"""

_OPTIONS = {"commit_interval": 1, "max_size": 100, "max_age": 30, "fill_gaps": False}

# The first mirror is asked for before there is a broker.
_NOTHING = {"name": "Nothing", "target": {"entity_id": ["sensor.nothing"]}}

_BROKER = {
    "tls": False,
    "verify_ssl": True,
    "topic_prefix": "indcloud",
    "checks_tokens": True,
}
_SENDING = {"formed_by": "device", "when": "change", "interval": 60, "heartbeat": 30}

_START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Life:
    """One run of a Home Assistant.

    Attributes:
        process: it, from its first moment on.
        api: to talk to it once it serves.
    """

    process: asyncio.subprocess.Process
    api: HomeAssistantApi


@dataclass(frozen=True)
class Home:
    """A Home Assistant's configuration, which outlives its process.

    Attributes:
        config_dir: the folder.
        url: where it serves whenever it runs.
        token: good for a day.
        logs: the folder that takes a log of each life.
    """

    config_dir: Path
    url: str
    token: str
    logs: Path

    def log_of(self, name: str) -> Path:
        """Return the log of a life."""
        return self.logs / f"{name}.log"

    def add_integration(self, folder: Path, settings: str) -> None:
        """Let it run another integration from its next life on.

        Args:
            folder: of the integration, named as its domain.
            settings: what is said of it in configuration.yaml.
        """
        custom_components = self.config_dir / "custom_components"
        # Without it, it would give way to the folder of this repository.
        (custom_components / "__init__.py").touch()
        (custom_components / folder.name).symlink_to(folder)
        with (self.config_dir / "configuration.yaml").open("a") as file:
            file.write(f"{folder.name}: {settings}\n")

    @asynccontextmanager
    async def life(self, name: str) -> AsyncIterator[Life]:
        """Run it until it is killed, or stopped by the end of the block."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            running(_command(self.config_dir), self.log_of(name)) as process,
            aiohttp.ClientSession(headers=headers) as session,
        ):
            yield Life(process, HomeAssistantApi(self.url, session))


async def wait_until_mirroring(life: Life) -> None:
    """Wait until a Home Assistant runs, and so mirrors.

    Raises:
        StartError: it ended, or does not in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and life.process.returncode is None:
        # It serves before it runs.
        with suppress(aiohttp.ClientError):
            if (await life.api.get("/api/config"))["state"] == "RUNNING":
                return
        await asyncio.sleep(0.1)
    raise StartError("Home Assistant ended, or did not run in time. See its log")


async def make_home(
    folder: Path,
    server: Server,
    entity_ids: Iterable[str],
    broker_port: int | None = None,
) -> Home:
    """Make a home that mirrors entities with the server's account.

    The connection and the mirror are entered as a person does, then it is stopped.
    Nothing is filled from a recorder: what is proven is the outbox alone.

    Args:
        folder: takes the configuration and the logs.
        server: where to mirror to.
        entity_ids: what to mirror; it need not exist.
        broker_port: where on this machine a broker is to deliver over, if not over HTTP.

    Raises:
        StartError: it did not start, or refused something.
    """
    port = free_port()
    mirror = {"name": "All", "target": {"entity_id": list(entity_ids)}}
    config_dir = folder / "homeassistant"
    furnish(config_dir, port, _CONFIGURATION)
    url = f"http://127.0.0.1:{port}"
    log = folder / "first.log"
    async with running(_command(config_dir), log) as process:
        async with aiohttp.ClientSession() as session:
            await wait_until_served(process, session, url, log)
            token = await onboard(session, url)
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            api = HomeAssistantApi(url, session)
            await wait_until_running(api)
            await api.add_integration(
                {
                    "url": server.url,
                    "username": server.username,
                    "password": server.password,
                    "prefix": "proof",
                    "verify_ssl": True,
                },
                mirror if broker_port is None else _NOTHING,
            )
            await api.choose_options(_OPTIONS)
            if broker_port is not None:
                broker = {"name": "Broker", "host": "127.0.0.1", "port": broker_port}
                broker_id = await api.add_broker({**broker, **_BROKER})
                sending = {**_SENDING, "deliver_over": broker_id}
                await api.add_mirror({**mirror, "sending": sending})
    return Home(config_dir, url, token, folder)


def _command(config_dir: Path) -> list[str]:
    return ["-m", "homeassistant", "-c", str(config_dir), "--skip-pip"]
