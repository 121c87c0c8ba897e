"""Boards whose time jumps where they only wait, so that hours are through in moments."""

import json
from pathlib import Path
from typing import Any

from micropython.simulator import Clock, SimulatedBoard

_YEAR_MS = 365 * 24 * 3_600_000


def jumping_board(
    directory: Path, settings: dict[str, Any], world: dict[str, Any], clock: Clock
) -> SimulatedBoard:
    """Return a board with the port and settings on its flash, whose time may jump at once.

    Args:
        directory: where its flash is kept.
        settings: of the node.
        world: what surrounds it.
        clock: its time, which a test may stop by `allow`.
    """
    board = SimulatedBoard(directory, world, clock=clock)
    board.stage(json.dumps(settings))
    clock.allow(clock.now_ms() + _YEAR_MS)
    return board
