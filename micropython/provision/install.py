"""Install MicroPython itself on a board from a firmware file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import re
import shutil
import time

from .children import run_module
from .errors import Exit, ProvisionError
from .images import EspImage, Uf2Image
from .ports import check_access

_WRITE_TIMEOUT_S = 300
_DRIVE_DEADLINE_S = 15
_POLL_S = 0.2
_INFO = "INFO_UF2.TXT"

# What the boot loader of each chip calls itself in that file.
_DRIVE_CHIPS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}


def install_esp(
    image: EspImage,
    port: str,
    *,
    is_erased: bool,
    is_in_boot_mode: bool,
    on_percent: Callable[[float], None],
) -> None:
    """Write firmware into an ESP32's flash with esptool, which verifies it.

    Args:
        image: the firmware.
        port: the board's.
        is_erased: whether the whole flash is erased first, with all files on it.
        is_in_boot_mode: whether a person has brought the chip into its boot mode, and
            will bring it out again.
        on_percent: is told how much is written.

    Raises:
        ProvisionError: the chip does not answer, is another, or was not written.
    """
    printed: list[str] = []

    def take(line: str) -> None:
        printed.append(line)
        if percent := re.search(r"([\d.]+)%", line):
            on_percent(float(percent[1]))

    by_hand = ["--before", "no-reset", "--after", "no-reset"] if is_in_boot_mode else []
    code = run_module(
        [
            *("esptool", "--chip", image.chip, "--port", check_access(port), *by_hand),
            *("write-flash", *(["--erase-all"] if is_erased else [])),
            *(hex(image.offset), str(image.path)),
        ],
        _WRITE_TIMEOUT_S,
        take,
    )
    if code != 0:
        raise esptool_failure(image, port, "\n".join(printed))


def esptool_failure(image: EspImage, port: str, output: str) -> ProvisionError:
    """Turn what esptool says about a failure into a sentence for a person."""
    if mismatch := re.search(r"This chip is ([^,]+), not ([^.]+)\.", output):
        return ProvisionError(
            Exit.FIRMWARE,
            f"{image.path} is for {mismatch[2]}, but the board at {port} has {mismatch[1]}. "
            "Download the firmware of your board",
        )
    if "Could not open" in output or "port is busy" in output:
        return ProvisionError(
            Exit.NO_ANSWER,
            f"{port} can't be opened: another program may use it. Close serial monitors and "
            "editors, then run the same command again",
        )
    if "Failed to connect" in output or "No serial data received" in output:
        return ProvisionError(
            Exit.NO_ANSWER,
            f"The boot loader at {port} does not answer. Hold BOOT (GPIO 0 to GND) while you "
            "press and release RESET (EN), then run the same command with --in-boot-mode",
        )
    last = (output.strip().splitlines() or ["esptool took too long"])[-1]
    return ProvisionError(
        Exit.COPY,
        f"Writing the firmware at {port} failed: {last}. Check the cable and the power, then "
        "run the same command again",
    )


def find_drive(chip: str, named: Path | None) -> Path:
    """Wait for the drive of a Pico in BOOTSEL mode.

    Args:
        chip: the one that the firmware is for.
        named: where the drive is mounted; it is looked for where this is None.

    Raises:
        ProvisionError: there is none, or it is another chip's.
    """
    deadline_s = time.monotonic() + _DRIVE_DEADLINE_S
    while True:
        for drive in [named] if named else _mount_points():
            if found := drive_chip(drive):
                if found != chip:
                    raise ProvisionError(
                        Exit.FIRMWARE,
                        f"The firmware is for {chip}, but {drive} is the drive of a board "
                        f"with {found}. Download the firmware of your board",
                    )
                return drive
        if time.monotonic() > deadline_s:
            raise ProvisionError(
                Exit.NO_BOARD,
                f"There is no drive of a Pico{f' at {named}' if named else ''}. Hold BOOTSEL "
                "while you plug it in with a cable that carries data; name the folder where "
                "the drive is mounted with --drive",
            )
        time.sleep(_POLL_S)


def drive_chip(drive: Path) -> str | None:
    """Return the chip whose boot loader shows a folder as its drive, or None."""
    try:
        text = (drive / _INFO).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    board = re.search(r"^Board-ID:\s*(\S+)", text, re.MULTILINE)
    return _DRIVE_CHIPS.get(board[1]) if board else None


def install_uf2(image: Uf2Image, drive: Path) -> None:
    """Copy firmware to a Pico's drive; the board restarts by itself as soon as it has it.

    Raises:
        ProvisionError: the drive does not take it.
    """
    try:
        copy = drive / image.path.name
        with image.path.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as err:
        # The board restarts with the last block, and its drive is gone before it is closed.
        if drive_chip(drive) is not None:
            raise ProvisionError(
                Exit.COPY,
                f"{drive} does not take the firmware: {err.strerror}. Unplug the board, hold "
                "BOOTSEL while you plug it in, then run the same command again",
            ) from err


def drives() -> Iterator[tuple[Path, str]]:
    """Yield the drives of boards in BOOTSEL mode, each with its chip."""
    for drive in _mount_points():
        if chip := drive_chip(drive):
            yield drive, chip


def _mount_points() -> Iterator[Path]:
    if os.name == "nt":
        yield from (Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ")
        return
    for pattern in ("media/*", "media/*/*", "run/media/*/*", "Volumes/*", "mnt/*"):
        yield from Path("/").glob(pattern)
