"""The DHT11's driver on real MicroPython; all sensors at once, for each read takes seconds."""

import asyncio
from typing import Any

import pytest

from micropython.simulator.world import dht11_frame, dht22_frame

from .conftest import read_frames

_READ = """
import asyncio
from sensorvision.sensors import SensorError, find
async def read(pin):
    sensor = find("dht11")({"pin": pin})
    try:
        return await sensor.read()
    except SensorError as err:
        return str(err)
async def main():
    say(await asyncio.gather(*[read(pin) for pin in pins]))
asyncio.run(main())
"""

_STALE = dht11_frame(1, 40)

# A name, the frames that the sensor sends, and what is read.
_CASES: list[tuple[str, list[str | int], Any]] = [
    (
        "example of the data sheet",
        # 53 % and 24.4 C: 0011 0101, 0000 0000, 0001 1000, 0000 0100 and their sum.
        [_STALE, "3500180451"],
        {"temperature": 24.4, "humidity": 53.0},
    ),
    (
        "frost, of the newer ones",
        # Minus 10.1 C: 0000 1010, 1000 0001.
        [_STALE, "35000a81c0"],
        {"temperature": -10.1, "humidity": 53.0},
    ),
    (
        "dry air",
        [_STALE, dht11_frame(20, 5)],
        {"temperature": 20.0, "humidity": 5.0},
    ),
    (
        "broken for ever",
        ["3500180452"],
        (
            "a broken frame on pin 13. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "DHT22",
        [dht22_frame(23.4, 65.2)],
        {"temperature": 23.4, "humidity": 65.2},
    ),
    (
        "DHT22 in the wettest air",
        [dht22_frame(25.6, 100.0)],
        {"temperature": 25.6, "humidity": 100.0},
    ),
    (
        "not there",
        [],
        "no answer on pin 16. Check power, ground, data wire and its pull-up of 10 kOhm",
    ),
]


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each case's sensor read, all of them wired to one board."""
    directory = tmp_path_factory.mktemp("dht11")
    return asyncio.run(read_frames(directory, _READ, _CASES))


@pytest.mark.parametrize(("name", "expected"), [(case[0], case[2]) for case in _CASES])
def test_reading_is_what_the_frames_hold(
    readings: dict[str, Any], name: str, expected: object
) -> None:
    assert readings[name] == expected
