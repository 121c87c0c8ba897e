"""The DS18B20's driver on real MicroPython, with chips that answer slot by slot."""

from typing import Any

import pytest

from micropython.provision.rules import device_module
from micropython.provision.settings import parse_sensor
from micropython.simulator.world import ds18b20

from .conftest import Run

_READ = """
import asyncio
from sensorvision.sensors import SensorError, find
async def tick():
    global ticks
    while True:
        await asyncio.sleep_ms(10)
        ticks += 1
ticks = 0
async def main():
    beside = asyncio.create_task(tick())
    readings = []
    for rom in roms:
        sensor = find("ds18b20")({"pin": 4, "rom": rom})
        for _ in range(count):
            try:
                readings.append((await sensor.read())["temperature"])
            except SensorError as err:
                readings.append(str(err))
    say({"readings": readings, "ticks": ticks})
asyncio.run(main())
"""

_FIRST = ds18b20([0x0191], rom="28ff641e8216c3")
_SECOND = ds18b20([0x00A2], rom="28ff641e8216c2")
_THIRD = ds18b20([0xFF5E], rom="2800000b35a1f0")
_OTHER_FAMILY = ds18b20([0x0032], rom="10ff641e8216c3")


async def read(
    run: Run,
    chips: list[dict[str, Any]] | None,
    *roms: str,
    pin: int = 4,
    count: int = 1,
) -> list[Any]:
    """Return what sensors read with these chips on their pin; None holds its line down."""
    said = await run(
        _READ,
        world={"onewire": {str(pin): chips}},
        roms=roms or [""],
        count=count,
    )
    readings: list[Any] = said["readings"]
    return readings


@pytest.mark.parametrize(
    ("raw", "celsius"),
    [
        # The table of the data sheet, but for the 85 degrees of one that has lost power.
        (0x07D0, 125.0),
        (0x0191, 25.0625),
        (0x00A2, 10.125),
        (0x0008, 0.5),
        (0x0000, 0.0),
        (0xFFF8, -0.5),
        (0xFF5E, -10.125),
        (0xFE6F, -25.0625),
        (0xFC90, -55.0),
    ],
)
async def test_temperature_is_that_of_the_data_sheet(
    run: Run, raw: int, celsius: float
) -> None:
    assert await read(run, [ds18b20([raw])]) == [celsius]


async def test_several_on_one_pin_are_told_apart_by_their_rom(run: Run) -> None:
    chips = [_FIRST, _SECOND, _THIRD]
    roms = [chip["rom"] for chip in reversed(chips)]
    assert await read(run, chips, *roms) == [-10.125, 10.125, 25.0625]


async def test_rom_may_be_written_in_capitals(run: Run) -> None:
    assert await read(run, [_FIRST, _SECOND], _SECOND["rom"].upper()) == [10.125]


@pytest.mark.parametrize("rom", [_FIRST["rom"], "2812345678901234"])
def test_rom_is_taken_from_the_command_line_as_text(rom: str) -> None:
    sensor = parse_sensor(f"ds18b20:pin=4,rom={rom},name=tank")
    assert sensor == {"type": "ds18b20", "pin": 4, "rom": rom, "name": "tank"}
    options = device_module("sensors").find("ds18b20").OPTIONS
    assert all(isinstance(sensor[key], options[key][0]) for key in ("pin", "rom"))


async def test_several_without_a_rom_are_named_to_choose_from(run: Run) -> None:
    [message] = await read(run, [_FIRST, _SECOND])
    assert message.startswith("rom '' is not on pin 4. Choose 28")
    assert message.count(_FIRST["rom"]) == message.count(_SECOND["rom"]) == 1


async def test_rom_of_another_chip_is_refused_with_the_one_that_is_there(
    run: Run,
) -> None:
    assert await read(run, [_FIRST], _SECOND["rom"]) == [
        f"rom '{_SECOND['rom']}' is not on pin 4. Choose {_FIRST['rom']}"
    ]


async def test_chip_of_another_family_is_passed_over(run: Run) -> None:
    assert await read(run, [_OTHER_FAMILY, _FIRST]) == [25.0625]


@pytest.mark.parametrize(
    ("chips", "pin"),
    [([], 4), ([_FIRST], 5), ([_OTHER_FAMILY], 4), (None, 4)],
    ids=["nothing", "another pin", "another family", "line held down"],
)
async def test_silence_is_told_with_what_to_check(
    run: Run, chips: list[dict[str, Any]] | None, pin: int
) -> None:
    assert await read(run, chips, pin=pin) == [
        "no answer on pin 4. Check power, ground, data wire and its pull-up of 4.7 kOhm"
    ]


@pytest.mark.parametrize("flips", [0, 11, 35, 71])
async def test_one_wrong_bit_is_no_temperature(run: Run, flips: int) -> None:
    assert await read(run, [ds18b20(flips=flips)]) == [
        (
            "a broken answer on pin 4. "
            "Check power, ground, data wire and its pull-up of 4.7 kOhm"
        )
    ]


async def test_value_of_a_chip_that_has_lost_power_is_refused(run: Run) -> None:
    # Its conversion never ends, so that it still holds what it has from its start.
    assert await read(run, [ds18b20(conversion_ms=1_000_000)]) == [
        (
            "85.0 C after a loss of power on pin 4. "
            "Check power, ground, data wire and its pull-up of 4.7 kOhm"
        )
    ]


async def test_each_reading_is_of_its_own_conversion(run: Run) -> None:
    assert await read(run, [ds18b20([0x0191, 0x00A2, 0x0008])], count=3) == [
        25.0625,
        10.125,
        0.5,
    ]


async def test_board_goes_on_while_a_chip_converts(run: Run) -> None:
    said = await run(_READ, world={"onewire": {"4": [_FIRST]}}, roms=[""], count=1)
    assert said["readings"] == [25.0625]
    assert said["ticks"] >= 10
