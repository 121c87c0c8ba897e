"""Measure what is promised, beside what else there is for the same."""

import argparse
import sys

from . import ha
from .board import bench as board
from .choose import bench as choose
from .client import bench as client
from .outages import kill, outage, stop
from .steady import filter, memory

# Each describes its command line and runs.
_BENCHES = {
    "board": board,
    "choose": choose,
    "client": client,
    "filter": filter,
    "ha": ha,
    "kill": kill,
    "memory": memory,
    "outage": outage,
    "stop": stop,
}


def main() -> int:
    """Run the bench that is named, and return its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, bench in _BENCHES.items():
        summary = (bench.__doc__ or "").partition("\n")[0]
        bench.add_arguments(
            names.add_parser(name, help=summary, description=bench.__doc__)
        )
    options = parser.parse_args()
    code: int = _BENCHES[options.name].run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
