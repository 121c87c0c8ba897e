"""Find the serial port that a board is on."""

from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path

from serial.tools import list_ports  # type: ignore[import-untyped]

from micropython.provision.errors import Exit, ProvisionError

_BOARD_VENDORS = {
    0x2E8A: "Raspberry Pi Pico",
    0x303A: "ESP32 with USB of its own",
    0x10C4: "CP210x, usually an ESP32",
    0x1A86: "CH340, usually an ESP32",
    0x0403: "FTDI, usually an ESP32",
}


@dataclass(frozen=True)
class Port:
    """A serial port that a board may be on."""

    path: str
    kind: str


def candidates() -> list[Port]:
    """Return the ports whose USB vendor makes boards or their USB bridges."""
    return [
        Port(port.device, _BOARD_VENDORS[port.vid])
        for port in list_ports.comports()
        if port.vid in _BOARD_VENDORS
    ]


def choose(ports: Sequence[Port]) -> str:
    """Return the one port that there is.

    Raises:
        ProvisionError: there is none, or more than one.
    """
    if not ports:
        raise ProvisionError(
            Exit.NO_BOARD,
            "No board found. Plug it in with a USB cable that carries data, or name its port "
            "with --port",
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
            f"There is no port {port}. Plug the board in, or name another port",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise ProvisionError(
            Exit.NO_ANSWER,
            f"You may not use {port}. Join its group ({path.group()}) with "
            f"`sudo usermod -aG {path.group()} $USER`, then log in again",
        )
    # mpremote knows a pseudo-terminal only by its real path.
    return str(path.resolve())
