"""Read from a firmware file which chips it is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import struct

from .errors import Exit, ProvisionError

# https://docs.espressif.com/projects/esptool/en/latest/esp32/advanced-topics/firmware-image-format.html
_ESP_MAGIC = 0xE9
_ESP_HEADER_BYTES = 24
_ESP_CHIP_AT = 12
# By the chip's number in the image: its name for esptool, and where its boot loader lies.
_ESP_CHIPS = {
    0: ("esp32", 0x1000),
    2: ("esp32s2", 0x1000),
    5: ("esp32c3", 0x0),
    9: ("esp32s3", 0x0),
    13: ("esp32c6", 0x0),
}

# https://github.com/microsoft/uf2
_UF2_BLOCK_BYTES = 512
_UF2_MAGIC = (0x0A324655, 0x9E5D5157)
_UF2_HAS_FAMILY = 0x2000
_UF2_RP2040 = 0xE48BFF56
_UF2_RP2350 = {0xE48BFF59, 0xE48BFF5A}


@dataclass(frozen=True)
class EspImage:
    """Firmware for a chip of Espressif.

    Attributes:
        path: of the file.
        chip: as esptool calls it.
        offset: where in the flash it goes.
    """

    path: Path
    chip: str
    offset: int


@dataclass(frozen=True)
class Uf2Image:
    """Firmware for a chip of Raspberry Pi.

    Attributes:
        path: of the file.
        chip: `RP2040` or `RP2350`.
    """

    path: Path
    chip: str


def read_image(path: Path) -> EspImage | Uf2Image:
    """Find out what a firmware file is for.

    Raises:
        ProvisionError: it can't be read, or is no firmware for a board that is supported.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ProvisionError(
            Exit.FIRMWARE, f"{path} can't be read: {err.strerror}"
        ) from err
    if struct.unpack("<II", content[:8].ljust(8, b"\0")) == _UF2_MAGIC:
        return Uf2Image(path, _uf2_chip(path, content))
    if len(content) >= _ESP_HEADER_BYTES and content[0] == _ESP_MAGIC:
        (number,) = struct.unpack_from("<H", content, _ESP_CHIP_AT)
        if number in _ESP_CHIPS:
            return EspImage(path, *_ESP_CHIPS[number])
    raise _unknown(path)


def _uf2_chip(path: Path, content: bytes) -> str:
    families = set()
    for start in range(0, len(content), _UF2_BLOCK_BYTES):
        block = content[start : start + _UF2_BLOCK_BYTES]
        if len(block) < _UF2_BLOCK_BYTES:
            raise ProvisionError(
                Exit.FIRMWARE, f"{path} ends in the middle. Download it again"
            )
        _, _, flags, *_, family = struct.unpack_from("<8I", block)
        if flags & _UF2_HAS_FAMILY:
            families.add(family)
    if _UF2_RP2040 in families:
        return "RP2040"
    if families & _UF2_RP2350:
        return "RP2350"
    raise _unknown(path)


def _unknown(path: Path) -> ProvisionError:
    return ProvisionError(
        Exit.FIRMWARE,
        f"{path} is no firmware for an ESP32 or a Pico. Download the .bin (ESP32) or .uf2 "
        "(Pico) of your board from micropython.org/download",
    )
