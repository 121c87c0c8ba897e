"""Run the command: installed as `sensorvision`, from a checkout as `python -m cli`."""

from __future__ import annotations

import sys

from .exits import Exit


def run() -> None:
    """Run the command, or say how to install what it needs.

    Without the extra the command's name is on the path all the same.
    """
    try:
        from .main import main
    except ModuleNotFoundError as err:
        if err.name != "click":
            raise
        sys.stderr.write(
            "The command line needs click, which is not installed: "
            'pip install "sensorvision[cli]"\n'
        )
        sys.exit(Exit.SETTINGS)
    main()


if __name__ == "__main__":
    run()
