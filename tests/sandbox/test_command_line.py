"""``python -m sandbox`` as a process of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import re
import ssl
import sys
import time

import aiohttp
import pytest
import trustme

from sandbox.__main__ import main
from tests.brokers import free_port

from .conftest import DEV_A_TOKEN
from .wire import DEADLINE_S, send

_ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def _running(*arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run the sandbox as a process until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        *arguments,
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line(process: asyncio.subprocess.Process) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    async with asyncio.timeout(3 * DEADLINE_S):
        return (await process.stdout.readline()).decode()


async def _stopped_in_time(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Ask a process to end; return its status, what more it printed, and its errors."""
    started = time.monotonic()
    process.terminate()
    async with asyncio.timeout(DEADLINE_S):
        output, errors = await process.communicate()
    assert time.monotonic() - started < 1
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_fixtures_are_announced_by_exactly_one_line_of_json() -> None:
    """It is ready then, can be reset, and ends at once and in silence."""
    async with _running(
        "--fixtures", "contract", "--port", "0", "--mqtt-port", "0"
    ) as process:
        addresses = json.loads(await _line(process))
        assert list(addresses) == ["http", "mqtt"]
        headers = {"X-API-Key": DEV_A_TOKEN, "Content-Type": "application/json"}
        url, path = addresses["http"], "/api/v1/ingest/dev-a"
        stored = await send(url, "POST", path, headers, '{"t":1}')
        assert stored.status == 200
        reset = await send(url, "POST", "/_sandbox/reset", body='{"broker":"up"}')
        assert reset.status == 204
        broker = await send(url, "GET", "/api/v1/connectivity/mqtt")
        assert broker.json()["status"] == "online"
        assert addresses["mqtt"].startswith("mqtt://127.0.0.1:")
        assert await _stopped_in_time(process) == (0, "", "")


async def test_database_file_keeps_account_token_and_readings(tmp_path: Path) -> None:
    """A second start prints the same."""
    arguments = (
        *("--json", "--port", "0", "--broker", "none", "--user", "eve:secret-word"),
        *("--organization", "Lab", "--device", "one", "--device", "two:some-token"),
        *("--database", str(tmp_path / "sandbox.sqlite")),
    )
    async with _running(*arguments) as process:
        first = json.loads(await _line(process))
        headers = {"X-API-Key": first["token"], "Content-Type": "application/json"}
        path = "/api/v1/ingest/one"
        assert (
            await send(first["http"], "POST", path, headers, '{"t":1}')
        ).status == 200
        await _stopped_in_time(process)
    async with _running(
        "--json", "--port", "0", *arguments[3:5], *arguments[-2:]
    ) as process:
        second = json.loads(await _line(process))
        state = (await send(second["http"], "GET", "/_sandbox/state")).json()
        await _stopped_in_time(process)
    assert {**second, "http": first["http"]} == first
    assert (first["username"], first["password"]) == ("eve", "secret-word")
    assert (first["device"], first["mqtt"]) == ("one", None)
    assert [device["id"] for device in state["devices"]] == ["one", "two"]
    assert state["devices"][0]["variables"][0]["value"] == 1


async def test_person_is_told_how_to_send_a_first_reading() -> None:
    """URL, token and account are there, and the command works as it is printed."""
    async with _running("--port", "0", "--mqtt-port", "0") as process:
        text = ""
        while "Ctrl-C" not in text:
            text += await _line(process)
        command = re.search(r"curl .*?'\{.*?\}'", text, re.DOTALL)
        assert command is not None
        assert "demo / demo-password" in text
        curl = await asyncio.create_subprocess_shell(
            f"{command[0]} --silent", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await curl.communicate()
        assert json.loads(output)["success"] is True
        assert (await _stopped_in_time(process))[0] == 0


async def test_faults_and_modes_are_on_from_the_start() -> None:
    """The first request meets them."""
    async with _running(
        *("--fixtures", "contract", "--port", "0", "--broker", "none"),
        *("--fault", "http_503:1", "--mode", "no_connectivity", "--nginx"),
    ) as process:
        addresses = json.loads(await _line(process))
        assert addresses["mqtt"] is None
        path = "/api/v1/connectivity/http"
        assert (await send(addresses["http"], "GET", path)).status == 503
        assert (await send(addresses["http"], "GET", path)).status == 401


async def test_https_is_served_with_a_given_certificate(tmp_path: Path) -> None:
    """A client that knows the authority is content."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    certificate.private_key_pem.write_to_path(str(key))
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    arguments = ("--fixtures", "contract", "--port", "0", "--broker", "none")
    async with _running(*arguments, "--tls", str(chain), str(key)) as process:
        url = json.loads(await _line(process))["http"]
        assert url.startswith("https://127.0.0.1:")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/actuator/health", ssl=context) as response,
        ):
            assert (await response.json(content_type=None))["status"] == "UP"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "flood"), "There is no fault 'flood'"),
        (("--fault", "http_503:x"), "is not times=N"),
        (("--user", "nameless"), "NAME:PASSWORD"),
        (("--mode", "yesterday"), "before_2026_01_18"),
    ],
)
def test_bad_argument_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """The text says what would do."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


async def test_port_that_is_taken_is_told_in_words() -> None:
    """No traceback, and a status that says so."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with server, _running("--port", str(port), "--broker", "none") as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().startswith("The sandbox cannot start: ")
    assert "Traceback" not in errors.decode()


async def test_mqtt_port_that_is_taken_is_told_in_words() -> None:
    """The remedy is there too."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with server, _running("--port", "0", "--mqtt-port", str(port)) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors.decode()
    assert "--mqtt-port" in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_bad_broker_address_is_told_in_words() -> None:
    """The text says how to write it."""
    async with _running("--port", str(free_port()), "--broker", "localhost") as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert "mqtt://HOST:PORT" in errors.decode()
    assert "Traceback" not in errors.decode()
