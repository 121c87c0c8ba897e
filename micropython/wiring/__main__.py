"""Draw all pictures into `docs/board/wiring`: `python -m micropython.wiring`."""

from pathlib import Path

from micropython import ROOT
from micropython.wiring.boards import BOARDS
from micropython.wiring.picture import draw
from micropython.wiring.sensors import SENSORS, WIRES

DIRECTORY = ROOT / "docs" / "board" / "wiring"


def pictures() -> dict[Path, str]:
    """Return what each picture's file holds."""
    return {
        DIRECTORY / f"{board}-{sensor}.svg": draw(
            BOARDS[board], SENSORS[sensor], places
        )
        for (board, sensor), places in WIRES.items()
    }


if __name__ == "__main__":
    for path, content in pictures().items():
        path.write_text(content, encoding="utf-8")
