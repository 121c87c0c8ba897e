"""Remember how far a file has been replayed, whatever ends the program."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import hashlib
import json
import os
from pathlib import Path

from .exits import Exit
from .failures import CommandError
from .readings_file import Place

SUFFIX = ".replayed"

_SAMPLE_BYTES = 65536
_VERSION = 1


@dataclass(frozen=True)
class Progress:
    """How far a file has been replayed to a server.

    Attributes:
        server: its URL.
        offset: bytes of the file that are settled: acknowledged, refused or told as bad.
        line: lines among them.
        delivered: readings that the server has acknowledged.
        refused: readings that it has refused for good.
        bad: parts of lines that hold no reading.
        fingerprint: of the bytes that are settled.
    """

    server: str
    offset: int = 0
    line: int = 0
    delivered: int = 0
    refused: int = 0
    bad: int = 0
    fingerprint: str = ""

    @property
    def place(self) -> Place:
        """Where in the file to go on."""
        return Place(self.offset, self.line)


def load(path: Path) -> Progress | None:
    """Return what a run before this one has left, or None.

    Raises:
        CommandError: the file there is none of these.
    """
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.pop("version", None) != _VERSION:
        raise _unusable(f"{path} does not say how far the file was replayed")
    return Progress(**data)


def save(path: Path, progress: Progress) -> None:
    """Write it so that a power cut leaves the old or the new, and nothing between."""
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"version": _VERSION, **asdict(progress)}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def marked(progress: Progress, file: Path) -> Progress:
    """Return a progress that tells the file that it is of from others."""
    return replace(progress, fingerprint=_fingerprint(file, progress.offset))


def check(progress: Progress, server: str, file: Path) -> None:
    """See that what is left of an earlier run belongs to this file and server.

    Raises:
        CommandError: it does not.
    """
    if progress.server != server:
        raise _unusable(f"{file} was replayed to {progress.server} before")
    if _fingerprint(file, progress.offset) != progress.fingerprint:
        raise _unusable(f"{file} has changed where it was replayed before")


def _fingerprint(path: Path, offset: int) -> str:
    """Return what tells the first bytes of a file from those of another.

    Large files are told apart by their beginning and by what stands before the place.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for start in (0, max(0, offset - _SAMPLE_BYTES)):
            file.seek(start)
            digest.update(file.read(min(_SAMPLE_BYTES, offset - start)))
    return digest.hexdigest()


def _unusable(problem: str) -> CommandError:
    return CommandError(
        "progress",
        problem,
        "Begin from its first line with --restart, or name another --state",
        Exit.DATA,
    )
