"""Make changes in a process of its own, and log which."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
import json
from multiprocessing.synchronize import Event
from pathlib import Path
import socket
import struct
import time

# The first and the last of some changes in a row.
ACKNOWLEDGEMENT = struct.Struct("<qq")


@dataclass(frozen=True)
class Plan:
    """What changes, and how fast.

    Attributes:
        devices: their ids.
        variables: how many each has.
        changes_per_s: how many numbers change in a second, one after the other.
    """

    devices: tuple[str, ...]
    variables: int
    changes_per_s: float

    @property
    def size(self) -> int:
        """Return how many different numbers there are."""
        return len(self.devices) * self.variables


@dataclass(frozen=True)
class Change:
    """One number that was reported.

    Attributes:
        device_id: of the device.
        variable: its name.
        value: greater than all before of the same variable.
        time_us: when it was true, in microseconds since 1970 (UTC).
    """

    device_id: str
    variable: str
    value: int
    time_us: int


def drive(plan: Plan, channel: socket.socket, log: Path, stop: Event) -> None:
    """Report changes until told to stop.

    Args:
        plan: what changes.
        channel: a socket that keeps messages apart. Numbers of changes that survive
            whatever happens come back through it.
        log: a file for what was reported and what came back.
        stop: ends it.
    """
    addresses = [
        (device_id, f"v{number}")
        for device_id in plan.devices
        for number in range(plan.variables)
    ]
    begun = time.monotonic()
    with channel, log.open("w", buffering=1) as lines:
        for number in count():
            if stop.wait(
                max(0, begun + number / plan.changes_per_s - time.monotonic())
            ):
                return
            device_id, variable = addresses[number % len(addresses)]
            value = number // len(addresses)
            change = [number, device_id, variable, value, time.time_ns() // 1000]
            channel.send(json.dumps(change).encode())
            lines.write(f"{json.dumps(change)}\n")
            for kept in _acknowledged(channel):
                lines.write(f"{json.dumps(kept)}\n")


def _acknowledged(channel: socket.socket) -> Iterator[tuple[int, int]]:
    with suppress(BlockingIOError):
        while message := channel.recv(ACKNOWLEDGEMENT.size, socket.MSG_DONTWAIT):
            yield ACKNOWLEDGEMENT.unpack(message)


def read_log(log: Path) -> tuple[list[Change], set[int]]:
    """Return what was reported, and the numbers of those that survive whatever happens."""
    changes = []
    kept: set[int] = set()
    for line in log.read_text("utf-8").splitlines():
        match json.loads(line):
            case [int(first), int(last)]:
                kept.update(range(first, last + 1))
            case [_, device_id, variable, value, time_us]:
                changes.append(Change(device_id, variable, value, time_us))
    return changes, kept
