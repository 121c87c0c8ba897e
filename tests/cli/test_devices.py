"""The devices of an account are listed and changed."""

import os
import pty
import sys

import pytest

from sandbox import Sandbox

from .command import Command


async def test_devices_are_listed(user: Command) -> None:
    ended = await user("devices", "list")
    assert ended.code == 0
    head, *rows = [line.split() for line in ended.out.splitlines()]
    assert head == ["device", "name", "status", "last", "seen", "location"]
    assert [row[0] for row in rows] == ["dev-a", "dev-a2"]
    told = (await user("devices", "list", "--json")).json()
    assert [each["device"] for each in told] == ["dev-a", "dev-a2"]
    assert told[0]["status"] == "ONLINE"
    assert told[0]["last_seen_at"].endswith("Z")


async def test_device_is_made_shown_changed_and_removed(
    account: Command, sandbox: Sandbox
) -> None:
    made = await account("devices", "add", "--json", "pump", "--location", "cellar")
    assert (made.code, made.json()["location"]) == (0, "cellar")
    changed = await account("devices", "update", "--json", "pump", "--name", "Pump 1")
    assert changed.json()["name"] == "Pump 1"
    assert changed.json()["location"] == "cellar"
    await account("send", "pump", "pressure=2.5")
    shown = await account("devices", "show", "pump")
    assert "cellar" in shown.out
    assert shown.out.splitlines()[-1].split()[:2] == ["pressure", "2.5"]
    told = (await account("devices", "show", "--json", "pump")).json()
    (variable,) = told["variables"]
    assert (variable["variable"], variable["value"]) == ("pressure", 2.5)
    removed = await account("devices", "remove", "--json", "--yes", "pump")
    assert removed.json() == {"device": "pump", "removed": True}
    assert sandbox.store.device("pump") is None


async def test_values_are_not_shown_to_a_user_key(user: Command) -> None:
    shown = await user("devices", "show", "dev-a")
    assert shown.code == 0
    assert "to an account with its password alone" in shown.out
    assert (await user("devices", "show", "--json", "dev-a")).json()[
        "variables"
    ] is None


async def test_plain_words_say_what_was_done(account: Command) -> None:
    assert (await account("devices", "add", "pump")).out == (
        "Made pump.\nGet its token with `sensorvision devices token pump`.\n"
    )
    assert (await account("devices", "update", "pump", "--name", "P")).out == (
        "Changed pump.\n"
    )
    removed = await account("devices", "remove", "--yes", "pump")
    assert removed.out == "Removed pump with all its data.\n"


async def test_nothing_to_change_is_told(account: Command) -> None:
    ended = await account("devices", "update", "dev-a")
    assert ended.code == 2
    assert "--sensor-type" in ended.err


async def test_device_that_is_there_is_not_made_twice(account: Command) -> None:
    ended = await account("devices", "add", "--json", "dev-a")
    assert ended.code == 9
    assert ended.error()["error"] == "device_exists"


async def test_empty_account_is_told_how_to_begin(
    account: Command, sandbox: Sandbox
) -> None:
    for name in ("dev-a", "dev-a2"):
        await account("devices", "remove", "--yes", name)
    assert (await account("devices", "list")).out == (
        "There is no device yet. Add one with `sensorvision devices add ID`.\n"
    )


async def test_nothing_is_removed_unasked(account: Command, sandbox: Sandbox) -> None:
    ended = await account("devices", "remove", "dev-a")
    assert ended.code == 2
    assert "--yes" in ended.err
    assert sandbox.store.device("dev-a") is not None


async def test_token_is_printed_alone(account: Command, sandbox: Sandbox) -> None:
    ended = await account("devices", "token", "--rotate", "dev-a")
    token = ended.out.strip()
    owner = sandbox.store.token_owner(token)
    assert owner is not None
    told = await account("devices", "token", "--json", "dev-a2", "--rotate")
    assert told.json()["token"] != token
    there = await account("devices", "token", "dev-a")
    assert there.code == 9
    assert "rotate" in there.err


@pytest.mark.parametrize(("answer", "is_removed"), [(b"y\n", True), (b"n\n", False)])
async def test_person_is_asked_before_a_device_is_removed(
    account: Command, sandbox: Sandbox, answer: bytes, is_removed: bool
) -> None:
    import asyncio

    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "devices", "remove", "dev-a"),
        cwd=account.folder,
        env=account.environment(),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    os.write(ours, answer)
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    os.close(ours)
    assert b"for good? [y/N]" in out
    assert (sandbox.store.device("dev-a") is None) is is_removed
    assert process.returncode == (0 if is_removed else 130)
