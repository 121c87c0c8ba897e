"""The BME280's driver on real MicroPython, judged by the data sheet's floating-point formulas."""

from typing import Any

import pytest

from micropython.simulator import bme280, temperature_ramp
from micropython.simulator.world import (
    BME680_ID,
    BMP280_ID,
    DATA_SHEET_CONVERSION,
    Conversion,
)

from .conftest import Run

_READ = """
import asyncio
from sensorvision.sensors import SensorError, find
async def main():
    sensor = find("bme280")({"sda": sda, "scl": scl, "address": address})
    readings = []
    for _ in range(count):
        try:
            readings.append(await sensor.read())
        except SensorError as err:
            readings.append(str(err))
    say(readings)
asyncio.run(main())
"""


async def read(
    run: Run,
    *chips: dict[str, Any],
    address: int | None = None,
    sda: int = 21,
    count: int = 1,
) -> list[Any]:
    """Return what a sensor reads with these chips on its bus."""
    readings: list[Any] = await run(
        _READ, world={"i2c": list(chips)}, address=address, sda=sda, scl=22, count=count
    )
    return readings


def by_floating_point(conversion: Conversion) -> dict[str, float]:
    """Compute a reading with the formulas in double precision (BME280 data sheet, 8.1)."""
    raw_t, raw_p, raw_h = conversion
    t1, t2, t3 = 27504, 26435, -1000
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = (
        36477,
        -10685,
        3024,
        2855,
        140,
        -7,
        15500,
        -14600,
        6000,
    )
    h1, h2, h3, h4, h5, h6 = 75, 355, 0, 333, 0, 30
    fine = (raw_t / 16384 - t1 / 1024) * t2 + (raw_t / 131072 - t1 / 8192) ** 2 * t3
    x = fine / 2 - 64000
    y = (x * x * p6 / 32768 + x * p5 * 2) / 4 + p4 * 65536
    z = (1 + (p3 * x * x / 524288 + p2 * x) / 524288 / 32768) * p1
    pressure = (1048576 - raw_p - y / 4096) * 6250 / z
    pressure += (
        p9 * pressure * pressure / 2147483648 + pressure * p8 / 32768 + p7
    ) / 16
    h = fine - 76800
    humidity = (raw_h - (h4 * 64 + h5 / 16384 * h)) * (
        h2 / 65536 * (1 + h6 / 67108864 * h * (1 + h3 / 67108864 * h))
    )
    humidity *= 1 - h1 * humidity / 524288
    return {
        "temperature": fine / 5120,
        "pressure": pressure / 100,
        "humidity": humidity,
    }


async def test_worked_example_of_the_data_sheet_comes_out(run: Run) -> None:
    [reading] = await read(run, bme280())
    assert reading["temperature"] == 25.08
    assert reading["pressure"] == 1006.53


async def test_pressure_keeps_the_256ths_of_the_data_sheet(run: Run) -> None:
    fine, pressure = await run(
        """
from sensorvision.sensors.bme280 import fine_temperature, pressure_256ths
calibration = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
fine = fine_temperature(calibration, 519888)
say([fine, pressure_256ths(calibration, fine, 415148)])
"""
    )
    assert fine == 128422
    # The data sheet's example is computed in floating point; its integers come this close.
    assert pressure / 256 == pytest.approx(100653.27, abs=0.02)


async def test_integer_formulas_agree_with_floating_point(run: Run) -> None:
    ramp = [
        *temperature_ramp(12),
        (380_000, 360_000, 20_000),
        (600_000, 460_000, 38_000),
    ]
    readings = await read(run, bme280(ramp), count=len(ramp))
    for reading, conversion in zip(readings, ramp, strict=True):
        expected = by_floating_point(conversion)
        assert reading["temperature"] == pytest.approx(
            expected["temperature"], abs=0.011
        )
        assert reading["pressure"] == pytest.approx(expected["pressure"], abs=0.011)
        assert reading["humidity"] == pytest.approx(expected["humidity"], abs=0.03)


@pytest.mark.parametrize("address", [0x76, 0x77])
async def test_either_address_is_found(run: Run, address: int) -> None:
    [reading] = await read(run, bme280(address=address))
    assert reading["temperature"] == 25.08


async def test_address_in_the_settings_chooses_between_two_chips(run: Run) -> None:
    chips = bme280(), bme280([(600_000, *DATA_SHEET_CONVERSION[1:])], address=0x77)
    [reading] = await read(run, *chips, address=0x77)
    assert reading["temperature"] > 40


async def test_bmp280_reports_no_humidity(run: Run) -> None:
    [reading] = await read(run, bme280(chip_id=BMP280_ID))
    assert reading == {"temperature": 25.08, "pressure": 1006.53}


@pytest.mark.parametrize(
    ("chips", "address", "message"),
    [
        pytest.param(
            [],
            None,
            "no answer at I2C address 0x76 or 0x77 (error 19). Check power, ground, "
            "SDA on pin 21 and SCL on pin 22",
            id="nothing on the bus",
        ),
        pytest.param(
            [bme280(address=0x77)],
            0x76,
            "no answer at I2C address 0x76 (error 19). Check power, ground, "
            "SDA on pin 21 and SCL on pin 22",
            id="another address",
        ),
        pytest.param(
            [bme280(sda=19)],
            None,
            "no answer at I2C address 0x76 or 0x77 (error 19). Check power, ground, "
            "SDA on pin 21 and SCL on pin 22",
            id="another pin",
        ),
        pytest.param(
            [bme280(chip_id=BME680_ID)],
            None,
            "the chip at address 0x76 is a BME680, not a BME280 (id 0x61)",
            id="BME680",
        ),
        pytest.param(
            [bme280(chip_id=0x42)],
            None,
            "the chip at address 0x76 is unknown, not a BME280 (id 0x42)",
            id="unknown chip",
        ),
        pytest.param(
            [bme280(busy_polls=10_000)],
            None,
            "the chip at address 0x76 does not finish measuring. Check its 3.3 V supply",
            id="never finishes",
        ),
    ],
)
async def test_missing_or_wrong_chip_is_named_with_what_to_check(
    run: Run, chips: list[dict[str, Any]], address: int | None, message: str
) -> None:
    assert await read(run, *chips, address=address) == [message]


@pytest.mark.parametrize(
    ("conversion", "variables"),
    [
        ((0x80000, 0x80000, 0x8000), set()),
        ((519888, 0x80000, 29000), {"temperature", "humidity"}),
        ((519888, 415148, 0x8000), {"temperature", "pressure"}),
    ],
)
async def test_skipped_measurement_is_left_out(
    run: Run, conversion: Conversion, variables: set[str]
) -> None:
    [reading] = await read(run, bme280([conversion]))
    assert set(reading) == variables


async def test_conversion_is_waited_for(run: Run) -> None:
    conversions = [DATA_SHEET_CONVERSION, (600_000, *DATA_SHEET_CONVERSION[1:])]
    first, second = await read(run, bme280(conversions, busy_polls=8), count=2)
    assert first["temperature"] == 25.08
    assert second["temperature"] > 40
