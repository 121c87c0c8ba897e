"""Run the board's self-test, and read what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import re

from .errors import Exit, ProvisionError
from .firmware import Survey, restart
from .manifest import device_files
from .mpremote import Board

# Each step may wait for its own deadline: sensors, the radio, the clock, the server.
_TIMEOUT_S = 120
_FIRST_LINE_S = 15
_ATTEMPTS = 2

# The tasks of the node that was interrupted would go on beside the test.
_RUN = """
import asyncio
asyncio.new_event_loop()
from sensorvision.selftest import run
run()
"""


@dataclass(frozen=True)
class Step:
    """One step of a self-test.

    Attributes:
        name: what was tried, such as `wifi`.
        is_ok: whether it worked.
        text: what was found, or what is wrong and what to do.
    """

    name: str
    is_ok: bool
    text: str


def is_in_port() -> bool:
    """Tell whether the files that go onto a board have a self-test among them."""
    return "sensorvision/selftest.py" in device_files()


def is_on(survey: Survey) -> bool:
    """Tell whether a board has the self-test among its files."""
    return any(path.startswith("/sensorvision/selftest.") for path in survey.files)


def run_selftest(
    board: Board,
    on_step: Callable[[Step], None],
    on_line: Callable[[str], None],
) -> list[Step]:
    """Let a board try its sensors, its network and its server.

    Args:
        board: the board.
        on_step: is given each step when it is through.
        on_line: is given whatever else the board says meanwhile.

    Returns:
        All steps, in the order in which they were made.

    Raises:
        ProvisionError: the board does not answer, or the test has not begun or came to
            no end.
    """
    steps: list[Step] = []

    def take(line: str) -> None:
        if step := parse_step(line):
            steps.append(step)
            on_step(step)
        else:
            on_line(line)

    for left in range(_ATTEMPTS - 1, -1, -1):
        # The node that starts has the newest files in memory, which has no room for two of
        # each.
        restart(board)
        try:
            board.execute(_RUN, _TIMEOUT_S, take, _FIRST_LINE_S)
        except ProvisionError as err:
            if not left or steps or err.code is not Exit.NO_ANSWER:
                raise
        if steps:
            return steps
        # What was said to a board that was about to start, or over a bad contact, is lost.
    raise ProvisionError(
        Exit.NO_ANSWER,
        f"The board at {board.port} did not begin its self-test. Check the cable and both of "
        "its plugs, then run the same command again",
    )


def parse_step(line: str) -> Step | None:
    """Read a line of the self-test, or return None if it is something else's."""
    found = re.match(r"selftest: (.+?) (ok|failed)(?:: (.*))?$", line.strip())
    if not found:
        return None
    return Step(found[1], found[2] == "ok", found[3] or "")
