"""What the command does with a board is told to programs, too."""

import json
from typing import Any

from micropython.provision.errors import Exit
from sandbox import Sandbox

from .conftest import Plug
from .provisioning import Ended, board, command, flash, options


def told(ended: Ended) -> dict[str, list[dict[str, Any]]]:
    """Return what was told, by its event; every line is JSON."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in ended.output.splitlines():
        each = json.loads(line)
        found.setdefault(each.get("event", "trouble"), []).append(each)
    return found


async def test_flash_tells_each_step_to_the_first_reading(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    ended = await flash(port, *options(sandbox), "--json")
    assert ended.code == Exit.DONE, ended.output
    events = told(ended)
    assert set(events) >= {"firmware", "copied", "step", "start", "log", "delivered"}
    assert events["copied"][0]["changed"] > 10
    assert all(step["ok"] for step in events["step"])
    assert "temperature=" in events["delivered"][0]["reading"]
    tested = told(await board("test", port, "--json"))
    assert {step["name"] for step in tested["step"]} >= {"settings", "delivery"}


async def test_boards_are_listed_as_lines(plug: Plug) -> None:
    port = await plug()
    (line,) = told(await board("list", port, "--json"))["board"]
    assert line["port"] == port
    assert line["answer"].startswith("MicroPython")


async def test_error_is_told_with_its_remedy() -> None:
    ended = await command("cli", "board", "list", "--port", "/dev/none", "--json")
    assert ended.code == Exit.NO_BOARD
    (error,) = told(ended)["trouble"]
    assert error["error"] == "no_board"
    assert error["message"] == "There is no port /dev/none"
    assert error["remedy"].startswith("Plug the board in")
