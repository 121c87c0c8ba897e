"""The demo's board: real MicroPython, with a BME280 played at its bus."""

import json
from pathlib import Path
import shutil

from micropython.simulator import (
    SimulatedBoard,
    bme280,
    temperature_ramp,
    wlan,
)

from .server import Server

DEVICE_ID = "demo-board"
ADDRESSES = [
    (DEVICE_ID, variable) for variable in ("temperature", "humidity", "pressure")
]
"""Where what the sensor measures goes on the server; the board tells of itself beside."""

_INTERVAL_S = 2


def simulated_board(folder: Path, server: Server) -> SimulatedBoard:
    """Prepare a fresh board that reports to the server.

    Args:
        folder: takes the board's flash.
        server: where it reports to.
    """
    directory = folder / "board"
    shutil.rmtree(directory, ignore_errors=True)
    board = SimulatedBoard(
        directory, {"i2c": [bme280(temperature_ramp())], "wlan": wlan()}
    )
    board.stage(
        json.dumps(
            {
                "url": server.url,
                "token": server.token,
                "device_id": DEVICE_ID,
                "wifi": {"ssid": "demo", "password": "demo-password"},
                "interval_s": _INTERVAL_S,
                "sensors": [{"type": "bme280", "sda": 21, "scl": 22}],
            }
        )
    )
    return board
