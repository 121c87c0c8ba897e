"""What the board tells of itself, on chips of both families and real MicroPython."""

import time
from typing import Any

import pytest

from micropython.simulator.world import wlan

from .conftest import Run

_READ = """
import asyncio
import network
import time
from sensorvision.sensors import find
async def main():
    sensor = find("board")({"supply": supply, "divider": divider})
    wlan = network.WLAN(network.STA_IF)
    if joins:
        wlan.active(True)
        wlan.connect("home", "")
        while not wlan.isconnected():
            time.sleep_ms(1)
    await asyncio.sleep_ms(1100)
    say(await sensor.read())
asyncio.run(main())
"""


async def read(
    run: Run,
    world: dict[str, Any],
    *,
    joins: bool = False,
    supply: int | None = None,
    divider: int = 2,
) -> dict[str, float]:
    """Return what the board says of itself, but for how long it runs."""
    reading: dict[str, float] = await run(
        _READ, world=world, joins=joins, supply=supply, divider=divider
    )
    assert 1 <= reading.pop("uptime") <= 30
    return reading


@pytest.mark.parametrize(
    ("world", "celsius"),
    [
        # 0.706 V is 27 degrees, by the RP2040's data sheet, and 0.689 V ten more.
        ({"adc": {"4": 14_020}}, 27.0),
        ({"adc": {"4": 13_683}}, 36.9),
        ({"esp32": {"raw_temperature": 128}}, 53.3),
        ({"esp32": {"mcu_temperature": 41}}, 41),
    ],
    ids=["RP2 at 27 degrees", "RP2 at 37 degrees", "ESP32", "ESP32-S3 and -C3"],
)
async def test_temperature_is_that_of_the_chip(
    run: Run, world: dict[str, Any], celsius: float
) -> None:
    assert await read(run, world) == {"temperature": celsius}


async def test_chip_without_a_thermometer_tells_the_rest(run: Run) -> None:
    assert await read(run, {"esp32": {}}) == {}


@pytest.mark.parametrize(
    ("world", "volts"),
    [
        ({"esp32": {}, "adc": {"35": 43_487}}, 4.11),
        ({"esp32": {}, "adc": {"35": 0}}, 0.0),
        ({"adc": {"35": 41_279, "4": 14_020}}, 4.16),
    ],
    ids=["ESP32", "nothing there", "RP2"],
)
async def test_supply_is_measured_behind_its_divider(
    run: Run, world: dict[str, Any], volts: float
) -> None:
    assert (await read(run, world, supply=35))["voltage"] == volts


async def test_divider_of_the_settings_counts(run: Run) -> None:
    world = {"esp32": {}, "adc": {"35": 43_487}}
    assert await read(run, world, supply=35, divider=3) == {"voltage": 6.17}


async def test_signal_is_told_while_the_radio_is_in_a_network(run: Run) -> None:
    world = {"esp32": {}, "wlan": wlan()}
    assert await read(run, world) == {}
    assert await read(run, world, joins=True) == {"rssi": -60}


async def test_uptime_goes_on_while_the_clock_is_set(run: Run) -> None:
    said = await run(
        """
import asyncio
from sensorvision import clock
from sensorvision.sensors import find
sensor = find("board")({"supply": None, "divider": 2})
async def main():
    before = clock.now()
    clock.set_from_date("Mon, 07 Feb 2033 04:05:06 GMT")
    say([clock.now() - before, (await sensor.read())["uptime"]])
asyncio.run(main())
""",
        world={"esp32": {}, "clock_shift_s": -int(time.time())},
    )
    jump, uptime = said
    assert jump > 1_000_000_000
    assert uptime in (0, 1)
