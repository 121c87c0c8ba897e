"""The way into the network, on radios that behave as real ones do."""

from pathlib import Path
from typing import Any

import pytest

from micropython.simulator import Clock, SimulatedBoard, wlan
from sandbox import Sandbox

from .conftest import WIFI, NewBoard, healthy_world, node_settings
from .jumping import jumping_board

_STATIC = {
    "address": "127.0.0.77",
    "netmask": "255.0.0.0",
    "gateway": "127.0.0.1",
    "dns": "127.0.0.1",
}
_JOINED = "wifi: in home as 127.0.0.1"


def _board(
    directory: Path, url: str, radio: dict[str, Any], wifi: object
) -> SimulatedBoard:
    return jumping_board(
        directory,
        node_settings(url, wifi=wifi),
        {**healthy_world(), "wlan": radio},
        Clock(directory / "clock"),
    )


async def test_network_that_worked_last_is_tried_before_the_others(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    networks = [{"ssid": "home"}, {"ssid": "shed"}]
    radio = wlan([1001, 1010], ssids=["shed"])
    async with _board(tmp_path, sandbox.url, radio, networks) as board:
        line = await board.wait_for_line("wifi: ")
        assert line == "wifi: in shed as 127.0.0.1"
        await board.wait_for_line("delivered ")
        # From now on both are in reach.
        board.change_world({**healthy_world(), "wlan": wlan([1001, 1001, 1010])})
        seen = len(board.lines)
        line = await board.wait_for_line("wifi: ", after=seen)
    assert line == "wifi: in shed as 127.0.0.1"
    assert board.resets == 0


async def test_each_network_that_can_not_be_joined_is_told_with_its_status(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    networks = [{"ssid": "home"}, {"ssid": "shed", "password": "wrong-secret"}]
    radio = wlan([1001, 1010], ssids=["shed"], password="right-secret")
    async with _board(tmp_path, sandbox.url, radio, networks) as board:
        line = await board.wait_for_line("not delivered: ")
        assert line.startswith(
            "not delivered: wifi home (status 201) shed (status 202) can't be joined. "
            "Check ssid, password and range; next try in "
        )
        board.change_world(healthy_world())
        await board.wait_for_line("delivered pressure")
    assert "secret" not in "".join(board.lines)


@pytest.mark.parametrize("port", ["esp32", "cyw43"])
async def test_static_address_is_taken(
    new_board: NewBoard, sandbox: Sandbox, port: str
) -> None:
    statuses = {"esp32": [1001, 1010], "cyw43": [1, 2, 3]}[port]
    world = {**healthy_world(), "wlan": wlan(statuses, port=port)}
    wifi = {"ssid": "home", "country": "DE", **_STATIC}
    async with new_board(node_settings(sandbox.url, wifi=wifi), world) as board:
        assert await board.wait_for_line("wifi: ") == "wifi: in home as 127.0.0.77"
        await board.wait_for_line("delivered ")


async def test_radio_that_only_believes_to_be_connected_is_switched_off_and_on(
    tmp_path: Path,
) -> None:
    # Nobody listens there.
    async with _board(tmp_path, "http://127.0.0.1:1", wlan(), WIFI) as board:
        await board.wait_for_line("wifi: in home")
        first = board.lines.index(_JOINED)
        await board.wait_for_line("wifi: in home", after=first + 1)
        second = board.lines.index(_JOINED, first + 1)
    assert [line[:15] for line in board.lines[first + 1 : second]] == [
        "not delivered: "
    ] * 3


async def test_radio_that_does_not_even_begin_to_join_is_told(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    # No status and no error of its own: the driver refuses the call.
    radio = {**wlan(), "refuses": True}
    world = {**healthy_world(), "wlan": radio}
    async with new_board(node_settings(sandbox.url, wifi=WIFI), world) as board:
        line = await board.wait_for_line("not delivered: wifi ")
        assert "wifi home (status 1000) can't be joined" in line
        board.change_world(healthy_world())
        await board.wait_for_line("delivered pressure")
    assert board.resets == 0
