"""MicroPython itself is installed: by the real esptool on a mock ROM, and onto a drive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import struct
import sys

import pytest

from micropython.provision import install
from micropython.provision.errors import Exit, ProvisionError
from micropython.provision.images import EspImage, Uf2Image, read_image
from sandbox import Sandbox

from .conftest import TOKEN, Plug
from .provisioning import TIMEOUT_S, Ended, flash, options

_RP2040 = 0xE48BFF56
_RP2350 = 0xE48BFF59
_ABSOLUTE = 0xE48BFF57


def esp_firmware(path: Path, chip: int) -> Path:
    """Write an image with one segment, which esptool finds sound."""
    data = bytes(range(256)) * 16
    head = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40080000)
    head += struct.pack(
        "<BBBBHBHHBBBBB", 0xEE, 0, 0, 0, chip, 0, 0, 0xFFFF, 0, 0, 0, 0, 0
    )
    image = head + struct.pack("<II", 0x3FFB0000, len(data)) + data
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    path.write_bytes(image + bytes((15 - len(image)) % 16) + bytes([checksum]))
    return path


def uf2_firmware(path: Path, *families: int) -> Path:
    """Write a block of each family."""
    count = len(families)
    blocks = [
        struct.pack(
            "<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000, 256, i, count, family
        ).ljust(508, b"\0")
        + struct.pack("<I", 0x0AB16F30)
        for i, family in enumerate(families)
    ]
    path.write_bytes(b"".join(blocks))
    return path


def bootsel_drive(path: Path, board_id: str) -> Path:
    """Make what a Pico shows as a drive while BOOTSEL is held."""
    path.mkdir()
    (path / "INFO_UF2.TXT").write_text(
        f"UF2 Bootloader v3.0\nModel: Raspberry Pi\nBoard-ID: {board_id}\n",
        encoding="ascii",
    )
    return path


def _lead(link: Path, port: str) -> None:
    link.symlink_to(port)


@asynccontextmanager
async def rom(chip: str, link: Path) -> AsyncIterator[None]:
    """Have a board without firmware, whose ROM answers behind a link."""
    mock = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("esp32-mock-bootloader"),
        *("run", "--pty", f"--timeout={TIMEOUT_S}", f"--chip={chip}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert mock.stdout
        async with asyncio.timeout(TIMEOUT_S):
            port = (await mock.stdout.readline()).decode().strip()
        _lead(link, port)
        yield
    finally:
        mock.terminate()
        await mock.communicate()


async def flash_and_restart(
    plug: Plug, link: Path, written: str, *options: str
) -> Ended:
    """Flash, and have the new firmware answer as soon as the command says it is written."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cli", "board", "flash", f"--port={link}", *options),
        env={"PYTHONUNBUFFERED": "1", "SENSORVISION_TOKEN": TOKEN},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    output = ""
    async with asyncio.timeout(TIMEOUT_S):
        while line := (await process.stdout.readline()).decode():
            output += line
            if written in line:
                await plug()
        await process.wait()
    return Ended(process.returncode or 0, output)


async def test_esp32_without_firmware_gets_it_and_reports(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    link = tmp_path / "board"
    file = esp_firmware(tmp_path / "esp32.bin", 0)
    async with rom("esp32", link):
        ended = await flash_and_restart(
            plug,
            link,
            "The firmware is written and verified.",
            f"--firmware={file}",
            "--in-boot-mode",
            *options(sandbox),
        )
    assert ended.code == Exit.DONE, ended.output
    assert "Press and release RESET (EN) now." in ended.output
    assert sandbox.store.values("dev-a", "temperature")


async def test_firmware_for_another_chip_is_refused_by_the_rom(tmp_path: Path) -> None:
    link = tmp_path / "board"
    file = esp_firmware(tmp_path / "s3.bin", 9)
    async with rom("esp32", link):
        ended = await flash(str(link), f"--firmware={file}", "--in-boot-mode")
    assert ended.code == Exit.FIRMWARE
    assert "s3.bin is for ESP32-S3, but the board at" in ended.output
    assert "has ESP32. Download the firmware of your board." in ended.output


async def test_pico_in_bootsel_mode_gets_its_firmware_and_reports(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    drive = bootsel_drive(tmp_path / "drive", "RPI-RP2")
    file = uf2_firmware(tmp_path / "pico.uf2", _RP2040)
    ended = await flash_and_restart(
        plug,
        tmp_path / "board",
        "the board restarts",
        f"--firmware={file}",
        f"--drive={drive}",
        *options(sandbox),
    )
    assert ended.code == Exit.DONE, ended.output
    assert (drive / "pico.uf2").read_bytes() == file.read_bytes()
    assert sandbox.store.values("dev-a", "temperature")


async def test_firmware_that_would_do_stays(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    for file in (
        esp_firmware(tmp_path / "esp32.bin", 0),
        uf2_firmware(tmp_path / "pico.uf2", _RP2040),
    ):
        ended = await flash(port, f"--firmware={file}", *options(sandbox))
        assert ended.code == Exit.DONE, ended.output
        assert "stays on the board; --reinstall would replace it." in ended.output


async def test_running_pico_is_brought_into_bootsel_mode_to_reinstall(
    plug: Plug, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = await plug()
    file = uf2_firmware(tmp_path / "pico.uf2", _RP2040)
    ended = await flash(
        port,
        f"--firmware={file}",
        "--reinstall",
        f"--drive={tmp_path / 'bootsel'}",
        *options(sandbox),
    )
    assert ended.code == Exit.DONE, ended.output
    assert (tmp_path / "bootsel" / "pico.uf2").read_bytes() == file.read_bytes()
    assert sandbox.store.values("dev-a", "temperature")


async def test_firmware_for_another_pico_is_refused(tmp_path: Path) -> None:
    drive = bootsel_drive(tmp_path / "drive", "RP2350")
    file = uf2_firmware(tmp_path / "pico.uf2", _RP2040)
    ended = await flash(
        str(tmp_path / "board"), f"--firmware={file}", f"--drive={drive}"
    )
    assert ended.code == Exit.FIRMWARE
    assert "is for RP2040, but" in ended.output
    assert not (drive / "pico.uf2").exists()


def test_drive_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_DRIVE_DEADLINE_S", 0)
    with pytest.raises(
        ProvisionError, match="Hold BOOTSEL while you plug it in"
    ) as caught:
        install.find_drive("RP2040", tmp_path)
    assert caught.value.code == Exit.NO_BOARD


def test_drive_that_takes_nothing_is_told(tmp_path: Path) -> None:
    drive = bootsel_drive(tmp_path / "drive", "RPI-RP2")
    file = uf2_firmware(tmp_path / "pico.uf2", _RP2040)
    (drive / "pico.uf2").mkdir()
    with pytest.raises(ProvisionError, match="does not take the firmware") as caught:
        install.install_uf2(Uf2Image(file, "RP2040"), drive)
    assert caught.value.code == Exit.COPY


@pytest.mark.parametrize(
    ("number", "chip", "offset"),
    [
        (0, "esp32", 0x1000),
        (2, "esp32s2", 0x1000),
        (5, "esp32c3", 0),
        (9, "esp32s3", 0),
    ],
)
def test_chip_and_offset_are_read_from_the_image(
    tmp_path: Path, number: int, chip: str, offset: int
) -> None:
    file = esp_firmware(tmp_path / "x.bin", number)
    assert read_image(file) == EspImage(file, chip, offset)


def test_family_is_read_from_all_blocks(tmp_path: Path) -> None:
    """The images of the Pico 2 begin with a block of no chip's."""
    file = uf2_firmware(tmp_path / "x.uf2", _ABSOLUTE, _RP2350)
    assert read_image(file) == Uf2Image(file, "RP2350")


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>" * 9, b"\xe9" + bytes(11) + b"\x63" * 20]
)
def test_what_is_no_firmware_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "firmware.bin"
    file.write_bytes(content)
    with pytest.raises(ProvisionError, match="is no firmware for an ESP32 or a Pico"):
        read_image(file)


def test_damaged_or_missing_firmware_is_told(tmp_path: Path) -> None:
    file = uf2_firmware(tmp_path / "x.uf2", _RP2040)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ProvisionError, match="ends in the middle"):
        read_image(file)
    with pytest.raises(
        ProvisionError, match="can't be read: No such file or directory"
    ):
        read_image(tmp_path / "missing.uf2")
    foreign = uf2_firmware(tmp_path / "y.uf2", 0x68ED2B88)
    with pytest.raises(ProvisionError, match="is no firmware for an ESP32 or a Pico"):
        read_image(foreign)


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        (
            "Could not open /dev/x, the port is busy",
            Exit.NO_ANSWER,
            "another program may use it",
        ),
        (
            "Failed to connect to ESP32: No serial data received.",
            Exit.NO_ANSWER,
            "Hold BOOT (GPIO 0 to GND)",
        ),
        (
            "A fatal error occurred: MD5 of file does not match",
            Exit.COPY,
            "MD5 of file does not match. Check the cable and the power",
        ),
        ("", Exit.COPY, "esptool took too long"),
    ],
)
def test_failure_of_esptool_becomes_a_sentence(
    output: str, code: Exit, message: str
) -> None:
    image = EspImage(Path("x.bin"), "esp32", 0x1000)
    error = install.esptool_failure(image, "/dev/x", output)
    assert error.code == code
    assert message in str(error)
