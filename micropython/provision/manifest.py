"""Tell which files make up the port, wherever they lie: in a clone, or beside this package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
import shutil

DEVICE = Path(__file__).resolve().parent.parent / "device"
"""The directory of what only a board runs, with an example of its settings."""

# The client has it for every runtime, and so it lies with the client.
_SHARED = "protocol.py"


def device_files() -> dict[str, Path]:
    """Return the source of each file that goes onto a board, by its path there.

    Raises:
        ModuleNotFoundError: the client is not installed beside this package.
    """
    files = {
        path.relative_to(DEVICE).as_posix(): path
        for path in (DEVICE / "main.py", *DEVICE.glob("sensorvision/**/*.py"))
    }
    client = find_spec("sensorvision")
    if client is None or client.origin is None:
        raise ModuleNotFoundError("sensorvision")
    # Not through a link: what is read is named in errors.
    shared = Path(client.origin).resolve().with_name(_SHARED)
    return dict(sorted({**files, f"sensorvision/{_SHARED}": shared}.items()))


def stage(directory: Path) -> None:
    """Copy the files that go onto a board into a directory, as they lie on the board."""
    for target, source in device_files().items():
        (directory / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, directory / target)
