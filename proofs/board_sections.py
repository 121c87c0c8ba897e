"""What the cuts of a board's power have in common, whatever it does meanwhile."""

from dataclasses import dataclass, field
import json
from pathlib import Path
import shutil
from typing import Any

from demo.processes import StartError
from micropython.provision.manifest import stage
from micropython.simulator import SimulatedBoard
from micropython.simulator.process import FIRMWARE

PROGRAM_BYTES = (32, 256)
"""As the firmware of ESP32 and of RP2 programs its flash."""

_DEADLINE_S = 1200


@dataclass(kw_only=True)
class Section:
    """What cutting the power of one part of the node has shown.

    Attributes:
        sent: what the part knew to be written.
        lost: how much of it was missing somewhere.
        repeated: how much that was done with came again, at most.
        cuts: how often the power was cut.
        least_sent: with fewer it shows nothing.
        least_cuts: with fewer it shows nothing.
        flaws: what else went wrong, each a sentence.
        extra: what else was found, by name.
    """

    sent: int
    lost: int
    repeated: int
    cuts: int
    least_sent: int
    least_cuts: int
    flaws: list[str] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)


async def run_on_board(
    directory: Path, program: str, **values: object
) -> dict[str, Any]:
    """Run a program on a board with the port's files, and return what it says.

    Args:
        directory: where the board's flash is made.
        program: MicroPython source; finds `values` as globals.
        values: JSON values for the program.

    Raises:
        StartError: it has said nothing.
    """
    world = {"clock": {"epoch": 2000, "starts": 946_684_800}}
    board = SimulatedBoard(directory, world, heap="64m")
    stage(board.flash)
    shutil.copy(FIRMWARE / "nor.py", board.flash)
    (board.flash / "chip").mkdir()
    (board.flash / "main.py").write_text(
        "import json\n"
        f"globals().update(json.loads({json.dumps(values)!r}))\n"
        "def say(value):\n"
        "    print('SAID', json.dumps(value))\n" + program,
        encoding="utf-8",
    )
    async with board:
        await board.wait_until_off(_DEADLINE_S)
    for line in board.lines:
        if line.startswith("SAID "):
            said: dict[str, Any] = json.loads(line.removeprefix("SAID "))
            return said
    raise StartError("The board has failed: " + "\n".join(board.lines))
