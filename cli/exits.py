"""How the command ends, in one list for everything that it does."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How the command ends.

    Those from `NO_BOARD` to `COPY` come from `sensorvision board` alone; `SETTINGS` and
    `ACCOUNT` mean the same there.
    """

    DONE = 0
    NOT_DELIVERED = 1
    USAGE = 2
    NO_BOARD = 3
    NO_ANSWER = 4
    FIRMWARE = 5
    SETTINGS = 6
    FLASH_FULL = 7
    COPY = 8
    ACCOUNT = 9
    NETWORK = 10
    SERVER = 11
    DATA = 12
    CAPABILITY = 13
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.NOT_DELIVERED: "not everything was delivered, or a check or a test failed",
    Exit.USAGE: "wrong options",
    Exit.NO_BOARD: "board: none was found, or several",
    Exit.NO_ANSWER: "board: it does not answer, or its port can't be opened",
    Exit.FIRMWARE: "board: no MicroPython, or one that is too old",
    Exit.SETTINGS: "a setting is wrong or missing, or a package is",
    Exit.FLASH_FULL: "board: its flash is full",
    Exit.COPY: "board: copying or writing failed",
    Exit.ACCOUNT: "the server or the broker refused the credential or the device",
    Exit.NETWORK: "the server or the broker does not answer",
    Exit.SERVER: "the server is in trouble, or is no SensorVision server",
    Exit.DATA: "a value or a file can't be used",
    Exit.CAPABILITY: "the credential, or the server's age, does not allow it",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


def epilog(*, is_whole: bool = False) -> str:
    """Return the list as it stands below a command's help.

    Args:
        is_whole: whether those of boards alone are in it.
    """
    lines = [
        f"  {code.value:>3}  {meaning}"
        for code, meaning in MEANINGS.items()
        if is_whole or not meaning.startswith("board: ")
    ]
    return "\b\nExit codes:\n" + "\n".join(lines)
