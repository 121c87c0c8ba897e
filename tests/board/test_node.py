"""The whole node on real MicroPython: from the bytes on the bus to rows in a database."""

import asyncio
from collections.abc import Callable
import json
import ssl
import time
from typing import Any

import pytest
import trustme

from micropython import ROOT
from micropython.provision.manifest import device_files
from micropython.simulator import bme280, temperature_ramp, wlan
from proofs.releases import KEY, offering
from sandbox import Sandbox, Settings

from .conftest import TOKEN, WIFI, NewBoard, healthy_world, node_settings
from .servers import OK, scripted, silent
from .test_bme280 import by_floating_point

_TIMEOUT_S = 20


async def eventually(
    condition: Callable[[], bool], timeout_s: float = _TIMEOUT_S
) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def temperatures(sandbox: Sandbox, device_id: str = "dev-a") -> list[float]:
    """Return the temperatures in the database, in the order of their storing."""
    return [float(row.value) for row in sandbox.store.values(device_id, "temperature")]


async def test_readings_arrive_as_the_sensor_measured_them(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    ramp = temperature_ramp(8)
    world = {"i2c": [bme280(ramp)], "wlan": wlan()}
    async with new_board(node_settings(sandbox.url), world):
        await eventually(lambda: len(temperatures(sandbox)) >= 3)
    expected = [by_floating_point(conversion) for conversion in ramp]
    for variable in ("temperature", "pressure", "humidity"):
        stored = [float(row.value) for row in sandbox.store.values("dev-a", variable)]
        for value, reading in zip(stored[:3], expected[:3], strict=True):
            assert value == pytest.approx(reading[variable], abs=0.03)


async def test_node_names_itself_and_its_firmware(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    async with new_board(node_settings(sandbox.url)) as board:
        line = await board.wait_for_line("sensorvision ")
    assert line.startswith("sensorvision 0.1.0 on micropython 1.2")


async def test_two_sensors_share_a_board_by_their_names(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sensors = [
        {"type": "bme280", "name": "in"},
        {"type": "bme280", "name": "out", "address": 119},
    ]
    world = {"i2c": [bme280(), bme280([(500_000, 415_148, 29_000)], address=0x77)]}
    settings = node_settings(sandbox.url, sensors=sensors)
    async with new_board(settings, world) as board:
        await board.wait_for_line("delivered ")
    names = {row.variable for row in sandbox.store.values("dev-a")}
    assert names == {
        f"{sensor}_{variable}"
        for sensor in ("in", "out")
        for variable in ("temperature", "pressure", "humidity")
    }


async def test_missing_sensor_is_reported_once_and_the_other_goes_on(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sensors = [
        {"type": "bme280"},
        {"type": "bme280", "name": "out", "sda": 1, "scl": 2},
    ]
    async with new_board(node_settings(sandbox.url, sensors=sensors)) as board:
        line = await board.wait_for_line("sensor out_bme280: ")
        await eventually(lambda: len(temperatures(sandbox)) >= 3)
    assert line == (
        "sensor out_bme280: no answer at I2C address 0x76 or 0x77 (error 19). "
        "Check power, ground, SDA on pin 1 and SCL on pin 2"
    )
    assert board.lines.count(line) == 1


async def test_sensor_that_disappears_and_returns_reports_again(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    async with new_board(node_settings(sandbox.url)) as board:
        await board.wait_for_line("delivered ")
        board.change_world({**healthy_world(), "i2c": []})
        await board.wait_for_line("sensor bme280: no answer")
        before = len(temperatures(sandbox))
        board.change_world(healthy_world())
        await board.wait_for_line("sensor bme280: answers again")
        await eventually(lambda: len(temperatures(sandbox)) > before)
    assert board.resets == 0


async def test_server_that_goes_away_and_returns_gets_the_newest(
    new_board: NewBoard,
) -> None:
    ramp = temperature_ramp(20)
    world = {"i2c": [bme280(ramp)], "wlan": wlan()}
    async with silent(is_full=False) as address:
        port = int(address.rpartition(":")[2])
    async with new_board(node_settings(f"http://127.0.0.1:{port}"), world) as board:
        line = await board.wait_for_line("not delivered: ")
        assert "ECONNREFUSED; next try in" in line
        later = {**world, "i2c": [bme280(ramp[10:])]}
        for other in ({**world, "i2c": []}, later):
            seen = len(board.lines)
            board.change_world(other)
            await board.wait_for_line("sensor bme280: ", after=seen)
        settings = Settings(fixtures="contract", port=port)
        async with Sandbox(settings) as sandbox:
            line = await board.wait_for_line("the server answers again")
            # Three variables were read again and again meanwhile.
            assert int(line.partition("superseded: ")[2]) >= 3
            await board.wait_for_line("delivered pressure")
            [first, *_] = temperatures(sandbox)
            assert first > round(by_floating_point(ramp[0])["temperature"], 2)
            before = len(board.lines)
        await board.wait_for_line("not delivered: ", after=before)
        async with Sandbox(settings):
            await board.wait_for_line("delivered pressure", after=before)
    assert board.resets == 0


async def test_radio_that_loses_its_network_joins_it_again(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    async with new_board(node_settings(sandbox.url, wifi=WIFI)) as board:
        await board.wait_for_line("delivered ")
        # Idle for a moment, as some firmware is between two statuses, then connected.
        board.change_world({**healthy_world(), "wlan": wlan([1001, 1000, 1001, 1010])})
        seen = len(board.lines)
        assert (
            await board.wait_for_line("wifi: ", after=seen)
            == "wifi: in home as 127.0.0.1"
        )
        await board.wait_for_line("delivered ", after=seen)
    assert board.resets == 0


async def test_pico_radio_is_driven_by_its_own_numbers(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    world = {**healthy_world(), "wlan": wlan([1, 2, 3], port="cyw43")}
    async with new_board(node_settings(sandbox.url, wifi=WIFI), world) as board:
        await board.wait_for_line("delivered ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"token": "99999999-9999-4999-8999-999999999999"},
            (
                "refused: the server said Invalid API key (401). "
                "Check url, device_id and token in the settings"
            ),
        ),
        (
            {"device_id": "dev-b"},
            (
                "refused: the server said Cannot send data to device in different organization "
                "(403). Check url, device_id and token in the settings"
            ),
        ),
    ],
)
async def test_refusal_says_what_to_do_and_is_not_hammered(
    new_board: NewBoard, sandbox: Sandbox, changes: dict[str, Any], message: str
) -> None:
    async with new_board(node_settings(sandbox.url, **changes)) as board:
        assert await board.wait_for_line("refused: ") == message
        # Two rounds of reading later nothing more has been sent.
        for world in ({**healthy_world(), "i2c": []}, healthy_world()):
            seen = len(board.lines)
            board.change_world(world)
            await board.wait_for_line("sensor bme280: ", after=seen)
    assert board.lines.count(message) == 1


async def test_waiting_time_of_the_server_is_honoured(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sandbox.faults.set("http_429", times=1, seconds=4)
    async with new_board(node_settings(sandbox.url)) as board:
        line = await board.wait_for_line("not delivered: ")
        started_s = time.monotonic()
        await board.wait_for_line("delivered pressure")
    assert line.endswith("next try in 4 s")
    assert time.monotonic() - started_s > 3.5


async def test_variable_that_the_server_refuses_does_not_hold_up_the_others(
    new_board: NewBoard,
) -> None:
    refusal = (
        b'{"success":false,"message":"Unsupported data type for field \'humidity\'"}'
    )
    refused = b"HTTP/1.1 400 x\r\nContent-Length: %d\r\n\r\n%s" % (
        len(refusal),
        refusal,
    )
    async with (
        scripted([refused], [OK], [refused], [OK]) as server,
        new_board(node_settings(server.url, interval_s=60)) as board,
    ):
        await board.wait_for_line("dropped ")
        await eventually(lambda: len(server.requests) == 4)
    sizes = [
        request.count(b":", request.find(b"\r\n\r\n")) for request in server.requests
    ]
    assert sizes == [3, 1, 1, 1]


async def test_secrets_never_reach_the_log(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    sandbox.faults.set("http_503", times=2)
    world = {**healthy_world(), "wlan": wlan(password="secret-of-wifi")}
    async with new_board(node_settings(sandbox.url, wifi=WIFI), world) as board:
        await board.wait_for_line("delivered pressure")
    log = "\n".join(board.lines)
    assert TOKEN not in log
    assert "secret-of-wifi" not in log


async def test_wrong_settings_are_told_and_read_again(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    board = new_board(node_settings(sandbox.url, interval_s="60"))
    async with board:
        line = await board.wait_for_line("settings: ")
    assert line == (
        "settings: interval_s '60' does not fit. Write it like \"interval_s\": 60"
    )
    assert board.resets == 0


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/ca.der", "is missing"), ("/main.py", "is no certificate in DER form")],
)
async def test_missing_or_wrong_certificate_is_told(
    new_board: NewBoard, path: str, problem: str
) -> None:
    async with new_board(node_settings("https://localhost", ca_file=path)) as board:
        line = await board.wait_for_line("settings: ")
    assert line == f"settings: ca_file {path!r} {problem}. Flash it again"


async def test_clock_is_set_before_a_certificate_is_judged(new_board: NewBoard) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    since_2000_s = int(time.time()) - 946_684_800
    world = {**healthy_world(), "clock_shift_s": -since_2000_s, "ntp": False}
    async with scripted([OK], tls=context) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        board = new_board(node_settings(url, ca_file="/ca.der"), world)
        certificate = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
        (board.flash / "ca.der").write_bytes(certificate)
        async with board:
            line = await board.wait_for_line("not delivered: ")
            assert "the clock can't be set. Name a time server in ntp" in line
            assert server.connections == 0
            board.change_world({**world, "ntp": True})
            await board.wait_for_line("delivered pressure")


async def test_watchdog_ends_a_bus_that_blocks_for_ever(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    stuck = {**bme280(), "blocks": True}
    settings = node_settings(sandbox.url, watchdog_s=1)
    async with new_board(settings, {**healthy_world(), "i2c": [stuck]}) as board:
        await eventually(lambda: board.resets == 1)
        board.change_world(healthy_world())
        await board.wait_for_line("delivered ")
    assert temperatures(sandbox)


async def test_crash_is_printed_and_the_board_starts_again(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    # A radio whose driver fails as nobody has foreseen.
    world = {**healthy_world(), "wlan": "no radio at all"}
    async with new_board(node_settings(sandbox.url, wifi=WIFI), world) as board:
        await board.wait_for_line("AttributeError: ")
        board.change_world(healthy_world())
        await board.wait_for_line("delivered ")
    assert board.resets == 1


async def test_newer_version_is_fetched_after_a_delivery_and_confirmed_by_its_own(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    prefix = "sensorvision/"
    files = {
        name.removeprefix(prefix): source.read_bytes()
        for name, source in device_files().items()
        if name.startswith(prefix)
    }
    files["__init__.py"] = b'__version__ = "9.0.0"\n'
    async with offering() as releases:
        releases.offer("9.0.0", files)
        update = {"url": releases.url, "key": KEY}
        async with new_board(node_settings(sandbox.url, update=update)) as board:
            await board.wait_for_line("sensorvision 9.0.0 on ", 60)
            await board.wait_for_line("update: confirmed")
            seen = len(board.lines)
            await board.wait_for_line("delivered ", after=seen)
    assert board.resets == 1
    assert len([line for line in board.lines if line.startswith("delivered ")]) >= 2


def test_mip_is_told_of_the_same_files_as_the_command_copies() -> None:
    listed = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["urls"]
    assert {target: ROOT / source for target, source in listed} == device_files()
