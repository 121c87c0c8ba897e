"""Talk to a board through mpremote's command line, which alone has a stable interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from typing import Any

from .children import run_module
from .errors import Exit, MemoryFullError, ProvisionError
from .ports import check_access

_ANSWER_TIMEOUT_S = 6
_COPY_TIMEOUT_S = 120

_LOST = (
    "disconnected",
    "Input/output error",
    "returned no data",
    "could not open port",
    "No such device",
)


class Board:
    """A board at the end of a serial port.

    Args:
        port: its path, or a link to it, which is followed anew each time: a board may
            come back under another name.
    """

    def __init__(self, port: str) -> None:
        self.port = port

    def ask(
        self, code: str, timeout_s: float = _ANSWER_TIMEOUT_S, attempts: int = 1
    ) -> Any:  # noqa: ANN401
        """Run code on the board and return the JSON that it prints.

        Args:
            code: MicroPython source.
            timeout_s: seconds until it must have answered.
            attempts: how often to ask a board that does not answer: one that is about to
                start loses what it is told.

        Raises:
            ProvisionError: the board does not answer, or with no JSON.
        """
        printed: list[str] = []
        for left in range(attempts - 1, -1, -1):
            printed.clear()
            try:
                self._run(["exec", code], timeout_s, printed.append)
                break
            except ProvisionError as err:
                if not left or err.code is not Exit.NO_ANSWER:
                    raise
        try:
            return json.loads(printed[-1])
        except (ValueError, IndexError):
            raise ProvisionError(
                Exit.NO_ANSWER,
                f"The board at {self.port} answers with what is no MicroPython",
            ) from None

    def execute(
        self,
        code: str,
        timeout_s: float,
        on_line: Callable[[str], None],
        first_line_s: float,
    ) -> None:
        """Run code on the board, and pass on what it prints while it does.

        Args:
            code: MicroPython source.
            timeout_s: seconds until it must be through.
            on_line: is given each line.
            first_line_s: seconds until it must have printed something.

        Raises:
            ProvisionError: the board does not answer, or the code fails.
        """
        self._run(["exec", code], timeout_s, on_line, first_line_s)

    def run(
        self, *commands: Sequence[str], on_line: Callable[[str], None] | None = None
    ) -> None:
        """Run mpremote's commands one after the other, over one connection.

        Args:
            commands: the words of each.
            on_line: is given what mpremote prints, which is a line for each copy.

        Raises:
            ProvisionError: the flash is full, or a command fails.
        """
        chain: list[str] = []
        for command in commands:
            chain += ["+", *command] if chain else command
        self._run(chain, _COPY_TIMEOUT_S, on_line or (lambda _: None))

    def _run(
        self,
        arguments: Sequence[str],
        timeout_s: float,
        on_line: Callable[[str], None],
        first_line_s: float | None = None,
    ) -> None:
        printed: list[str] = []

        def take(line: str) -> None:
            printed.append(line)
            on_line(line)

        # `resume` keeps from a soft reset, after which nobody would feed the watchdog.
        connect = ["mpremote", "connect", check_access(self.port), "resume"]
        code = run_module([*connect, *arguments], timeout_s, take, first_line_s)
        if code is None:
            raise ProvisionError(Exit.NO_ANSWER, _silent(self.port))
        if code:
            raise failure(self.port, "\n".join(printed))


def failure(port: str, output: str) -> ProvisionError:
    """Turn what mpremote says about a failure into a sentence for a person."""
    if "ENOSPC" in output or "Errno 28" in output or "No space left" in output:
        return ProvisionError(
            Exit.FLASH_FULL,
            "The board's flash is full. Delete what you don't need with "
            f"`mpremote connect {port} rm :FILE`, then flash again",
        )
    if "failed to access" in output:
        return ProvisionError(
            Exit.NO_ANSWER,
            f"{port} can't be opened: another program may use it. Close serial monitors and "
            "editors, then flash again",
        )
    if any(words in output for words in _LOST):
        return ProvisionError(
            Exit.NO_ANSWER,
            f"The connection to the board at {port} broke. Check the cable and both of its "
            "plugs, then run the same command again",
        )
    if "raw repl" in output or "timeout waiting" in output:
        return ProvisionError(Exit.NO_ANSWER, _silent(port))
    if "MemoryError" in output:
        return MemoryFullError(
            Exit.COPY,
            f"The memory of the board at {port} is full. Unplug it, plug it in again, and run "
            "the same command again",
        )
    last = (output.strip().splitlines() or ["nothing"])[-1]
    return ProvisionError(
        Exit.COPY,
        f"The board at {port} stopped with: {last}. Unplug it and flash again",
    )


def _silent(port: str) -> str:
    return (
        f"The board at {port} does not answer. Unplug it and plug it in again; if it sleeps "
        "deeply, press its reset button just before the command, or wait for its next start "
        "with --wait SECONDS; if nothing helps, install MicroPython on it with --firmware "
        "FILE"
    )
