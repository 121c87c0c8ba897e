"""The example of a sensor of one's own: one file, which nothing else has to know."""

from pathlib import Path

import pytest

from micropython import ROOT
from micropython.provision.manifest import device_files
from sandbox import Sandbox

from .conftest import NewBoard, node_settings

_EXAMPLE = ROOT / "docs" / "board" / "soil.py"
_SETTINGS = {"sensors": [{"type": "soil", "name": "bed", "pin": 33}]}


def copy_example(flash: Path) -> None:
    """Put the example beside the sensors on a board's flash, as its users do."""
    sensors = flash / "sensorvision" / "sensors"
    (sensors / _EXAMPLE.name).write_bytes(_EXAMPLE.read_bytes())


async def test_sensor_of_ones_own_is_delivered(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    board = new_board(node_settings(sandbox.url, **_SETTINGS), {"adc": {"33": 36_500}})
    copy_example(board.flash)
    async with board:
        await board.wait_for_line("delivered bed_moisture=50.0")
    assert sandbox.store.values("dev-a", "bed_moisture")


async def test_its_fault_is_told_as_that_of_any_other(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    board = new_board(node_settings(sandbox.url, **_SETTINGS), {"adc": {"33": 0}})
    copy_example(board.flash)
    async with board:
        line = await board.wait_for_line("sensor bed_soil")
    assert (
        line == "sensor bed_soil: 0 V on pin 33. Check the sensor's power and its wire"
    )


async def test_its_options_are_checked_as_those_of_any_other(
    new_board: NewBoard, sandbox: Sandbox
) -> None:
    board = new_board(node_settings(sandbox.url, sensors=[{"type": "soil", "pin": 99}]))
    copy_example(board.flash)
    async with board:
        line = await board.wait_for_line("settings:")
    assert "sensors[0].pin 99 is not between 0 and 48" in line


@pytest.mark.parametrize("name", ["bme280", "board", "dht11", "dht22", "ds18b20"])
def test_every_sensor_goes_onto_a_board(name: str) -> None:
    assert f"sensorvision/sensors/{name}.py" in device_files()
