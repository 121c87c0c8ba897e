"""Let things go wrong on purpose, and see what becomes of the readings."""

import argparse
import asyncio
import signal
import sys
from types import ModuleType

from . import (
    answers,
    board_cuts,
    board_flash,
    board_life,
    board_radio,
    cluster,
    faults,
    kill,
    mqtt,
    outage,
    power,
    soak,
    stop,
)

# Each describes its command line by `add_arguments`, and `run` returns a verdict.
_PROOFS: dict[str, ModuleType] = {
    "answers": answers,
    "board-cuts": board_cuts,
    "board-flash": board_flash,
    "board-life": board_life,
    "board-radio": board_radio,
    "cluster": cluster,
    "faults": faults,
    "kill": kill,
    "mqtt": mqtt,
    "outage": outage,
    "power": power,
    "soak": soak,
    "stop": stop,
}


async def _run(options: argparse.Namespace) -> int:
    """Run the proof that is named, and return its exit code."""
    if task := asyncio.current_task():
        # However it is ended, the processes that it has started end with it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    verdict = await _PROOFS[options.name].run(options)
    verdict.print(options.name)
    return 0 if verdict.holds else 1


def main() -> int:
    """Read the command line, and return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, proof in _PROOFS.items():
        summary = (proof.__doc__ or "").partition("\n")[0]
        proof.add_arguments(
            names.add_parser(name, help=summary, description=proof.__doc__)
        )
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
