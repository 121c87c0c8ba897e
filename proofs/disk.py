"""Play a disk that keeps for certain only what was synchronised before the power went."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from .calls import Call, Create, Rename, Sync, Truncate, Unlink, Write

SECTOR_BYTES = 512
_PAGE_BYTES = 4096
_MOST_PREFIXES = 6
_DRAWN = 3
_CERTAIN = "synchronised"


@dataclass(eq=False)
class _File:
    """A file, whatever it is called.

    Attributes:
        kept: what is on the disk for certain.
        present: what the process has made of it.
        pending: how the one became the other.
    """

    kept: bytes = b""
    present: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)

    def change(self, change: Write | Truncate) -> None:
        """Take a change that is not on the disk yet."""
        if isinstance(change, Write) and change.offset is None:
            change = Write(change.path, len(self.present), change.data)
        self.pending.append(change)
        _apply(self.present, change)

    def sync(self) -> None:
        """Keep all of it."""
        self.kept = bytes(self.present)
        self.pending.clear()


@dataclass(frozen=True)
class Remains:
    """What is in a folder after the power went.

    Attributes:
        kind: what became of that which was not synchronised.
        files: by name.
    """

    kind: str
    files: dict[str, bytes]

    @property
    def is_certain(self) -> bool:
        """Tell whether it is what the disk had for certain, and nothing else."""
        return self.kind.startswith(_CERTAIN)

    def write(self, folder: Path) -> None:
        """Make the files in a folder."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


class Disk:
    """The files of a folder, with what is on the disk for certain.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._names: dict[str, _File] = {}
        self._kept_names: dict[str, _File] = {}

    def take(self, call: Call) -> None:
        """Do what a process has asked for."""
        if isinstance(call, Create):
            self._names.setdefault(call.path, _File())
        elif isinstance(call, Unlink):
            del self._names[call.path]
        elif isinstance(call, Rename):
            self._names[call.target] = self._names.pop(call.path)
        elif not isinstance(call, Sync):
            self._names[call.path].change(call)
        elif call.path == self._folder:
            self._kept_names = dict(self._names)
        else:
            self._names[call.path].sync()

    def present(self) -> dict[str, bytes]:
        """Return what the process sees."""
        return {
            Path(path).name: bytes(file.present) for path, file in self._names.items()
        }

    def is_pending(self, name: str) -> bool:
        """Tell whether something of a file is not on the disk for certain."""
        file = self._names.get(f"{self._folder}/{name}")
        return bool(file and file.pending)

    def remains(self, random: Random) -> Iterator[Remains]:
        """Yield what may be left if the power goes now; what is certain comes first."""
        yield self._left(_CERTAIN, self._names, ())
        if self._kept_names != self._names:
            yield self._left(f"{_CERTAIN}, old names", self._kept_names, ())
        pending = [
            (file, change) for file in self._names.values() for change in file.pending
        ]
        if not pending:
            return
        yield self._left("all", self._names, pending)
        count = len(pending)
        for length in sorted(
            random.sample(range(1, count), min(_MOST_PREFIXES, count - 1))
        ):
            yield self._left("prefix", self._names, pending[:length])
        for size, kind in ((SECTOR_BYTES, "torn sector"), (_PAGE_BYTES, "torn page")):
            pieces = _pieces(pending, size)
            missing = random.randrange(len(pieces))
            yield self._left(
                kind, self._names, pieces[:missing] + pieces[missing + 1 :]
            )
        for _ in range(_DRAWN):
            for kind, drawn in (
                ("some writes", pending),
                ("some sectors", _pieces(pending, SECTOR_BYTES)),
            ):
                some = [piece for piece in drawn if random.random() < 0.5]
                random.shuffle(some)
                yield self._left(kind, self._names, some)
                if self._kept_names != self._names:
                    yield self._left(f"{kind}, old names", self._kept_names, some)

    def _left(
        self,
        kind: str,
        names: dict[str, _File],
        changes: Iterable[tuple[_File, Write | Truncate]],
    ) -> Remains:
        contents = {file: bytearray(file.kept) for file in names.values()}
        for file, change in changes:
            if file in contents:
                _apply(contents[file], change)
        return Remains(
            kind,
            {Path(path).name: bytes(contents[file]) for path, file in names.items()},
        )


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    offset = change.offset or 0
    # A hole reads as zeros.
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(change.data)] = change.data


def _pieces(
    pending: list[tuple[_File, Write | Truncate]], size: int
) -> list[tuple[_File, Write | Truncate]]:
    """Split writes where the disk's units of a size begin."""
    pieces: list[tuple[_File, Write | Truncate]] = []
    for file, change in pending:
        if isinstance(change, Truncate):
            pieces.append((file, change))
            continue
        begin, end = change.offset or 0, (change.offset or 0) + len(change.data)
        cuts = [begin, *range(begin // size * size + size, end, size), end]
        pieces += [
            (file, Write(change.path, left, change.data[left - begin : right - begin]))
            for left, right in pairwise(cuts)
        ]
    return pieces
