"""What comes after a board's first flash: other settings, a test, its log, an update."""

import asyncio
import json
import os
from pathlib import Path
import pty
import sys
from typing import Any
import zipfile

import pytest
from serial.tools.list_ports_common import (  # type: ignore[import-untyped]
    ListPortInfo,
)

from micropython.provision.errors import Exit, ProvisionError
from micropython.provision.ports import Port, candidates
from micropython.provision.selftest import Step, parse_step
from micropython.provision.settings import (
    assign,
    check,
    combine,
    parse_assignment,
)
from micropython.simulator import write_world
from sandbox import Sandbox

from .conftest import TOKEN, Plug, healthy_world, node_settings
from .provisioning import PASSWORD, TIMEOUT_S, Ended, board, command, flash, options


async def test_settings_are_changed_without_copying(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox))
    assert first.code == Exit.DONE, first.output
    changed = await board("configure", port, "--device-id=dev-a2", "--set=timeout_s=7")
    assert changed.code == Exit.DONE, changed.output
    assert "copied" not in changed.output
    assert sandbox.store.values("dev-a2", "temperature")
    shown = await command(
        "mpremote", "connect", port, "resume", "cat", ":settings.json"
    )
    assert '"timeout_s": 7' in shown.output
    assert '"interval_s": 1' in shown.output


async def test_update_brings_changed_files_alone_and_keeps_settings(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox))
    assert first.code == Exit.DONE, first.output
    # An older version, beside one that came over the air and waits for its start.
    older = (
        "import os\n"
        "os.mkdir('/sensorvision.new')\n"
        "for path in '/sensorvision', '/sensorvision.new':\n"
        "    with open(path + '/node.mpy', 'w') as file:\n"
        "        file.write('another version')\n"
    )
    made = await command("mpremote", "connect", port, "resume", "exec", older)
    assert made.code == 0, made.output
    updated = await board("update", port)
    assert updated.code == Exit.DONE, updated.output
    assert "1 file copied" in updated.output
    listed = await command("mpremote", "connect", port, "resume", "ls", ":/")
    assert "sensorvision.new" not in listed.output


async def test_release_is_written_for_boards_to_fetch(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    given = [f"--release={tmp_path / 'web'}", f"--key-file={key}", "--version=9.8.7"]
    ended = await command("cli", "board", "update", *given)
    assert ended.code == Exit.DONE, ended.output
    assert f"Version 9.8.7 is in {tmp_path / 'web'}, signed." in ended.output
    manifest = json.loads((tmp_path / "web" / "manifest.json").read_text())
    assert manifest["version"] == "9.8.7"
    assert all((tmp_path / "web" / name).is_file() for name in manifest["files"])
    assert (tmp_path / "web" / "manifest.sig").is_file()


async def test_zip_is_written_to_unpack_onto_a_board(tmp_path: Path) -> None:
    archive = tmp_path / "board.zip"
    ended = await command("cli", "board", "update", f"--zip={archive}")
    assert ended.code == Exit.DONE, ended.output
    assert f"is in {archive}." in ended.output
    with zipfile.ZipFile(archive) as unpacked:
        assert {"main.py", "sensorvision/node.mpy"} < set(unpacked.namelist())


async def test_zip_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "nowhere" / "board.zip"
    ended = await command("cli", "board", "update", f"--zip={archive}")
    assert ended.code == Exit.SETTINGS
    assert f"{archive} can't be used: No such file" in ended.output


async def test_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    given = [f"--release={tmp_path / 'web'}", f"--key-file={tmp_path / 'key'}"]
    ended = await command("cli", "board", "update", *given)
    assert ended.code == Exit.SETTINGS
    assert f"{tmp_path / 'key'} can't be used: No such file" in ended.output


async def test_board_tests_itself_and_names_what_fails(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox))
    assert first.code == Exit.DONE, first.output
    assert "The board tests itself:" in first.output
    assert "    ok     delivery" in first.output
    good = await board("test", port)
    assert good.code == Exit.DONE, good.output
    assert "    ok     sensor bme280" in good.output
    write_world(tmp_path / "world.json", {**healthy_world(), "i2c": []})
    bad = await board("test", port)
    assert bad.code == Exit.NOT_DELIVERED
    assert "    FAILED sensor bme280: no answer at I2C address" in bad.output


async def test_board_that_is_away_is_waited_for(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    waiting = asyncio.create_task(
        flash(str(tmp_path / "board"), *options(sandbox), "--wait=30")
    )
    await asyncio.sleep(1)
    assert not waiting.done()
    await plug()
    ended = await waiting
    assert ended.code == Exit.DONE, ended.output


@pytest.mark.parametrize("name", ["configure", "test", "update"])
async def test_board_without_the_port_is_told(plug: Plug, name: str) -> None:
    port = await plug()
    ended = await board(name, port)
    assert ended.code == Exit.FIRMWARE
    assert "Put it there with `sensorvision board flash`." in ended.output


async def test_logs_are_followed_without_stopping_the_board(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox))
    assert first.code == Exit.DONE, first.output
    before = len(sandbox.store.values("dev-a", "temperature"))
    ended = await board("logs", port, "--seconds=4")
    assert ended.code == Exit.DONE
    assert "delivered " in ended.output
    assert len(sandbox.store.values("dev-a", "temperature")) > before


async def test_named_board_is_listed_and_goes_on(plug: Plug, sandbox: Sandbox) -> None:
    port = await plug()
    first = await flash(port, *options(sandbox))
    assert first.code == Exit.DONE, first.output
    before = len(sandbox.store.values("dev-a", "temperature"))
    ended = await board("list", port)
    assert ended.code == Exit.DONE
    assert f"{port}  named  MicroPython 1.2" in ended.output
    async with asyncio.timeout(TIMEOUT_S):
        while len(sandbox.store.values("dev-a", "temperature")) <= before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_boards_are_known_by_their_usb_ids() -> None:
    """As pyserial describes them."""

    def port(device: str, vid: int | None, pid: int | None) -> ListPortInfo:
        info = ListPortInfo(device)
        info.vid, info.pid = vid, pid
        return info

    found = [
        port("/dev/ttyACM0", 0x2E8A, 0x0005),
        port("/dev/ttyACM1", 0x303A, 0x1001),
        port("/dev/ttyUSB0", 0x1A86, 0x7523),
        port("/dev/ttyUSB1", 0x046D, 0xC52B),
        port("/dev/ttyS0", None, None),
    ]
    assert candidates(found) == [
        Port("/dev/ttyACM0", "Raspberry Pi Pico"),
        Port("/dev/ttyACM1", "ESP32-S3, -C3 or -C6 with USB of its own"),
        Port("/dev/ttyUSB0", "CH340, usually an ESP32"),
    ]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("selftest: wifi ok: in home", Step("wifi", True, "in home")),
        (
            "selftest: sensor bme280 failed: no answer",
            Step("sensor bme280", False, "no answer"),
        ),
        ("selftest: clock ok", Step("clock", True, "")),
        ("delivered a=1", None),
    ],
)
def test_lines_of_the_selftest_are_read(line: str, step: Step | None) -> None:
    assert parse_step(line) == step


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("interval_s=30", ["interval_s"], 30),
        ("sleep=deep", ["sleep"], "deep"),
        ("store.kb=32", ["store", "kb"], 32),
        ("sleep=null", ["sleep"], None),
        ('ntp=["a", "b"]', ["ntp"], ["a", "b"]),
        ("mqtt.user=a=b", ["mqtt", "user"], "a=b"),
    ],
)
def test_any_setting_is_read_from_the_command_line(
    text: str, keys: list[str], value: object
) -> None:
    assert parse_assignment(text) == (keys, value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval_s", "Write it like --set interval_s=60"),
        ("token=t0ps3cret", "environment as SENSORVISION_TOKEN"),
        (
            'wifi={"ssid": "a", "password": "t0ps3cret"}',
            "environment as SENSORVISION_WIFI_PASSWORD",
        ),
        ("mqtt.password=t0ps3cret", "environment as SENSORVISION_MQTT_PASSWORD"),
        ("update.key=t0ps3cret", "environment as SENSORVISION_UPDATE_KEY"),
    ],
)
def test_secrets_and_what_is_no_setting_are_refused(text: str, message: str) -> None:
    with pytest.raises(ProvisionError, match=message) as caught:
        parse_assignment(text)
    assert caught.value.code == Exit.SETTINGS
    assert "t0ps3cret" not in str(caught.value)


def test_setting_is_put_beside_what_is_there() -> None:
    settings: dict[str, Any] = {"store": {"kb": 64}, "sleep": None}
    assign(settings, ["store", "every"], 5)
    assign(settings, ["update", "url"], "http://a")
    assert settings == {
        "store": {"kb": 64, "every": 5},
        "sleep": None,
        "update": {"url": "http://a"},
    }


def test_one_of_several_networks_is_changed_or_added() -> None:
    home = {"ssid": "home", "password": "a"}
    shed = {"ssid": "shed", "password": "b"}
    base = {"wifi": [home, shed]}
    changed = combine(base, {}, {"ssid": "shed", "password": "c"})
    assert changed["wifi"] == [home, {"ssid": "shed", "password": "c"}]
    added = combine(base, {}, {"ssid": "barn", "password": "d"})
    assert added["wifi"] == [home, shed, {"ssid": "barn", "password": "d"}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intervall_s": 5}, r"'intervall_s' is unknown\. Did you mean interval_s\?"),
        (
            {"sensors": [{"type": "bme28"}]},
            r"type 'bme28' is unknown\. Did you mean bme280\?",
        ),
        ({"qqqqqqqq": 5}, r"'qqqqqqqq' is unknown\. Choose one of"),
    ],
)
def test_unknown_setting_is_told_with_the_one_that_was_meant(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProvisionError, match=message):
        check(node_settings("http://a", **changes))


async def test_first_flash_asks_for_what_it_is_not_told(
    plug: Plug, sandbox: Sandbox
) -> None:
    port = await plug(
        world={
            **healthy_world(),
            "wlan": {
                "statuses": [1001, 1010],
                "port": "esp32",
                "password": PASSWORD,
            },
        }
    )
    ended = await _answer(
        port,
        {
            "The server's URL: ": sandbox.url,
            "The device's id on the server: ": "dev-a",
            "Sensor with its pins, such as bme280:sda=21,scl=22: ": "bme280",
            "Name of the Wi-Fi network, nothing for a cable: ": "home",
            "Password of home (not shown): ": PASSWORD,
            "token (not shown): ": TOKEN,
        },
    )
    assert ended.code == Exit.DONE, ended.output
    assert PASSWORD not in ended.output
    assert TOKEN not in ended.output
    assert sandbox.store.values("dev-a", "temperature")


async def _answer(port: str, answers: dict[str, str]) -> Ended:
    """Flash from a terminal, and type an answer to each question in turn."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cli", "board", "flash", f"--port={port}"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)

    def talk() -> str:
        output, left = "", dict(answers)
        while True:
            try:
                output += os.read(ours, 4096).decode()
            except OSError:
                return output
            question = next(iter(left), "")
            if question and output.endswith(question):
                os.write(ours, left.pop(question).encode() + b"\n")

    async with asyncio.timeout(TIMEOUT_S):
        output = await asyncio.to_thread(talk)
        await process.wait()
    os.close(ours)
    return Ended(process.returncode or 0, output)
