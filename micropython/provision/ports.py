"""Find the serial port that a board is on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from serial.tools import list_ports  # type: ignore[import-untyped]

from .errors import Exit, ProvisionError

# By USB vendor, and where that tells more, by product.
_BOARDS: dict[tuple[int, int | None], str] = {
    (0x2E8A, None): "Raspberry Pi Pico",
    (0x303A, None): "ESP32 with USB of its own",
    (0x303A, 0x1001): "ESP32-S3, -C3 or -C6 with USB of its own",
    (0x10C4, None): "CP210x, usually an ESP32",
    (0x1A86, None): "CH340, usually an ESP32",
    (0x0403, None): "FTDI, usually an ESP32",
}


@dataclass(frozen=True)
class Port:
    """A serial port that a board may be on."""

    path: str
    kind: str


def candidates(found: Iterable[Any] | None = None) -> list[Port]:
    """Return the ports whose USB vendor makes boards or their USB bridges.

    Args:
        found: what pyserial says of each serial port, by default of those of this machine.
    """
    boards = []
    for port in list_ports.comports() if found is None else found:
        kind = _BOARDS.get((port.vid, port.pid)) or _BOARDS.get((port.vid, None))
        if kind:
            boards.append(Port(port.device, kind))
    return boards


def choose(ports: Sequence[Port]) -> str:
    """Return the one port that there is.

    Raises:
        ProvisionError: there is none, or more than one.
    """
    if not ports:
        raise ProvisionError(
            Exit.NO_BOARD,
            "No board found. Plug it in with a USB cable that carries data, install the "
            "driver of its USB bridge (CP210x or CH340) where your system lacks it, or name "
            "its port with --port",
        )
    if len(ports) > 1:
        listed = ", ".join(f"{port.path} ({port.kind})" for port in ports)
        raise ProvisionError(
            Exit.NO_BOARD, f"Several boards found: {listed}. Choose one with --port"
        )
    return ports[0].path


def check_access(port: str) -> str:
    """Return the real path of a port that can be opened.

    Raises:
        ProvisionError: it is not there, or belongs to others.
    """
    path = Path(port)
    if os.name != "posix":
        return port
    if not path.exists():
        raise ProvisionError(
            Exit.NO_BOARD,
            f"There is no port {port}. Plug the board in, check the cable and both of its "
            "plugs, or name another port",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise ProvisionError(
            Exit.NO_ANSWER,
            f"You may not use {port}. Join its group ({path.group()}) with "
            f"`sudo usermod -aG {path.group()} $USER`, then log in again",
        )
    # mpremote knows a pseudo-terminal only by its real path.
    return str(path.resolve())
