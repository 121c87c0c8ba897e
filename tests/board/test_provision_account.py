"""A board gets its device and its token from the server, with a person's login."""

from pathlib import Path
import re

import pytest

from micropython.provision.account import Account
from micropython.provision.errors import Exit, ProvisionError
from sandbox import Sandbox
from sandbox.fixtures import ALICE_PASSWORD
from sensorvision.version import __version__

from .conftest import Plug
from .provisioning import board, flash, options

_LOGIN = {"SENSORVISION_TOKEN": "", "SENSORVISION_PASSWORD": ALICE_PASSWORD}


async def test_login_makes_the_device_and_its_token_and_the_board_keeps_it(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox, "attic"), "--login=alice", **_LOGIN)
    assert first.code == Exit.DONE, first.output
    assert "The server has the device attic, and made a token for it." in first.output
    device = sandbox.store.device("attic")
    assert device
    assert device.api_token
    assert device.api_token not in first.output
    assert re.fullmatch(
        rf"sensorvision {re.escape(__version__)} \(\w+\), MicroPython 1\.\d+\.\d+",
        device.firmware_version or "",
    )
    assert sandbox.store.values("attic", "temperature")
    # The token is on the board: nobody has to log in for the next change.
    again = await board("configure", port, "--interval=2", "--login=alice")
    assert again.code == Exit.DONE, again.output
    assert "made a token" not in again.output
    after = sandbox.store.device("attic")
    assert after
    assert after.api_token == device.api_token


async def test_token_that_is_there_is_replaced_only_when_asked(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    given = [*options(sandbox), "--login=alice"]
    refused = await flash(port, *given, **_LOGIN)
    assert refused.code == Exit.ACCOUNT
    assert "dev-a has a token already" in refused.output
    assert "SENSORVISION_TOKEN, or replace it with --rotate-token." in refused.output
    before = sandbox.store.device("dev-a")
    rotated = await flash(port, *given, "--rotate-token", **_LOGIN)
    assert rotated.code == Exit.DONE, rotated.output
    after = sandbox.store.device("dev-a")
    assert before
    assert after
    assert before.api_token != after.api_token
    assert (after.firmware_version or "").startswith("sensorvision ")
    assert sandbox.store.values("dev-a", "temperature")


async def test_wrong_password_is_told_before_the_board_is_changed(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    ended = await flash(
        port,
        *options(sandbox, "attic"),
        "--login=alice",
        SENSORVISION_TOKEN="",
        SENSORVISION_PASSWORD="not-the-password",
    )
    assert ended.code == Exit.ACCOUNT
    assert "Check user name and password." in ended.output
    assert sandbox.store.device("attic") is None
    fresh = await board("test", port)
    assert "The port is not on this board yet." in fresh.output


async def test_device_id_of_others_is_told(plug: Plug, sandbox: Sandbox) -> None:
    port = await plug()
    ended = await flash(port, *options(sandbox, "dev-b"), "--login=alice", **_LOGIN)
    assert ended.code == Exit.ACCOUNT
    assert "Choose another device id" in ended.output


async def test_login_at_a_broker_is_refused(plug: Plug) -> None:
    port = await plug()
    given = options("mqtt://127.0.0.1:1", "attic")
    ended = await flash(port, *given, "--login=alice", **_LOGIN)
    assert ended.code == Exit.SETTINGS
    assert "Give it with --server, such as https://" in ended.output


def test_server_that_is_away_is_told() -> None:
    with (
        Account("http://127.0.0.1:1", "alice", "secret-of-alice", None) as account,
        pytest.raises(ProvisionError, match="Check that the server is on") as caught,
    ):
        account.token("attic", firmware="none", is_rotated=False)
    assert caught.value.code == Exit.ACCOUNT
    assert "secret-of-alice" not in str(caught.value)


async def test_missing_password_is_asked_for_by_name(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    ended = await flash(
        port, *options(sandbox, "attic"), "--login=alice", SENSORVISION_TOKEN=""
    )
    assert ended.code == Exit.SETTINGS
    assert "environment as SENSORVISION_PASSWORD." in ended.output
