"""Read what a process has asked the kernel to write, as strace has seen it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re

# A file that is opened may be made by it; what changes files otherwise must be none of ours.
_TRACED = (
    "openat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,"
    "fsync,fdatasync,sync_file_range,unlink,unlinkat,rename,renameat,renameat2"
)
_MAX_BYTES = 1024 * 1024
STRACE = (
    "strace",
    "--follow-forks",
    "--seccomp-bpf",
    "--decode-fds=path",
    "--strings-in-hex=all",
    f"--string-limit={_MAX_BYTES}",
    f"--trace={_TRACED}",
)

_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


class UnknownCallError(Exception):
    """A call changes a file in a way that is not understood."""


@dataclass(frozen=True)
class Write:
    """Bytes that were written.

    Attributes:
        path: of the file.
        offset: where, or None for its end.
        data: what.
    """

    path: str
    offset: int | None
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file was given another size."""

    path: str
    size: int


@dataclass(frozen=True)
class Sync:
    """A file, or the names in a folder, is on the disk from now on."""

    path: str


@dataclass(frozen=True)
class Create:
    """A file was opened, and made if there was none."""

    path: str


@dataclass(frozen=True)
class Unlink:
    """A file has its name no more."""

    path: str


@dataclass(frozen=True)
class Rename:
    """A file has another name."""

    path: str
    target: str


type Call = Write | Truncate | Sync | Create | Unlink | Rename

_BY_NAME: dict[str, Callable[..., Create | Unlink | Rename]] = {
    "openat": Create,
    "unlink": Unlink,
    "unlinkat": Unlink,
    "rename": Rename,
    "renameat": Rename,
    "renameat2": Rename,
}


def read_calls(trace: Path, folder: Path) -> Iterator[Call]:
    """Yield what was changed in a folder, in the order in which the calls returned.

    Raises:
        UnknownCallError: something was changed otherwise.
    """
    begun: dict[str, str] = {}
    with trace.open() as lines:
        for line in lines:
            if found := _UNFINISHED.match(line):
                begun[found[1]] = found[2]
                continue
            whole = line
            if found := _RESUMED.match(line):
                whole = f"{found[1]} {begun.pop(found[1])}{found[2]}"
            call = _CALL.match(whole)
            if call and int(call[4]) >= 0:
                yield from _meant(call[2], call[3], int(call[4]), folder)


def _meant(name: str, arguments: str, result: int, folder: Path) -> Iterator[Call]:
    """Yield what a successful call has changed in a folder."""
    texts = [_bytes(found) for found in _TEXT.finditer(arguments)]
    if name in _BY_NAME:
        call = _BY_NAME[name](*(text.decode() for text in texts))
        if "O_CREAT" not in arguments and isinstance(call, Create):
            return
        if any(_is_in(path, folder) for path in vars(call).values()):
            yield call
        return
    descriptor = _DESCRIPTOR.match(arguments)
    path = _text(descriptor[1]) if descriptor else ""
    number = arguments.rpartition(", ")[2]
    if not _is_in(path, folder):
        return
    if name == "pwrite64":
        yield Write(path, int(number), texts[0][:result])
    elif name == "write":
        yield Write(path, None, texts[0][:result])
    elif name == "ftruncate":
        yield Truncate(path, int(number))
    elif name in ("fsync", "fdatasync"):
        yield Sync(path)
    else:
        raise UnknownCallError(f"{name} of {path}")


def _is_in(path: str, folder: Path) -> bool:
    return path == str(folder) or path.startswith(f"{folder}/")


def _bytes(found: re.Match[str]) -> bytes:
    if found[2]:
        raise UnknownCallError("More was written at once than was recorded")
    return bytes.fromhex(found[1].replace("\\x", ""))


def _text(escaped: str) -> str:
    return (
        bytes.fromhex(escaped.replace("\\x", "")).decode()
        if "\\x" in escaped
        else escaped
    )
