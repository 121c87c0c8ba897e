"""Describe what surrounds a simulated board: chips on its buses, frames, a radio."""

from collections.abc import Sequence
import json
from pathlib import Path
import struct
from typing import Any

type World = dict[str, Any]
"""What the board's buses and its radio meet, as it stands in the world file."""

type Conversion = tuple[int, int, int]
"""What the converter of a BME280 reads: raw temperature, pressure and humidity."""

BME280_ID = 0x60
BMP280_ID = 0x58
BME680_ID = 0x61

# The worked example of the BMP280 data sheet, section 3.12; the humidity part is that
# of an ordinary BME280, for which the data sheets hold no example.
_TEMPERATURE = (27504, 26435, -1000)
_PRESSURE = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
_H1, _H2, _H3, _H4, _H5, _H6 = 75, 355, 0, 333, 0, 30
BME280_CALIBRATION = (*_TEMPERATURE, *_PRESSURE, (_H1, _H2, _H3, _H4, _H5, _H6))
DATA_SHEET_CONVERSION: Conversion = (519888, 415148, 29000)


def bme280(
    conversions: Sequence[Conversion] = (DATA_SHEET_CONVERSION,),
    *,
    address: int = 0x76,
    sda: int = 21,
    scl: int = 22,
    chip_id: int = BME280_ID,
    busy_polls: int = 1,
    steps: Conversion | None = None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Return a chip for the world's `i2c` list.

    Args:
        conversions: what its converter reads, one after the other and then again.
        address: its I2C address.
        sda: the pin that its data line is wired to.
        scl: the pin that its clock line is wired to.
        chip_id: what its identity register holds.
        busy_polls: how often the status is read before a conversion is done.
        steps: what each measurement adds to the one before.
        log: takes a line for each measurement that is handed out; their number goes on
            where the log ends, whatever becomes of the board.
    """
    low = struct.pack("<HhhHhhhhhhhhxB", *_TEMPERATURE, *_PRESSURE, _H1)
    high = struct.pack(
        "<hBbBbb", _H2, _H3, _H4 >> 4, _H4 & 15 | (_H5 & 15) << 4, _H5 >> 4, _H6
    )
    return {
        "sda": sda,
        "scl": scl,
        "address": address,
        "registers": {
            str(0xD0): bytes([chip_id]).hex(),
            str(0x88): low.hex(),
            str(0xE1): high.hex(),
        },
        "conversions": [list(conversion) for conversion in conversions],
        "busy_polls": busy_polls,
        "steps": steps,
        "log": log and str(log.resolve()),
    }


def temperature_ramp(steps: int = 60) -> list[Conversion]:
    """Return conversions that climb from about 19 to 29 degrees Celsius and fall again."""
    up = [500_000 + 32_000 * step // steps for step in range(steps)]
    return [
        (raw, 415_148 - 40 * step, 27_000 + 60 * step)
        for step, raw in enumerate(up + up[::-1])
    ]


def dht22_frame(temperature: float, humidity: float) -> str:
    """Return the frame in which a DHT22 says this, for a pin's list in the world's `dht`."""
    sign = 0x80 if temperature < 0 else 0
    tenths = round(abs(temperature) * 10)
    wet = round(humidity * 10)
    frame = bytes([wet >> 8, wet & 255, tenths >> 8 | sign, tenths & 255])
    return (frame + bytes([sum(frame) & 255])).hex()


def dht11_frame(temperature: float, humidity: float) -> str:
    """Return the frame in which a DHT11 says this, for a pin's list in the world's `dht`."""
    tenths = round(abs(temperature) * 10)
    wet = round(humidity * 10)
    sign = 0x80 if temperature < 0 else 0
    frame = bytes([wet // 10, wet % 10, tenths // 10, tenths % 10 | sign])
    return (frame + bytes([sum(frame) & 255])).hex()


def ds18b20(
    raws: Sequence[int] = (0x0191,),
    *,
    rom: str = "28ff641e8216c3",
    conversion_ms: int = 700,
    flips: int | None = None,
) -> dict[str, Any]:
    """Return a chip for a pin's list in the world's `onewire`.

    Args:
        raws: what its conversions give in sixteenths of a degree, in turn.
        rom: its id without the checksum, family first.
        conversion_ms: how long a conversion takes.
        flips: the bit of its scratchpad that a bad line turns over.
    """
    content = bytes.fromhex(rom)
    return {
        "rom": (content + bytes([_crc8(content)])).hex(),
        "raws": list(raws),
        "conversion_ms": conversion_ms,
        "flips": flips,
    }


def _crc8(content: bytes) -> int:
    """Return the checksum of 1-Wire (Maxim's application note 27)."""
    crc = 0
    for bit in (byte >> place & 1 for byte in content for place in range(8)):
        crc = crc >> 1 ^ (0x8C if (crc ^ bit) & 1 else 0)
    return crc


def wlan(
    statuses: Sequence[int] = (1001, 1010),
    *,
    port: str = "esp32",
    password: str | None = None,
    ssids: Sequence[str] | None = None,
    hangs: str | None = None,
) -> dict[str, Any]:
    """Return a radio for the world's `wlan`.

    Args:
        statuses: what each look at the status finds after joining; the last one stays.
        port: whose numbers these are, `esp32` or `cyw43`.
        password: the one that the network asks for; any will do where it is None.
        ssids: the networks that are in reach; all are where it is None.
        hangs: the method of the driver that does not return.
    """
    radio = {
        "port": port,
        "statuses": list(statuses),
        "password": password,
        "ssids": None if ssids is None else list(ssids),
        "hangs": hangs,
    }
    return {key: value for key, value in radio.items() if value is not None}


def write_world(path: Path, world: World) -> None:
    """Put a new world in the place of the old one, which the board notices at once."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(world), encoding="utf-8")
    draft.replace(path)
