"""A board without hardware: real MicroPython, with only what is below its buses played."""

from micropython.simulator.board import SimulatedBoard
from micropython.simulator.clock import Clock
from micropython.simulator.world import (
    bme280,
    dht22_frame,
    temperature_ramp,
    wlan,
    write_world,
)

__all__ = [
    "Clock",
    "SimulatedBoard",
    "bme280",
    "dht22_frame",
    "temperature_ramp",
    "wlan",
    "write_world",
]
