"""The DHT22's driver on real MicroPython; all sensors at once, for each read takes seconds."""

import asyncio
from typing import Any

import pytest

from micropython.simulator import dht22_frame

from .conftest import read_frames

_READ = """
import asyncio
from sensorvision.sensors import SensorError, find
async def read(pin):
    sensor = find("dht22")({"pin": pin})
    try:
        return await sensor.read()
    except SensorError as err:
        return str(err)
async def main():
    say(await asyncio.gather(*[read(pin) for pin in pins]))
asyncio.run(main())
"""

_GOOD = dht22_frame(23.4, 65.2)
_STALE = dht22_frame(1.0, 1.0)
_BROKEN = _GOOD[:-2] + "00"
_SILENT = 110

# A name, the frames that the sensor sends, and what is read.
_CASES: list[tuple[str, list[str | int], Any]] = [
    (
        "first frame is thrown away",
        [_STALE, _GOOD],
        {"temperature": 23.4, "humidity": 65.2},
    ),
    (
        "negative temperature",
        [_STALE, dht22_frame(-10.1, 40.0)],
        {"temperature": -10.1, "humidity": 40.0},
    ),
    (
        "broken frame is asked for again",
        [_STALE, _BROKEN, _GOOD],
        {"temperature": 23.4, "humidity": 65.2},
    ),
    (
        "silence is asked again",
        [_SILENT, _SILENT, _SILENT, _GOOD],
        {"temperature": 23.4, "humidity": 65.2},
    ),
    (
        "broken for ever",
        [_BROKEN],
        (
            "a broken frame on pin 14. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "DHT11",
        # 45 % and 24 C as a DHT11 says it.
        ["2d00180045"],
        {"temperature": 24.0, "humidity": 45.0},
    ),
    (
        "all zero",
        ["0000000000"],
        (
            "a broken frame on pin 16. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "hotter than any",
        [dht22_frame(80.1, 40.0)],
        (
            "a broken frame on pin 17. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "colder than any",
        [dht22_frame(-40.1, 40.0)],
        (
            "a broken frame on pin 18. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "wetter than any",
        [dht22_frame(20.0, 100.1)],
        (
            "a broken frame on pin 19. Check power, ground, data wire and its pull-up of "
            "10 kOhm"
        ),
    ),
    (
        "not there",
        [],
        "no answer on pin 20. Check power, ground, data wire and its pull-up of 10 kOhm",
    ),
]


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each case's sensor read, all of them wired to one board."""
    directory = tmp_path_factory.mktemp("dht22")
    return asyncio.run(read_frames(directory, _READ, _CASES))


@pytest.mark.parametrize(("name", "expected"), [(case[0], case[2]) for case in _CASES])
def test_reading_is_what_the_frames_hold(
    readings: dict[str, Any], name: str, expected: object
) -> None:
    assert readings[name] == expected
