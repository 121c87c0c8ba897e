"""Measure what the port costs on a board."""

import asyncio
import json
from pathlib import Path
import sys
import tempfile
from typing import cast

from micropython.provision.build import cross_compile
from micropython.provision.manifest import device_files

MEASURED_MODULES = {
    "http_bme280_settings": (
        "sensorvision/__init__.py",
        "sensorvision/connection.py",
        "sensorvision/http.py",
        "sensorvision/protocol.py",
        "sensorvision/sensors/__init__.py",
        "sensorvision/sensors/bme280.py",
        "sensorvision/settings.py",
        "sensorvision/url.py",
    ),
    "all_files": tuple(device_files()),
}
"""What is weighed together, by the name of its budget."""

# Answers as a BME280 does and costs next to no heap itself.
_MACHINE = """
class Pin:
    def __init__(self, number): pass
class SoftI2C:
    def __init__(self, scl, sda): pass
    def readfrom_mem(self, address, register, count):
        if register == 0xd0: return b"\\x60"
        if register == 0xf3: return b"\\0"
        if register == 0xf7: return b"\\x65\\x5a\\xc0\\x7e\\xed\\0\\x71\\x48"
        if register == 0xe1: return b"\\x63\\x01\\0\\x14\\x0d\\0\\x1e"
        return b"pkCg\\x18\\xfc}\\x8eC\\xd6\\xd0\\x0b'\\x0b\\x8c\\0\\xf9\\xff\\x8c<\\xf8\\xc6p\\x17\\0K"
    def writeto_mem(self, address, register, content): pass
"""

# What a whole node asks of a board besides, by module.
_FIRMWARE = {
    "machine": _MACHINE
    + """
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET = 1, 2, 3, 4
class RTC:
    def datetime(self, date): pass
class WDT:
    def __init__(self, timeout): pass
    def feed(self): pass
def reset_cause(): return PWRON_RESET
def unique_id(): return b"unique"
def reset(): raise SystemExit
""",
    "network": """
STA_IF = 0
class WLAN:
    def __init__(self, interface): self._on = False
    def active(self, on=None):
        if on is None: return self._on
        self._on = on
    def config(self, **options): pass
    def connect(self, ssid, password): pass
    def isconnected(self): return self._on
    def ifconfig(self): return ("192.168.1.2",)
    def status(self, what=None): return -50
""",
    # A board's clock has whole seconds.
    "time": """
from utime import *
import utime
def time(): return int(utime.time())
""",
    "ntptime": """
import time as clock
def time(): return clock.time()
""",
    "program": """
import os
import sys
import vfs
import machine, network, ntptime, time
host = vfs.VfsPosix(os.getcwd() + "/flash")
vfs.umount("/")
vfs.mount(host, "/")
os.chdir("/")
sys.path[:] = ["", ".frozen"]
import sensorvision.http, sensorvision.mqtt
from sensorvision.start import run
run()
""",
}

_SEND = """
import asyncio
from sensorvision.start import load_settings
settings = load_settings("settings.json")
from sensorvision.http import HttpClient
from sensorvision.protocol import ingest_request
from sensorvision.sensors import find
async def main():
    client = HttpClient(settings["url"], None, settings["timeout_s"])
    options = settings["sensors"][0]
    readings = await find(options["type"])(options).read()
    answer = await client.send(
        ingest_request(settings["device_id"], settings["token"], readings))
    print(answer.kind)
asyncio.run(main())
"""

_HEAP_STEP_BYTES = 256
_NODE_DEADLINE_S = 30
# Enough for the store to be written twice, and for a file of it to be read.
_NODE_DELIVERIES = 5


def compile_to(directory: Path) -> dict[str, int]:
    """Compile the port into a directory, and return each file's bytes by its path."""
    sizes = {}
    for target, source in device_files().items():
        path = (directory / target).with_suffix(".mpy")
        path.parent.mkdir(parents=True, exist_ok=True)
        cross_compile(source, path, target)
        sizes[target] = path.stat().st_size
    return sizes


async def smallest_heap_bytes(url: str, token: str) -> int:
    """Return the smallest heap in which a board reads a BME280 and sends one reading.

    Args:
        url: of a server that takes it.
        token: that the server knows.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        await asyncio.to_thread(compile_to, directory)
        (directory / "machine.py").write_text(_MACHINE, encoding="utf-8")
        # Compiled, as frozen firmware is: its own source is no part of the measure.
        script = directory / "send.py"
        script.write_text(_SEND, encoding="utf-8")
        settings = {"url": url, "token": token, "device_id": "dev-a"}
        (directory / "settings.json").write_text(
            json.dumps({**settings, "sensors": [{"type": "bme280"}]}), encoding="utf-8"
        )
        for source in (script, directory / "machine.py"):
            await asyncio.to_thread(_compile_in_place, source)
        low, high = 0, 512
        while high - low > 1:
            middle = (low + high) // 2
            if await _is_sent(directory, middle * _HEAP_STEP_BYTES):
                high = middle
            else:
                low = middle
        return high * _HEAP_STEP_BYTES


async def node_delivers(directory: Path, settings: str, heap_bytes: int) -> bool:
    """Tell whether a whole node, with both transports loaded, delivers some readings.

    Args:
        directory: an empty one, for its flash and its firmware.
        settings: as JSON text.
        heap_bytes: all the memory it has.
    """
    flash = directory / "flash"
    await asyncio.to_thread(compile_to, flash)
    (flash / "settings.json").write_text(settings, encoding="utf-8")
    for name, source in _FIRMWARE.items():
        path = directory / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        await asyncio.to_thread(_compile_in_place, path)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("micropython"),
        *("-X", f"heapsize={heap_bytes}", "-m", "program"),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = cast("asyncio.StreamReader", process.stdout)
    delivered = 0
    try:
        async with asyncio.timeout(_NODE_DEADLINE_S):
            while delivered < _NODE_DELIVERIES and (line := await printed.readline()):
                delivered += line.startswith(b"delivered ")
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return delivered == _NODE_DELIVERIES


def _compile_in_place(source: Path) -> None:
    cross_compile(source, source.with_suffix(".mpy"), source.name)
    source.unlink()


async def _is_sent(directory: Path, heap_bytes: int) -> bool:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("micropython"),
        "-X",
        f"heapsize={heap_bytes}",
        "-m",
        "send",
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.strip().endswith(b"delivered")
