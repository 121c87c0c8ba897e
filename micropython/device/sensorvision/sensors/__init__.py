"""Find sensors by name: each is one file here with one class, its name in capitals.

A sensor's `OPTIONS` say what may stand in its settings. It is made from these options,
and `await read()` returns numbers by variable name or raises `SensorError`.
"""

TYPES = ("bme280", "dht22")


class SensorError(Exception):
    """A sensor gave no reading; the message names the pin or address and what to check."""


def find(type_: str) -> type:
    """Return the class of a sensor type, loading only its file."""
    module = __import__(__name__ + "." + type_, None, None, (type_,))
    return getattr(module, type_.upper())
