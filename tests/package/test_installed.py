"""The wheel does its work where it is installed, in a clean Python outside this checkout."""

import asyncio
import json
import os
from pathlib import Path
import re
import shutil

from sandbox import Sandbox, Settings
from sandbox.fixtures import ALICE_PASSWORD, DEV_A_TOKEN
from tests.brokers import Mosquitto

from .conftest import ROOT, Environment

_DEADLINE_S = 180
_INSTALLED = Path(__file__).with_name("installed")
_TABLE = ROOT / "tests" / "client" / "protocol_table.py"


async def run(command: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Run a command that finds nothing of this checkout; return how it ended, and its output."""
    kept = {"PATH", "LANG", "TMPDIR"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name in kept},
            "HOME": str(folder),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_DEADLINE_S):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_installed_package_does_its_work(
    environment: Environment, tmp_path: Path
) -> None:
    tests = tmp_path / _INSTALLED.name
    shutil.copytree(_INSTALLED, tests, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_TABLE, tests)
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        settings = Settings(fixtures="contract", broker=broker.url, mqtt_auth=False)
        async with Sandbox(settings) as sandbox:
            servers = {
                "url": sandbox.url,
                "token": DEV_A_TOKEN,
                "username": "alice",
                "password": ALICE_PASSWORD,
                "broker_port": broker.port,
            }
            (tests / "servers.json").write_text(json.dumps(servers))
            code, output = await run(
                (environment.python, "-I", "-m", "pytest", "-q", _INSTALLED.name),
                tmp_path,
            )
    finally:
        await broker.stop()
    assert code == 0, output
    passed = re.search(r"^(\d+) passed in ", output, re.MULTILINE)
    assert passed, output
    assert int(passed[1]) > 200


async def test_what_needs_an_extra_names_it(
    bare_environment: Environment, tmp_path: Path
) -> None:
    for name, extra in (("SensorVisionClient", "sync"), ("MQTTClient", "mqtt")):
        code, output = await run(
            (bare_environment.python, "-I", "-c", f"from sensorvision import {name}"),
            tmp_path,
        )
        assert code == 1
        assert output.rstrip().endswith(f'pip install "sensorvision[{extra}]"')


async def test_command_line_names_its_extra(
    bare_environment: Environment, tmp_path: Path
) -> None:
    command = str(Path(bare_environment.python).with_name("sensorvision"))
    code, output = await run((command, "--version"), tmp_path)
    assert code == 6
    assert output == (
        "The command line needs click, which is not installed: "
        'pip install "sensorvision[cli]"\n'
    )


async def test_async_client_needs_no_extra(
    bare_environment: Environment, tmp_path: Path
) -> None:
    program = """
import asyncio, sys
from sensorvision import AsyncSensorVisionClient

async def main():
    async with AsyncSensorVisionClient(sys.argv[1], api_key=sys.argv[2]) as client:
        await client.send_data("dev-a", {"temperature": 21.5})

asyncio.run(main())
"""
    async with Sandbox(Settings(fixtures="contract")) as sandbox:
        code, output = await run(
            (bare_environment.python, "-I", "-c", program, sandbox.url, DEV_A_TOKEN),
            tmp_path,
        )
        assert code == 0, output
        assert sandbox.store.values("dev-a", "temperature")
