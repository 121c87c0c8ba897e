"""Find out what runs on a board and what lies on its flash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import time

from .errors import Exit, MemoryFullError, ProvisionError
from .mpremote import Board

MIN_VERSION = (1, 23)

_RETRY_S = 0.2
_ATTEMPTS = 3
_PROBE_TIMEOUT_S = 3
_RESTART_TIMEOUT_S = 20

_IDENTITY = """
import sys, json
impl = sys.implementation
print(json.dumps([impl.name, list(impl.version[:3]), getattr(impl, '_machine', '')]))
"""

# One round trip: the firmware, free bytes, block size, and sizes and hashes of our files.
_SURVEY = """
import os, sys, json, hashlib
def survey(path, found):
    try:
        names = list(os.ilistdir(path))
    except OSError:
        return
    for entry in names:
        name = path + '/' + entry[0]
        if entry[1] & 0x4000:
            survey(name, found)
        else:
            add(name, found)
def add(name, found):
    digest = hashlib.sha256()
    buffer = bytearray(256)
    view = memoryview(buffer)
    size = 0
    try:
        with open(name, 'rb') as file:
            while True:
                count = file.readinto(buffer)
                if not count:
                    break
                size += count
                digest.update(view[:count])
    except OSError:
        return
    found[name] = [size, ''.join('%02x' % byte for byte in digest.digest())]
found = {}
survey('/sensorvision', found)
for name in ('/main.py', '/settings.json', '/ca.der'):
    add(name, found)
settings = None
if '/settings.json' in found:
    with open('/settings.json') as file:
        settings = file.read()
impl = sys.implementation
flash = os.statvfs('/')
print(json.dumps([
    impl.name, list(impl.version[:3]), getattr(impl, '_mpy', 0), getattr(impl, '_machine', ''),
    flash[3] * flash[0], flash[0], found, settings,
]))
"""


@dataclass(frozen=True)
class File:
    """A file on the board's flash: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Survey:
    """A board as it was found.

    Attributes:
        name: of the firmware, `micropython` or a relative of it.
        version: of the firmware.
        mpy_version: of the bytecode that it loads, 0 if it loads none.
        machine: what the firmware was built for.
        free_bytes: on the flash.
        block_bytes: the flash's unit of space.
        files: ours on the flash, by path.
        settings: the text of its settings file, if it has one.
    """

    name: str
    version: tuple[int, ...]
    mpy_version: int
    machine: str
    free_bytes: int
    block_bytes: int
    files: dict[str, File]
    settings: str | None = field(repr=False)


def survey(board: Board) -> Survey:
    """Ask a board about itself.

    Raises:
        ProvisionError: it does not answer.
    """
    try:
        found = board.ask(_SURVEY, attempts=_ATTEMPTS)
    except MemoryFullError:
        # A command that was killed has left something there.
        restart(board)
        found = board.ask(_SURVEY, attempts=_ATTEMPTS)
    name, version, mpy, machine, free_bytes, block_bytes, files, settings = found
    return Survey(
        name,
        tuple(version),
        mpy & 0xFF,
        machine,
        free_bytes,
        block_bytes,
        {path: File(*about) for path, about in files.items()},
        settings,
    )


def identify(board: Board) -> str:
    """Ask a board for its firmware, in words, and let its program start again.

    Raises:
        ProvisionError: it does not answer.
    """
    name, version, machine = board.ask(_IDENTITY, attempts=_ATTEMPTS)
    board.run(["reset"])
    return f"{_words(name, version)} ({machine})"


def describe(survey: Survey) -> str:
    """Say in words what a board is."""
    return (
        f"The board runs {_words(survey.name, survey.version)} ({survey.machine}) and has "
        f"{survey.free_bytes // 1024} KB of flash free."
    )


def wait_for(board: Board, timeout_s: float) -> Survey:
    """Ask a board about itself until it answers: it may still be starting, or asleep.

    Raises:
        ProvisionError: it did not in time.
    """
    _wait_for_answer(board, timeout_s)
    return survey(board)


def restart(board: Board) -> None:
    """Have a board begin anew, and wait until it answers.

    Raises:
        ProvisionError: it can't be told to.
    """
    # The first needs no memory; the second also ends the watchdog, which nobody feeds now.
    board.run(["soft-reset"], ["reset"])
    _wait_for_answer(board, _RESTART_TIMEOUT_S)


def _wait_for_answer(board: Board, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            # Short, so that many fall into the seconds for which a sleeper is awake.
            board.ask(_IDENTITY, _PROBE_TIMEOUT_S)
        except ProvisionError:
            time.sleep(_RETRY_S)
        else:
            break


def _words(name: str, version: Sequence[int]) -> str:
    shown = "MicroPython" if name == "micropython" else name
    return f"{shown} {'.'.join(str(part) for part in version)}"


def check_firmware(name: str, version: Sequence[int]) -> None:
    """Make sure that the port runs on a firmware.

    Raises:
        ProvisionError: it is older than MicroPython 1.23, or something else.
    """
    if name != "micropython":
        raise ProvisionError(
            Exit.FIRMWARE,
            f"The board runs {name}, not MicroPython. Install MicroPython 1.23 or newer on it "
            "with --firmware FILE --reinstall",
        )
    if tuple(version[:2]) < MIN_VERSION:
        raise ProvisionError(
            Exit.FIRMWARE,
            f"The board runs {_words(name, version)}, which is too old. Install 1.23 or newer "
            "on it with --firmware FILE --reinstall",
        )
