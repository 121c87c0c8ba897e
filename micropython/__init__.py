"""The MicroPython port: what goes onto a board, and what puts or plays one here."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The clone that all of this lies in."""


def const(value: int) -> int:
    """Return the value, as `micropython.const` of a board does: some of its files run here too."""
    return value
