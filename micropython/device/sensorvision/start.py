"""Start the node from its settings, and again whatever happens."""

import asyncio
import gc
import sys
import time

from micropython import const

from . import __version__
from .protocol import ValidationError

_SETTINGS_WAIT_S = const(30)
_CRASH_WAIT_S = const(3)


def run() -> None:
    """Run the node until someone interrupts it; reset the board where it can't go on."""
    firmware = sys.implementation
    version = ".".join(map(str, firmware.version[:3])) + ","
    print("sensorvision", __version__, "on", firmware.name, version, firmware._machine)
    node = None
    while True:
        try:
            node = make_node()
            asyncio.run(node.run())
        except ValidationError as err:
            print("settings:", err)
            time.sleep(_SETTINGS_WAIT_S)
        except KeyboardInterrupt:
            if node:
                node.keep_awake()
            raise
        except Exception as err:
            from machine import reset

            sys.print_exception(err)
            try:
                from .node import remember

                remember(err)
                if node:
                    node.outbox.flush()
            finally:
                time.sleep(_CRASH_WAIT_S)
                reset()


def load_settings(path: str = "/settings.json") -> dict:
    """Return the board's settings, and free the memory that their rules took.

    Args:
        path: of the settings file.

    Raises:
        ValidationError: they are missing or wrong.
    """
    try:
        from .settings import load

        return load(path)
    finally:
        # Where it was imported, a module is held by its package too.
        if sys.modules.pop("sensorvision.settings", None):
            del sys.modules["sensorvision"].settings
        gc.collect()


def make_node():
    """Return a `node.Node` of the board's settings.

    Raises:
        ValidationError: they, or the certificate that they name, are missing or wrong.
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
        raise ValidationError("ca_file", path, problem, "Flash it again") from None
