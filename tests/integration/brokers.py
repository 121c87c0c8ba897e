"""A real broker, what cuts it off, and mirrors that deliver over it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
import math
from pathlib import Path
import subprocess
from types import TracebackType
from typing import Any, Self

from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)

from custom_components.sensorvision.const import (
    CONF_CHECKS_TOKENS,
    CONF_DELIVER_OVER,
    CONF_FORMED_BY,
    CONF_SENDING,
    CONF_TARGET,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
    SUBENTRY_TYPE_BROKER,
    SUBENTRY_TYPE_MIRROR,
)
from sandbox import Sandbox
from tests.brokers import free_port

HOST = "127.0.0.1"
BROKER_ID = "01JD00000000000000000BR0KR"
OTHER_BROKER_ID = "01JD00000000000000000THER0"
MIRROR_ID = "01JD000000000000000M1RR0R0"

BROKER_PASSWORD = "broker-password"
BROKER_LOGIN = {CONF_USERNAME: "house", CONF_PASSWORD: BROKER_PASSWORD}

TANK_TOKEN = "33333333-3333-4333-8333-333333333333"

_DEADLINE_S = 10


class Mosquitto:
    """Debian's Mosquitto on a port of its own.

    Args:
        folder: for its configuration.
        listener: what its own listener is told besides.

    Attributes:
        port: of its own listener.
        url: where the server finds it.
    """

    def __init__(self, folder: Path, listener: Iterable[str] = ()) -> None:
        """Run nothing yet."""
        self.port = free_port()
        server_port = free_port()
        self.url = f"mqtt://{HOST}:{server_port}"
        self._config = folder / "mosquitto.conf"
        lines = list(listener) or ["allow_anonymous true"]
        self._config.write_text(
            "\n".join(
                (
                    "per_listener_settings true",
                    "user root",
                    "persistence false",
                    f"listener {server_port} {HOST}",
                    "allow_anonymous true",
                    f"listener {self.port} {HOST}",
                    *lines,
                    "",
                )
            )
        )
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Run it."""
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto",
            "-c",
            str(self._config),
            env={"PATH": "/usr/sbin:/usr/bin"},
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_DEADLINE_S):
            while not await _answers(self.port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        assert self._process
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


def password_listener(folder: Path) -> list[str]:
    """Return what a listener is told that lets in whoever has the login."""
    file = folder / "passwords"
    user = BROKER_LOGIN[CONF_USERNAME]
    command = ["mosquitto_passwd", "-b", "-c", str(file), user, BROKER_PASSWORD]
    subprocess.run(command, check=True, capture_output=True)
    return ["allow_anonymous false", f"password_file {file}"]


class Line:
    """A line to a broker that can be cut, so that only one side of it is lonely.

    Attributes:
        port: where it begins.
        answers_left: how many more bytes of the broker's get through.
    """

    def __init__(self, port: int) -> None:
        """Lead to a port, as soon as it is mended."""
        self.port = free_port()
        self.answers_left = math.inf
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        """Let everything through."""
        self._server = await asyncio.start_server(self._connect, HOST, self.port)

    async def cut(self) -> None:
        """Let nothing through any more."""
        assert self._server
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await self._server.wait_closed()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(
            _copy(reader, far_writer), self._answer(far_reader, writer)
        )

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                passed = piece[: int(min(len(piece), self.answers_left))]
                self.answers_left -= len(passed)
                writer.write(passed)
                await writer.drain()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


def settings_of(port: int, **changes: object) -> dict[str, Any]:
    """Return what a broker's subentry holds, and what a person enters for it."""
    return {
        CONF_HOST: HOST,
        CONF_PORT: port,
        CONF_TOPIC_PREFIX: "indcloud",
        CONF_CHECKS_TOKENS: True,
        CONF_TLS: False,
        CONF_VERIFY_SSL: True,
        **changes,
    }


def broker(
    port: int, title: str = "Mosquitto", subentry_id: str = BROKER_ID, **changes: object
) -> ConfigSubentryDataWithId:
    """Return a broker that is saved."""
    return ConfigSubentryDataWithId(
        data=settings_of(port, **changes),
        subentry_id=subentry_id,
        subentry_type=SUBENTRY_TYPE_BROKER,
        title=title,
        unique_id=None,
    )


def choice_over(
    broker_id: str, formed_by: str = "device", **target: list[str]
) -> dict[str, Any]:
    """Return what a mirror keeps that delivers over a broker."""
    return {
        CONF_TARGET: target,
        CONF_SENDING: {CONF_DELIVER_OVER: broker_id, CONF_FORMED_BY: formed_by},
    }


def mirror_over(
    broker_id: str = BROKER_ID,
    title: str = "All",
    formed_by: str = "device",
    **target: list[str],
) -> ConfigSubentryDataWithId:
    """Return a mirror that delivers over a broker."""
    return ConfigSubentryDataWithId(
        data=choice_over(broker_id, formed_by, **target),
        subentry_id=MIRROR_ID,
        subentry_type=SUBENTRY_TYPE_MIRROR,
        title=title,
        unique_id=None,
    )


def add_tank(sandbox: Sandbox, token: str | None = TANK_TOKEN) -> None:
    """Have the server have the device of `sensor.tank`, with a token or without."""
    store = sandbox.store
    device = store.add_device(
        organization_id=store.organization_id("Organization A"),
        external_id="home.tank",
        now_us=0,
        token=token,
    )
    if token is None:
        store.update_device(device, api_token=None, token_created_at=None)
