"""The disk that the power cuts are tried on forgets what was not synchronised."""

from pathlib import Path
from random import Random

import pytest

from proofs.calls import (
    Call,
    Create,
    Rename,
    Sync,
    Truncate,
    UnknownCallError,
    Unlink,
    Write,
    read_calls,
)
from proofs.disk import Disk, Remains

_FOLDER = Path("/proof")
_NEW = "/proof/new"


def _remains(*calls: Call) -> list[Remains]:
    disk = Disk(_FOLDER)
    for call in calls:
        disk.take(call)
    return list(disk.remains(Random(1)))  # noqa: S311


def _certain(*calls: Call) -> list[dict[str, bytes]]:
    return [remains.files for remains in _remains(*calls) if remains.is_certain]


@pytest.mark.parametrize(
    ("calls", "certain"),
    [
        ([Create(_NEW), Write(_NEW, 0, b"ab")], [{"new": b""}, {}]),
        ([Create(_NEW), Write(_NEW, 0, b"ab"), Sync(_NEW)], [{"new": b"ab"}, {}]),
        ([Create(_NEW), Sync("/proof")], [{"new": b""}]),
        (
            [Create(_NEW), Sync("/proof"), Write(_NEW, 1, b"b"), Sync(_NEW)],
            [{"new": b"\0b"}],
        ),
        (
            [
                Create(_NEW),
                Write(_NEW, None, b"a"),
                Write(_NEW, None, b"b"),
                Sync(_NEW),
            ],
            [{"new": b"ab"}, {}],
        ),
        (
            [Create(_NEW), Write(_NEW, 0, b"ab"), Truncate(_NEW, 1), Sync(_NEW)],
            [{"new": b"a"}, {}],
        ),
        ([Create(_NEW), Sync("/proof"), Unlink(_NEW)], [{}, {"new": b""}]),
        (
            [Create(_NEW), Sync("/proof"), Rename(_NEW, "/proof/old")],
            [{"old": b""}, {"new": b""}],
        ),
    ],
)
def test_what_is_certain_is_what_was_synchronised(
    calls: list[Call], certain: list[dict[str, bytes]]
) -> None:
    assert _certain(*calls) == certain


def test_some_of_what_was_written_since_may_be_there_in_any_order() -> None:
    found = _remains(
        Create(_NEW),
        Sync("/proof"),
        Write(_NEW, 0, b"a" * 512),
        Sync(_NEW),
        Write(_NEW, 0, b"b" * 1024),
        Write(_NEW, 512, b"c" * 512),
    )
    contents = {remains.files["new"] for remains in found}
    assert {b"a" * 512, b"b" * 512 + b"c" * 512, b"b" * 1024} <= contents
    # A sector is missing, or the second write came before the first one.
    assert contents & {b"a" * 512 + b"c" * 512, b"a" * 512 + b"b" * 512}
    assert {remains.kind for remains in found} == {
        "synchronised",
        "all",
        "prefix",
        "torn sector",
        "torn page",
        "some writes",
        "some sectors",
    }


def _hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def test_calls_are_read_in_the_order_in_which_they_returned(tmp_path: Path) -> None:
    new, folder = _hex(_NEW), _hex("/proof")
    trace = tmp_path / "trace"
    trace.write_text(
        f'7 openat(AT_FDCWD<\\x2f>, "{new}", O_RDWR|O_CREAT, 0644) = 3<{new}>\n'
        f'7 openat(AT_FDCWD<\\x2f>, "{new}", O_RDONLY) = 4<{new}>\n'
        f"7 fdatasync(3<{new}> <unfinished ...>\n"
        f'8 pwrite64(3<{new}>, "{_hex("abc")}", 3, 4096) = 2\n'
        "7 <... fdatasync resumed>) = 0\n"
        f'7 write(1<{_hex("/elsewhere")}>, "{_hex("x")}", 1) = 1\n'
        f"7 ftruncate(3<{new}>, 5) = 0\n"
        f"7 fsync(5<{folder}>) = -1 EIO (Input/output error)\n"
        f'7 rename("{new}", "{_hex("/proof/old")}") = 0\n'
    )
    assert list(read_calls(trace, _FOLDER)) == [
        Create(_NEW),
        Write(_NEW, 4096, b"ab"),
        Sync(_NEW),
        Truncate(_NEW, 5),
        Rename(_NEW, "/proof/old"),
    ]


@pytest.mark.parametrize(
    "call",
    [
        "fallocate(3</proof/new>, 0, 0, 5) = 0\n",
        'write(3</proof/new>, "\\x61"..., 2) = 2\n',
    ],
)
def test_call_that_is_not_understood_is_no_evidence(tmp_path: Path, call: str) -> None:
    trace = tmp_path / "trace"
    trace.write_text(f"7 {call}")
    with pytest.raises(UnknownCallError):
        list(read_calls(trace, _FOLDER))
