"""Let a program find the hardware of a Raspberry Pi, played where the kernel would be.

Python imports this module by itself when its folder is on the path. What programs and
libraries open, and how they speak to it, is theirs; only what a driver of the kernel would
answer comes from here: the file of the I2C bus, the GPIO chip, and the program that times
a pin's pulses. What hangs there is told by the JSON in `HARDWARE`:
`{"i2c": [chip, ...], "dht": [frame, ...]}`, as `micropython.simulator.world` writes both.
"""

import builtins
import fcntl
import io
import json
import os
from pathlib import Path
import subprocess
import sys

from i2c import Bus

_HARDWARE = json.loads(os.environ.get("HARDWARE", "{}"))
_CPU = "Hardware\t: BCM2835\nRevision\t: c03111\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n"
_PULSE_TIMER = "libgpiod_pulsein"

_open, _ioctl, _glob, _start = builtins.open, fcntl.ioctl, Path.glob, subprocess.Popen
_buses = {}


def _open_device(file, *arguments, **options):
    if file == "/dev/i2c-1":
        bus = Bus(_HARDWARE.get("i2c", []))
        _buses[bus.fileno()] = bus
        return bus
    if file == "/proc/cpuinfo":
        return io.StringIO(_CPU)
    return _open(file, *arguments, **options)


def _control_device(file, request, argument=0, *others):
    if bus := _buses.get(file):
        return bus.control(request, argument)
    return _ioctl(file, request, argument, *others)


def _list_devices(directory, pattern, **options):
    if str(directory) == "/dev" and pattern == "gpiochip*":
        return iter([Path("/dev/gpiochip0")])
    return _glob(directory, pattern, **options)


class _Process(_start):
    """A process; the timer of pulses among them is one of ours."""

    def __init__(self, command, *arguments, **options):
        if isinstance(command, list) and _PULSE_TIMER in Path(command[0]).name:
            frames = json.dumps(_HARDWARE.get("dht", []))
            pulses = Path(__file__).with_name("pulses.py")
            queue = command[command.index("--queue") + 1]
            command = [sys.executable, "-S", str(pulses), queue, frames, *sys.path]
        super().__init__(command, *arguments, **options)


builtins.open = _open_device
fcntl.ioctl = _control_device
Path.glob = _list_devices
subprocess.Popen = _Process
