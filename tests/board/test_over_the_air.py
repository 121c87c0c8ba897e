"""A whole node that is updated over the air while it reports."""

import asyncio
from pathlib import Path

from micropython.provision.release import port_version, write_release
from proofs.releases import KEY, Releases, offering
from sandbox import Sandbox

from .conftest import NewBoard, node_settings
from .test_node import eventually

_TIMEOUT_S = 40


def offer(releases: Releases, directory: Path, version: str) -> None:
    """Offer this port, built as a release of a version."""
    write_release(directory, version, KEY)
    releases.files = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def count(sandbox: Sandbox) -> int:
    """Count the temperatures that the server has."""
    return len(sandbox.store.values("dev-a", "temperature"))


async def test_node_fetches_a_version_confirms_it_and_goes_on(
    tmp_path: Path, new_board: NewBoard, sandbox: Sandbox
) -> None:
    async with offering() as releases:
        await asyncio.to_thread(offer, releases, tmp_path / "release", "9.1.0")
        update = {"url": releases.url, "key": KEY}
        board = new_board(node_settings(sandbox.url, update=update))
        async with board:
            await board.wait_for_line("update: fetched", _TIMEOUT_S)
            await board.wait_for_line("sensorvision 9.1.0 on", _TIMEOUT_S)
            await board.wait_for_line("update: confirmed", _TIMEOUT_S)
            before = len(board.lines)
            await board.wait_for_line("delivered ", _TIMEOUT_S, after=before)
    assert board.lines[0].startswith(f"sensorvision {port_version()} on")
    assert board.resets == 1
    assert count(sandbox) >= 2
    assert KEY not in "\n".join(board.lines)
    names = {path.name for path in board.flash.iterdir()}
    assert "sensorvision.old" not in names
    assert "sensorvision.new" not in names
    assert not list((board.flash / "sensorvision").rglob("*.py"))


async def test_node_whose_new_version_crashes_reports_with_the_old_one(
    tmp_path: Path, new_board: NewBoard, sandbox: Sandbox
) -> None:
    async with offering() as releases:
        broken = {"__init__.py": b"", "start.py": b"import no_such_module\n"}
        releases.offer("9.1.0", broken)
        update = {"url": releases.url, "key": KEY}
        board = new_board(node_settings(sandbox.url, update=update))
        async with board:
            await board.wait_for_line("update: fetched", _TIMEOUT_S)
            await board.wait_for_line("this version failed", _TIMEOUT_S)
            before = len(board.lines)
            await board.wait_for_line("delivered ", _TIMEOUT_S, after=before)
            await eventually(lambda: releases.asked.count("manifest.sig") == 2)
            before = count(sandbox)
            await eventually(lambda: count(sandbox) > before)
    assert board.resets == 2
    # Looked at again, but not fetched again.
    assert releases.asked.count("start.py") == 1
