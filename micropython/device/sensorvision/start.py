"""Start the node from its settings, and again whatever happens."""

import asyncio
import gc
import sys
import time

from micropython import const

from . import __version__

_SETTINGS_WAIT_S = const(30)
_CRASH_WAIT_S = const(3)

# See health.py.
_MEMORY = const(4)
_CRASH = const(6)


class Unusable(Exception):
    """The settings can't be used yet; the message says why."""


def run() -> None:
    """Run the node until someone interrupts it; reset the board where it can't go on."""
    firmware = sys.implementation
    version = "{}.{}.{}".format(*firmware.version[:3])
    print(f"sensorvision {__version__} on {firmware.name} {version}, {firmware._machine}")
    node = None
    while True:
        try:
            node = make_node()
            asyncio.run(node.run())
        except Unusable as err:
            print("settings:", err)
            time.sleep(_SETTINGS_WAIT_S)
        except KeyboardInterrupt:
            if node:
                node.keep_awake()
            raise
        except Exception as err:
            sys.print_exception(err)
            _restart(node, err)


def load_settings(path: str = "/settings.json") -> dict:
    """Return the board's settings, and free the memory that their rules took.

    Args:
        path: of the settings file.

    Raises:
        Unusable: they are missing or wrong.
    """
    from .settings import SettingsError, load

    try:
        return load(path)
    except SettingsError as err:
        raise Unusable(str(err)) from None
    finally:
        for name in ("settings", "options"):
            # Where it was imported, a module is held by its package too.
            if sys.modules.pop("sensorvision." + name, None):
                delattr(sys.modules["sensorvision"], name)
        gc.collect()


def make_node():
    """Return a `node.Node` of the board's settings.

    Raises:
        Unusable: they, or the certificate that they name, are missing or wrong.
    """
    settings = load_settings()
    path = settings["ca_file"]
    problem = "is missing"
    try:
        ca = None
        if path:
            with open(path, "rb") as file:
                ca = file.read()
        problem = "is no certificate in DER form"
        # Imported piece by piece: the heap is tightest while modules are loaded.
        gc.collect()
        from .node import Node

        return Node(settings, ca)
    except (OSError, ValueError):
        raise Unusable(f"ca_file {path} {problem}. Flash it again") from None


def _restart(node, err):
    from machine import reset

    try:
        from .health import remember

        remember(_MEMORY if isinstance(err, MemoryError) else getattr(err, "error", _CRASH))
        if node:
            node.outbox.flush()
    finally:
        time.sleep(_CRASH_WAIT_S)
        reset()
