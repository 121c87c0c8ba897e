"""Read the simulated world that the host wrote, and again whenever it has changed."""

import json
import os

import vfs

HOST = vfs.VfsPosix()
_PATH = os.getenv("BOARD_WORLD")

_seen = None
_world = {}
_changes = 0


def world():
    """Return what surrounds the board now, by part: `i2c`, `dht`, `wlan`."""
    global _seen, _world, _changes
    stat = HOST.stat(_PATH)
    # The host replaces the file as a whole, so a new world is a new inode.
    key = (stat[1], stat[6], stat[8])
    if key != _seen:
        with HOST.open(_PATH, "r") as file:
            _world = json.load(file)
        _seen = key
        _changes += 1
    return _world


def changes():
    """Count how often the world has changed since the board started."""
    world()
    return _changes


def tell(message):
    """Write a line to the host, which keeps the watchdog and the power."""
    with HOST.open("/dev/fd/" + os.getenv("BOARD_WATCHDOG_FD"), "wb") as pipe:
        pipe.write(message)
