"""What the documentation shows in Python works, stores and prints what it says."""

import ast
import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import FunctionType
from typing import Any

import aiohttp
import pytest

from sandbox import Sandbox
from tests.brokers import Mosquitto

from .blocks import PYTHON, ROOT, Block, blocks, is_like, run
from .servers import DEVICE, PASSWORD, TOKEN, as_here

PAGES = (
    "README.md",
    "docs/client.md",
    "docs/configuration.md",
    "docs/cookbook.md",
    "docs/exceptions.md",
    "docs/migration.md",
    "docs/mqtt.md",
)
ALL = [block for page in PAGES for block in blocks(page, "python")]
# It is run while the example runs that listens for it.
SENDER = next(block for block in ALL if ".send_command(" in block.text)
# It needs a server with a certificate.
WITH_TLS = next(block for block in ALL if "ca_file=" in block.text)
EXAMPLES = [block for block in ALL if block not in (SENDER, WITH_TLS)]

# What is shown where these are needed, and what cannot be read as a token can.
OF_AN_ACCOUNT = {
    "Send the past",
    "Read back what is stored",
    "A pandas frame, there and back",
    "Listen for commands",
}

ROOM: dict[str, list[float]] = {"temperature": [21.5], "humidity": [48]}
WARM: dict[str, list[float]] = {"temperature": [21.5]}
# What is on the server afterwards, by device and variable.
STORED: dict[str, dict[str, dict[str, list[float]]]] = {
    "README: From Python": {DEVICE: ROOM},
    "client: In four lines": {DEVICE: ROOM},
    "client: In an event loop": {DEVICE: ROOM},
    "client: Over MQTT": {DEVICE: ROOM},
    "client: Many at once": {DEVICE: WARM, "cellar": {"temperature": [12.25]}},
    "configuration: Configuration": {DEVICE: WARM},
    "cookbook: Send the past": {
        DEVICE: {"temperature": [21.5, 21.75, 22, 22.5], "humidity": [48, 47, 47]}
    },
    "cookbook: Survive the network": {DEVICE: {"temperature": [21.5]}},
    "cookbook: Many devices": {
        "attic": {"temperature": [20.5]},
        "cellar": {"temperature": [20.6]},
        DEVICE: {"temperature": [21]},
        "kitchen": {"temperature": [20.7]},
        "study": {"temperature": [20.5]},
    },
    "cookbook: Trust an authority of your own": {DEVICE: WARM},
    "cookbook: A second way to the server": {DEVICE: WARM},
    "migration: Change over": {
        "my-sensor": {"temperature": [23.5], "humidity": [65.2]}
    },
    "mqtt: Send readings": {DEVICE: WARM},
}


def stored(sandbox: Sandbox) -> dict[str, dict[str, list[float]]]:
    """Return what is on the server."""
    found: dict[str, dict[str, list[float]]] = {}
    for device in sandbox.store.devices():
        for row in sandbox.store.values(device.external_id):
            variables = found.setdefault(device.external_id, {})
            variables.setdefault(row.variable, []).append(float(row.value))
    return found


async def until_stored(sandbox: Sandbox) -> None:
    """Return when something is on the server."""
    while not stored(sandbox):  # noqa: ASYNC110 - another process brings it
        await asyncio.sleep(0.02)


async def send_commands(folder: Path, settings: dict[str, str]) -> None:
    """Send commands until somebody has heard one, and ends this."""
    program = folder / "sender.py"
    program.write_text(SENDER.text)
    while True:
        ended = await run(PYTHON, program, folder=folder, environment=settings)
        assert ended.code == 0, ended.errors


def environment(block: Block, sandbox: Sandbox, broker: Mosquitto) -> dict[str, str]:
    """Return the settings that the documentation tells people to make."""
    credential = (
        {"SENSORVISION_USERNAME": "alice", "SENSORVISION_PASSWORD": PASSWORD}
        if block.heading in OF_AN_ACCOUNT
        else {"SENSORVISION_API_KEY": TOKEN}
    )
    return {
        "SENSORVISION_URL": sandbox.url,
        "SENSORVISION_DEVICE_ID": DEVICE,
        "SENSORVISION_MQTT_HOST": "127.0.0.1",
        "SENSORVISION_MQTT_PORT": str(broker.port),
        **credential,
    }


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
async def test_example(
    block: Block, sandbox: Sandbox, broker: Mosquitto, tmp_path: Path
) -> None:
    await check(block, sandbox, broker, tmp_path)


async def test_example_with_an_authority_of_its_own(
    sandbox_with_tls: Sandbox, broker: Mosquitto, tmp_path: Path
) -> None:
    await check(WITH_TLS, sandbox_with_tls, broker, tmp_path)


async def check(
    block: Block, sandbox: Sandbox, broker: Mosquitto, tmp_path: Path
) -> None:
    """See that an example runs as it stands, but for the addresses."""
    expected = STORED.get(str(block))
    assert expected or block.output, "Say what it prints, or here what it stores"
    for file in blocks(block.page, "csv"):
        (tmp_path / "export.csv").write_text(file.text)
    program = tmp_path / "program.py"
    program.write_text(as_here(block.text, sandbox, broker))
    settings = environment(block, sandbox, broker)
    is_endless = "while True" in block.text
    meanwhile: Coroutine[Any, Any, None] | None = None
    if is_endless:
        meanwhile = until_stored(sandbox)
    elif block.heading == SENDER.heading:
        meanwhile = send_commands(tmp_path, settings)
    ended = await run(
        PYTHON,
        "-W",
        "error",
        program,
        folder=tmp_path,
        environment=settings,
        meanwhile=meanwhile,
    )
    if is_endless:
        assert ended.errors.endswith("KeyboardInterrupt\n")
    else:
        printed = ended.output + ended.errors
        assert is_like(block.output or "", printed), printed
        assert ended.code == 0
    if expected:
        async with asyncio.timeout(10):
            await until_stored(sandbox)
        assert stored(sandbox) == expected


async def test_a_sandbox_in_a_test() -> None:
    """The lines of its guide hold when something is sent where they say so."""
    (block,) = blocks("docs/sandbox.md", "python")
    gap = "...  # send something to sandbox.url"
    assert gap in block.text
    code = compile(
        block.text.replace(gap, "await send(sandbox.url)"),
        block.page,
        "exec",
        ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    await FunctionType(code, {"send": send_and_be_cut_off})()


async def send_and_be_cut_off(url: str) -> None:
    """Post a reading whose answer is lost."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(
                f"{url}/api/v1/ingest/dev-a",
                json={"temperature": 21.5},
                headers={"X-API-Key": TOKEN},
            )


def test_no_example_is_left_out() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    names = {str(page.relative_to(ROOT)) for page in pages}
    shown = {name for name in names if blocks(name, "python")}
    assert shown == {*PAGES, "docs/sandbox.md"}
