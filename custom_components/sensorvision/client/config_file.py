"""Find the file of settings and read it."""

from __future__ import annotations

import difflib
import logging
from pathlib import Path
import stat
import sys
from typing import Any, Collection, Iterable, Mapping

from .exceptions import ConfigError
from .secret import MASK

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "sensorvision.toml"
FILE_VARIABLE = "SENSORVISION_CONFIG"

_LOGGER = logging.getLogger(__name__)

_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH

_warned_of: set[Path] = set()


def find_file(file: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the whole path of the file of settings that counts, or None without any.

    Args:
        file: the one that the caller has named, or None.
        environ: variables.

    Raises:
        ConfigError: one was named and is not there.
    """
    named = file or environ.get(FILE_VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        if path.is_file():
            return path
        raise ConfigError(
            "file",
            str(path),
            "is not there",
            "Check its path",
            "an argument" if file else f"the variable {FILE_VARIABLE}",
        )
    home = environ.get("XDG_CONFIG_HOME")
    folder = Path(home) if home else Path.home() / ".config"
    usual = (Path.cwd() / FILE_NAME, folder / "sensorvision" / FILE_NAME)
    return next((path for path in usual if path.is_file()), None)


def read_file(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        ConfigError: it can't be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(
            "file", str(path), f"can't be read: {err.strerror}", "Check who may read it"
        ) from err
    except ValueError as err:
        # What it says of a byte holds the whole text; of TOML, where the fault is.
        is_text = not isinstance(err, UnicodeError)
        problem = f"is no TOML: {err}" if is_text else "is not in UTF-8"
    # Raised outside of the handler, whose exception holds the file with its secrets.
    raise ConfigError("file", str(path), problem, "Write it as key = value lines")


def refuse_unknown(found: Iterable[str], known: Collection[str], place: str) -> None:
    """Make sure that every setting has a name that there is.

    Raises:
        ConfigError: one has not; it names the nearest that there is.
    """
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = (
                f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}"
            )
            raise ConfigError(name, MASK, "is no setting", remedy, place)


def warn_of_readers(path: Path) -> None:
    """Say once that others can read a file with secrets in it."""
    # Where files belong to nobody, as on Windows, the mode says nothing.
    if sys.platform == "win32" or path in _warned_of:
        return
    if path.stat().st_mode & _OTHERS_READ:
        _warned_of.add(path)
        _LOGGER.warning(
            "%s holds secrets and can be read by others. Run: chmod 600 %s", path, path
        )
