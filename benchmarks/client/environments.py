"""Make environments in which one import name means one of two packages."""

from collections.abc import Mapping
import fcntl
from importlib.metadata import version
import os
from pathlib import Path
import shutil
import subprocess
import sys

PEER = "sensorvision-sdk 0.1.1"
OURS = "this client"

_ROOT = Path(__file__).resolve().parent.parent.parent

# What both stand on is the same, so that what differs is theirs.
_SHARED = ("aiohttp", "requests")
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    PEER: ("sensorvision-sdk==0.1.1",),
    OURS: (f"aiomqtt=={version('aiomqtt')}",),
}


class NotToBeHadError(Exception):
    """The package index did not give what an environment holds."""


def python_of(whose: str) -> Path:
    """Return the interpreter that imports somebody's `sensorvision`, with its libraries.

    It is made at the first need, kept, and made anew when a version changes.

    Args:
        whose: `PEER` or `OURS`; ours takes the package itself from this checkout, see
            `variables_of`.

    Raises:
        NotToBeHadError: the package index did not give what it holds.
    """
    packages = [
        *_PACKAGES[whose],
        *(f"{package}=={version(package)}" for package in _SHARED),
    ]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "sensorvision" / "peers" / whose.replace(" ", "-")
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    stamp = folder / "stamp"
    wanted = "\n".join((sys.version, *packages))
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(python), *packages)
            stamp.write_text(wanted)
    return python


def variables_of(whose: str) -> dict[str, str]:
    """Return the environment variables by which an interpreter finds the package."""
    variables = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
    variables.pop("PYTHONPATH", None)
    if whose == OURS:
        variables["PYTHONPATH"] = str(_ROOT)
    return variables


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("uv"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotToBeHadError(done.stderr.strip()[-400:])
