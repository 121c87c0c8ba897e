"""Tell which files make up the port, from the one list that mip reads too."""

import json
from pathlib import Path
import shutil

ROOT = Path(__file__).resolve().parent.parent


def device_files() -> dict[str, Path]:
    """Return the source of each file that goes onto a board, by its path there."""
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    return {target: ROOT / source for target, source in package["urls"]}


def stage(directory: Path) -> None:
    """Copy the files that go onto a board into a directory, as they lie on the board."""
    for target, source in device_files().items():
        (directory / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, directory / target)
