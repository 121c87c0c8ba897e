"""Run the host's command, as a person does."""

import asyncio
from dataclasses import dataclass
import os
import sys

from micropython import ROOT
from sandbox import Sandbox

from .conftest import TOKEN

PASSWORD = "secret-of-wifi"
LOGIN_PASSWORD = "secret-of-alice"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str


async def command(*arguments: str, **environment: str) -> Ended:
    """Run a Python module as a command, without a terminal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    return Ended(process.returncode or 0, output.decode())


async def board(name: str, port: str, *options: str, **environment: str) -> Ended:
    """Run a command for the board at a port; no secret may show in what it prints."""
    ended = await command("cli", "board", name, "--port", port, *options, **environment)
    assert "Traceback" not in ended.output
    for secret in (TOKEN, PASSWORD, LOGIN_PASSWORD, *environment.values()):
        assert not secret or secret not in ended.output
    return ended


async def flash(port: str, *options: str, **environment: str) -> Ended:
    """Run the flash command with the token in its environment."""
    return await board(
        "flash", port, *options, **{"SENSORVISION_TOKEN": TOKEN, **environment}
    )


def options(url: Sandbox | str, device_id: str = "dev-a") -> list[str]:
    """Return the options of a first flash."""
    given = {
        "url": url if isinstance(url, str) else url.url,
        "device-id": device_id,
        "interval": "1",
        "sensor": "bme280:sda=21,scl=22",
    }
    return [f"--{name}={value}" for name, value in given.items()]
