"""Run first in the unix port: bring up hardware and flash, then boot.py and main.py."""

import gc
import os
import sys

sys.path.insert(0, os.getenv("BOARD_FIRMWARE"))
import pace

if os.getenv("BOARD_CLOCK"):
    pace.begin(os.getenv("BOARD_CLOCK"))
import socket  # noqa: F401
import time  # noqa: F401  stays in sys.modules, like the next four

import vfs

import flash
import machine  # noqa: F401
import network  # noqa: F401
import ntptime  # noqa: F401
from world import world

# Only what the world has something for: here they take memory, on a board they are frozen.
for _name in ("esp32", "onewire"):
    if _name in world():
        __import__(_name)

_file_system = flash.mount(os.getenv("BOARD_FLASH"), int(os.getenv("BOARD_FLASH_BLOCKS")))
vfs.umount("/")
vfs.mount(_file_system, "/")
sys.path[:] = ["", ".frozen", "/lib"]
# A real board's firmware has not been compiled in the memory of its programs.
gc.collect()


def _run(name):
    try:
        file = open(name)
    except OSError:
        return
    with file:
        source = file.read()
    try:
        exec(source, {"__name__": "__main__"})
    except SystemExit:
        raise
    except BaseException as err:
        sys.print_exception(err)


_run("boot.py")
if os.getenv("BOARD_RAW_REPL") != "1":
    _run("main.py")
# Only now: a reset above must end the process instead of stopping at a prompt.
if os.getenv("BOARD_PROMPT") == "1":
    os.putenv("MICROPYINSPECT", "1")
