"""Find sensors by name: each is one file here with one class, its name in capitals.

A sensor's `OPTIONS` say what may stand in its settings. It is made from these options,
and `await read()` returns numbers by variable name or raises `SensorError`.
"""

import os

from micropython import const  # noqa: F401  for the sensors

TYPES = sorted(
    {name.partition(".")[0] for name in os.listdir(__file__.rpartition("/")[0]) if name[0] != "_"}
)


class SensorError(Exception):
    """A sensor gave no reading; the message names the pin or address and what to check."""


def find(type_: str) -> type:
    """Return the class of a sensor type, loading only its file."""
    module = __import__(__name__ + "." + type_, None, None, (type_,))
    return getattr(module, type_.upper())
