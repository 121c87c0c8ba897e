"""Each exit code is reached, and each error is a sentence with a remedy."""

import asyncio
import json
import signal

import pytest

from cli.board.errors import Exit as BoardExit
from cli.exits import MEANINGS, Exit
from sandbox import Sandbox
from sandbox.fixtures import DEV_A_TOKEN

from .command import Command, ended

_SEND = ("send", "dev-a", "t=1")
_STRANGER = "99999999-9999-4999-8999-999999999999"


async def test_done(device: Command) -> None:
    assert (await device(*_SEND)).code == Exit.DONE


async def test_failed_check(device: Command) -> None:
    command = device.with_variables(SENSORVISION_API_KEY=_STRANGER)
    assert (await command("doctor")).code == Exit.NOT_DELIVERED


@pytest.mark.parametrize(
    "words", [("sned",), ("send", "--colour", "dev-a"), ("completion", "tcsh")]
)
async def test_wrong_options(bare: Command, words: tuple[str, ...]) -> None:
    plain, told = await asyncio.gather(bare(*words), bare(*words, "--json"))
    assert plain.code == told.code == Exit.USAGE
    assert plain.err.startswith("Error: ")
    assert plain.err.endswith("--help`.\n")
    assert told.error()["error"] == "usage"


async def test_no_settings(bare: Command) -> None:
    plain = await bare(*_SEND)
    assert plain.code == Exit.SETTINGS
    assert "SENSORVISION_URL" in plain.err
    told = await bare("devices", "list", "--json")
    assert told.code == Exit.SETTINGS
    assert set(told.error()) == {"error", "message", "remedy"}


async def test_refused_token(device: Command) -> None:
    command = device.with_variables(SENSORVISION_API_KEY=_STRANGER)
    refused = await command(*_SEND, "--json")
    assert refused.code == Exit.ACCOUNT
    assert refused.error()["error"] == "auth"
    assert _STRANGER not in refused.err + refused.out


async def test_device_of_others(device: Command) -> None:
    assert (await device("send", "dev-b", "t=1")).code == Exit.ACCOUNT


async def test_server_is_away(device: Command, unused_tcp_port: int) -> None:
    command = device.with_variables(
        SENSORVISION_URL=f"http://127.0.0.1:{unused_tcp_port}",
        SENSORVISION_RETRIES="0",
    )
    refused = await command(*_SEND, "--json")
    assert refused.code == Exit.NETWORK
    assert refused.error()["error"] == "network"
    assert refused.error()["remedy"] == (
        "Check that the server is on and that this machine reaches it"
    )


async def test_server_in_trouble(device: Command, sandbox: Sandbox) -> None:
    sandbox.faults.set("http_500")
    command = device.with_variables(SENSORVISION_RETRIES="0")
    assert (await command(*_SEND)).code == Exit.SERVER


async def test_another_server(device: Command, sandbox: Sandbox) -> None:
    sandbox.faults.set("html_200")
    command = device.with_variables(SENSORVISION_RETRIES="0")
    assert (await command(*_SEND)).code == Exit.SERVER


async def test_bad_value(device: Command) -> None:
    assert (await device("send", "dev-a", "t=1e99")).code == Exit.DATA


async def test_missing_file(user: Command) -> None:
    missing = await user("replay", "none.csv")
    assert missing.code == Exit.DATA
    assert missing.err == (
        "Error: none.csv can't be used: No such file or directory."
        " Check the path and its rights.\n"
    )


async def test_capability(device: Command) -> None:
    assert (await device("devices", "list")).code == Exit.CAPABILITY


async def test_interrupted(device: Command, sandbox: Sandbox) -> None:
    sandbox.faults.set("latency", seconds=30)
    process = await device.start(*_SEND, "--json")
    async with asyncio.timeout(30):
        while not sandbox.store.values("dev-a"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGINT)
    interrupted = await ended(process)
    assert interrupted.code == Exit.INTERRUPTED
    assert interrupted.error()["error"] == "interrupted"


def test_codes_mean_the_same_for_boards() -> None:
    board = {each.name: each.value for each in BoardExit}
    assert board.items() <= {each.name: each.value for each in Exit}.items()


@pytest.mark.parametrize("words", [(), ("send",), ("devices",), ("devices", "add")])
async def test_help_lists_the_codes(bare: Command, words: tuple[str, ...]) -> None:
    shown = (await bare(*words, "--help")).out
    for code in Exit:
        meaning = MEANINGS[code]
        is_listed = f"{code.value:>3}  {meaning}" in shown
        assert is_listed is (not words or not meaning.startswith("board: "))
    assert max(map(len, shown.splitlines())) <= 80


async def test_version_names_the_build(bare: Command) -> None:
    shown = await bare("--version")
    assert shown.code == 0
    assert shown.out.startswith("sensorvision ")
    assert "(unknown)" in shown.out


async def test_reader_that_has_enough_ends_it_quietly(account: Command) -> None:
    process = await account.start("devices", "list", "--json")
    assert process.stdout is not None
    # The reading end is closed before anything is written.
    process.stdout._transport.close()  # type: ignore[attr-defined]
    assert process.stderr is not None
    async with asyncio.timeout(30):
        assert await process.stderr.read() == b""
        assert await process.wait() == Exit.NOT_DELIVERED


async def test_no_secret_is_said(device: Command) -> None:
    shown = await device("config", "--json")
    assert DEV_A_TOKEN not in shown.out
    assert json.loads(shown.out)["api_key"] == {
        "value": "***",
        "source": "the variable SENSORVISION_API_KEY",
    }
