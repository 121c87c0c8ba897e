"""Start the node from its settings, and again whatever happens."""

import asyncio
import gc
import sys
import time

from micropython import const

from . import __version__

_SETTINGS_WAIT_S = const(30)
_CRASH_WAIT_S = const(3)


class _Unusable(Exception):
    """The settings can't be used yet; the message says why."""


def run() -> None:
    """Run the node until someone interrupts it; reset the board where it can't go on."""
    firmware = sys.implementation
    version = ".".join(str(part) for part in firmware.version[:3])
    print(f"sensorvision {__version__} on {firmware.name} {version}, {firmware._machine}")
    while True:
        try:
            node = _make_node(load_settings())
        except _Unusable as err:
            print("settings:", err)
            time.sleep(_SETTINGS_WAIT_S)
            continue
        try:
            asyncio.run(node.run())
        except KeyboardInterrupt:
            node.keep_awake()
            raise
        except Exception as err:
            from machine import reset

            sys.print_exception(err)
            time.sleep(_CRASH_WAIT_S)
            reset()


def load_settings(path: str = "/settings.json") -> dict:
    """Return the board's settings, and free the memory that their rules took.

    Args:
        path: of the settings file.

    Raises:
        _Unusable: they are missing or wrong.
    """
    from .settings import SettingsError, load

    try:
        return load(path)
    except SettingsError as err:
        raise _Unusable(str(err)) from None
    finally:
        for name in ("settings", "options"):
            # Where it was imported, a module is held by its package too.
            if sys.modules.pop("sensorvision." + name, None):
                delattr(sys.modules["sensorvision"], name)
        gc.collect()


def _make_node(settings):
    from .http import HttpClient

    path = settings["ca_file"]
    problem = "is missing"
    try:
        ca = None
        if path:
            with open(path, "rb") as file:
                ca = file.read()
        problem = "is no certificate in DER form"
        client = HttpClient(settings["url"], ca, settings["timeout_s"])
    except (OSError, ValueError):
        raise _Unusable(f"ca_file {path} {problem}. Flash it again") from None
    # Imported piece by piece: the heap is tightest while modules are loaded.
    gc.collect()
    from .node import Node

    return Node(settings, client)
