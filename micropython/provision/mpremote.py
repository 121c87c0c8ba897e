"""Talk to a board through mpremote's command line, which alone has a stable interface."""

from collections.abc import Sequence
import json
import subprocess
import sys
from typing import Any

from micropython.provision.errors import Exit, ProvisionError

_ANSWER_TIMEOUT_S = 6
_COPY_TIMEOUT_S = 120


class Board:
    """A board at the end of a serial port.

    Args:
        port: its path.
    """

    def __init__(self, port: str) -> None:
        self.port = port

    def ask(self, code: str) -> Any:  # noqa: ANN401
        """Run code on the board and return the JSON that it prints.

        Raises:
            ProvisionError: the board does not answer, or with no JSON.
        """
        answer = self._run(["exec", code], _ANSWER_TIMEOUT_S)
        try:
            return json.loads(answer.splitlines()[-1])
        except ValueError, IndexError:
            raise ProvisionError(
                Exit.NO_ANSWER,
                f"The board at {self.port} answers with what is no MicroPython",
            ) from None

    def run(self, *commands: Sequence[str]) -> None:
        """Run mpremote's commands one after the other, over one connection.

        Raises:
            ProvisionError: the flash is full, or a command fails.
        """
        chain: list[str] = []
        for command in commands:
            chain += ["+", *command] if chain else command
        self._run(chain, _COPY_TIMEOUT_S)

    def _run(self, arguments: Sequence[str], timeout_s: float) -> str:
        try:
            # `resume` keeps from a soft reset, after which nobody would feed the watchdog.
            ended = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "mpremote",
                    "connect",
                    self.port,
                    "resume",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ProvisionError(Exit.NO_ANSWER, _silent(self.port)) from None
        if ended.returncode:
            raise failure(self.port, ended.stdout + ended.stderr)
        return ended.stdout


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
    if "raw repl" in output or "device disconnected" in output:
        return ProvisionError(Exit.NO_ANSWER, _silent(port))
    last = (output.strip().splitlines() or ["nothing"])[-1]
    return ProvisionError(
        Exit.COPY,
        f"The board at {port} stopped with: {last}. Unplug it and flash again",
    )


def _silent(port: str) -> str:
    return (
        f"The board at {port} does not answer. Unplug it and plug it in again; if that does "
        "not help, install MicroPython on it"
    )
