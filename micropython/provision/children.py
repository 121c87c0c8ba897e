"""Run other programs for a board, line by line, and keep secrets from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import subprocess
import sys
import threading

_SECRETS = "SENSORVISION_"


def run_module(
    arguments: Sequence[str],
    timeout_s: float,
    on_line: Callable[[str], None],
    first_line_s: float | None = None,
) -> int | None:
    """Run a Python module as a program that reads nothing.

    Args:
        arguments: the module's name and its arguments.
        timeout_s: seconds until it is killed.
        on_line: is given each line that it prints, to whichever output.
        first_line_s: seconds until it is killed if it has printed nothing.

    Returns:
        Its exit code, or None if it took too long.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_SECRETS)
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**inherited, "PYTHONUNBUFFERED": "1"},
    )
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        process.kill()

    timer = threading.Timer(timeout_s, give_up)
    silence = threading.Timer(first_line_s or timeout_s, give_up)
    timer.start()
    silence.start()
    try:
        for line in process.stdout or ():
            silence.cancel()
            on_line(line.rstrip())
        process.wait()
    finally:
        timer.cancel()
        silence.cancel()
        process.kill()
        process.wait()
    return None if is_late.is_set() else process.returncode
