"""The host's tool on the real mpremote, against real MicroPython behind a terminal."""

import asyncio
import json
import os
from pathlib import Path
import pty
import stat
import sys
import tty
from typing import Any

import pytest
import trustme

from micropython import ROOT
from micropython.provision.errors import Exit, ProvisionError
from micropython.provision.firmware import MIN_VERSION, check_firmware
from micropython.provision.log import follow
from micropython.provision.manifest import device_files
from micropython.provision.mpremote import failure
from micropython.provision.ports import Port, choose
from micropython.provision.settings import combine, parse_sensor
from sandbox import Sandbox

from .cable import Cable
from .conftest import Plug, healthy_world, node_settings
from .provisioning import PASSWORD, TIMEOUT_S, board, command, flash, options

# Longer than the command takes for its first words, shorter than it waits for an answer.
_DEAF_S = 3


async def test_fresh_board_reports_after_one_command_and_keeps_its_settings(
    plug: Plug, sandbox: Sandbox
) -> None:
    radio = {"statuses": [1001, 1010], "port": "esp32", "password": PASSWORD}
    port = await plug(world={**healthy_world(), "wlan": radio})
    first = await flash(
        port, *options(sandbox), "--ssid=home", SENSORVISION_WIFI_PASSWORD=PASSWORD
    )
    assert first.code == Exit.DONE, first.output
    assert "The board runs MicroPython 1.2" in first.output
    assert f"{len(device_files())} files copied, 0 up to date." in first.output
    [value, *_] = sandbox.store.values("dev-a", "temperature")
    assert float(value.value) == 25.08
    # The node runs and its watchdog with it; a second flash changes one thing only.
    second = await flash(port, "--device-id=dev-a2", SENSORVISION_TOKEN="")
    assert second.code == Exit.DONE, second.output
    assert f"0 files copied, {len(device_files())} up to date." in second.output
    assert sandbox.store.values("dev-a2", "temperature")


async def test_board_gets_bytecode_and_loses_what_would_be_loaded_before_it(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    stale = "import os; os.mkdir('/sensorvision'); open('/sensorvision/node.py', 'w').write('!')"
    assert (await command("mpremote", "connect", port, "exec", stale)).code == 0
    ended = await flash(port, *options(sandbox))
    assert ended.code == Exit.DONE, ended.output
    listed = await command(
        "mpremote", "connect", port, "resume", "ls", ":/sensorvision"
    )
    assert "node.mpy" in listed.output
    assert "node.py" not in listed.output


async def test_memory_that_a_killed_command_has_filled_is_freed(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    filling = "kept = []\ntry:\n    while True:\n        kept.append(bytes(999))\nexcept MemoryError:\n    pass"
    filled = await command("mpremote", "connect", port, "resume", "exec", filling)
    assert filled.code == 0, filled.output
    ended = await flash(port, *options(sandbox))
    assert ended.code == Exit.DONE, ended.output


async def test_wrong_settings_are_told_before_the_board_is_changed(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(node_settings(sandbox.url, interval_s="60")))
    ended = await flash(port, f"--settings={file}")
    assert ended.code == Exit.SETTINGS
    assert "Settings: interval_s '60' does not fit." in ended.output
    listed = await command("mpremote", "connect", port, "resume", "ls")
    assert "sensorvision" not in listed.output


async def test_full_flash_is_told_before_the_board_is_changed(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug(blocks=10)
    ended = await flash(port, *options(sandbox))
    assert ended.code == Exit.FLASH_FULL
    assert "The board's flash is full: " in ended.output
    listed = await command("mpremote", "connect", port, "resume", "ls")
    assert "sensorvision" not in listed.output


async def test_what_the_board_complains_of_is_told(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    ended = await flash(
        port,
        *options(sandbox),
        SENSORVISION_TOKEN="99999999-9999-4999-8999-999999999999",
    )
    assert ended.code == Exit.NOT_DELIVERED
    assert (
        "No reading has been delivered. It said: refused: the server said Invalid API key "
        "(401). Check url, device_id and token in the settings."
    ) in ended.output


async def test_certificate_is_put_on_the_board_in_der(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    given = [*options(sandbox), "--url=https://127.0.0.1:1", f"--ca={authority}"]
    ended = await flash(port, *given, "--timeout=2")
    assert ended.code == Exit.NOT_DELIVERED
    assert "127.0.0.1:1, connecting: ECONNREFUSED" in ended.output


async def test_missing_token_is_asked_for_by_name(plug: Plug, sandbox: Sandbox) -> None:
    port = await plug()
    ended = await flash(port, *options(sandbox), SENSORVISION_TOKEN="")
    assert ended.code == Exit.SETTINGS
    assert "Put it into the environment as SENSORVISION_TOKEN." in ended.output


async def test_board_that_does_not_answer_is_told() -> None:
    host_end, board_end = pty.openpty()
    tty.setraw(board_end)
    try:
        ended = await flash(os.ttyname(board_end))
    finally:
        os.close(host_end)
        os.close(board_end)
    assert ended.code == Exit.NO_ANSWER
    assert "does not answer. Unplug it and plug it in again" in ended.output


async def test_board_that_hears_nothing_while_it_starts_is_asked_again(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(node_settings(sandbox.url, interval_s="60")))
    now = asyncio.get_running_loop().time
    began: list[float] = []

    def is_starting(_: bytes) -> bool:
        began.append(now())
        return began[-1] - began[0] < _DEAF_S

    with Cable(await plug(), is_starting) as cable:
        ended = await flash(cable.port, f"--settings={file}")
    assert cable.lost
    assert ended.code == Exit.SETTINGS, ended.output


async def test_self_test_that_the_board_has_not_heard_of_is_begun_again(
    plug: Plug, sandbox: Sandbox
) -> None:
    def is_self_test(said: bytes) -> bool:
        return not cable.lost and b"sensorvision.selftest" in said

    with Cable(await plug(), is_self_test) as cable:
        ended = await flash(cable.port, *options(sandbox))
    assert cable.lost
    assert ended.code == Exit.DONE, ended.output
    assert ended.output.count("ok     delivery") == 1


async def test_self_test_that_the_board_never_hears_of_is_told(
    plug: Plug, sandbox: Sandbox
) -> None:
    def is_self_test(said: bytes) -> bool:
        return b"sensorvision.selftest" in said

    with Cable(await plug(), is_self_test) as cable:
        ended = await flash(cable.port, *options(sandbox))
        tested = await board("test", cable.port)
    assert ended.code == Exit.DONE, ended.output
    assert tested.code == Exit.NO_ANSWER, tested.output
    for said in (ended.output, tested.output):
        assert "did not begin its self-test. Check the cable" in said


async def test_port_that_is_not_there_is_told() -> None:
    ended = await flash("/dev/no-such-port")
    assert ended.code == Exit.NO_BOARD
    assert "There is no port /dev/no-such-port. Plug the board in" in ended.output


async def test_port_of_others_is_told(tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.touch(mode=stat.S_IRUSR)
    port.chmod(0)
    arguments = ["cli", "board", "flash", "--port", str(port)]
    dropped = []
    if os.getuid() == 0:
        # Who runs the tests as root may open everything, unless this is taken away.
        dropped = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    process = await asyncio.create_subprocess_exec(
        *dropped,
        sys.executable,
        "-m",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == Exit.NO_ANSWER, output
    assert f"You may not use {port}. Join its group".encode() in output


async def test_package_is_installed_by_mip_and_runs(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(node_settings(sandbox.url)))
    installed = await command(
        "mpremote", "connect", port, "mip", "install", "--target=/", "--no-mpy",
        str(ROOT / "package.json"), "+", "cp", str(settings), ":", "+", "reset",
    )  # fmt: skip
    assert installed.code == 0, installed.output
    async with asyncio.timeout(TIMEOUT_S):
        while not sandbox.store.values("dev-a"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_one_board_is_taken_and_several_are_listed() -> None:
    pico = Port("/dev/ttyACM0", "Raspberry Pi Pico")
    esp = Port("/dev/ttyUSB0", "CP210x, usually an ESP32")
    assert choose([pico]) == "/dev/ttyACM0"
    with pytest.raises(ProvisionError, match="No board found") as none:
        choose([])
    with pytest.raises(
        ProvisionError, match=r"Several boards found: .*ttyACM0 .*ttyUSB0"
    ) as many:
        choose([pico, esp])
    assert none.value.code == many.value.code == Exit.NO_BOARD


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        (
            "micropython",
            [1, 22, 2],
            "MicroPython 1.22.2, which is too old. Install 1.23",
        ),
        ("circuitpython", [9, 0, 0], "circuitpython, not MicroPython"),
    ],
)
def test_unsuitable_firmware_is_refused(
    name: str, version: list[int], message: str
) -> None:
    with pytest.raises(ProvisionError, match=message) as caught:
        check_firmware(name, version)
    assert caught.value.code == Exit.FIRMWARE


def test_oldest_suitable_firmware_is_accepted() -> None:
    check_firmware("micropython", MIN_VERSION)


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("OSError: [Errno 28] ENOSPC", Exit.FLASH_FULL, "The board's flash is full"),
        (
            "mpremote: failed to access /dev/x (it may be in use)",
            Exit.NO_ANSWER,
            "/dev/x can't",
        ),
        ("mpremote: could not enter raw repl", Exit.NO_ANSWER, "does not answer"),
        ("OSError: [Errno 5] Input/output error", Exit.NO_ANSWER, "Check the cable"),
        ("MemoryError: memory allocation failed", Exit.COPY, "/dev/x is full. Unplug"),
        (
            "Traceback\nValueError: x",
            Exit.COPY,
            "stopped with: ValueError: x. Unplug it",
        ),
        ("", Exit.COPY, "stopped with: nothing"),
    ],
)
def test_failure_of_mpremote_becomes_a_sentence(
    output: str, code: Exit, message: str
) -> None:
    error = failure("/dev/x", output)
    assert error.code == code
    assert message in str(error)


def test_log_is_followed_until_something_is_delivered_or_hopeless() -> None:
    shown: list[str] = []
    delivered = follow(iter(["sensor x: gone", "delivered a=1", "more"]), shown.append)
    assert (delivered.delivered, delivered.trouble) == ("a=1", "sensor x: gone")
    assert shown == ["sensor x: gone", "delivered a=1"]
    hopeless = follow(iter(["settings: url is missing", "delivered a=1"]), shown.append)
    assert (hopeless.delivered, hopeless.trouble) == (None, "settings: url is missing")


def test_options_are_laid_over_settings() -> None:
    base = {"url": "http://a", "wifi": {"ssid": "old", "password": "p"}}
    combined = combine(
        base, {"url": "http://b", "token": None}, {"ssid": "new", "password": None}
    )
    assert combined == {"url": "http://b", "wifi": {"ssid": "new", "password": "p"}}


@pytest.mark.parametrize(
    ("text", "sensor"),
    [
        ("dht22", {"type": "dht22"}),
        (
            "bme280:sda=4,address=0x77,name=out",
            {"type": "bme280", "sda": 4, "address": 0x77, "name": "out"},
        ),
    ],
)
def test_sensor_is_read_from_the_command_line(
    text: str, sensor: dict[str, Any]
) -> None:
    assert parse_sensor(text) == sensor


@pytest.mark.parametrize("text", ["bme280:sda", "bme280:sda=", "dht22:pin=4x"])
def test_malformed_sensor_is_refused(text: str) -> None:
    with pytest.raises(ProvisionError, match="Write it like bme280:sda=21,scl=22"):
        parse_sensor(text)
