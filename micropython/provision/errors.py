"""What can go wrong on the way to a board, as one sentence and one exit code each."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How the command ends; click itself ends with 2 where the command line is wrong."""

    DONE = 0
    NOT_DELIVERED = 1
    NO_BOARD = 3
    NO_ANSWER = 4
    FIRMWARE = 5
    SETTINGS = 6
    FLASH_FULL = 7
    COPY = 8
    ACCOUNT = 9


class ProvisionError(Exception):
    """Provisioning stops here.

    Attributes:
        code: how the command ends.
    """

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


class MemoryFullError(ProvisionError):
    """The board has no memory left for what it was asked to do."""
