"""Cut a board's power at every write of an update, and see which version runs afterwards.

A board with a real littlefs finds a newer version on a real server, fetches it, starts it,
and keeps it or takes it back. That life is lived again and again, and each time the power
goes at another write or erase of the flash, which is left undone or half done. At every
start that follows, the version that runs must be whole, and in the end it must be the
right one: a version that reports is never lost, one that crashes is never kept.
"""

from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
import shutil
import tempfile
from typing import Any

from micropython.manifest import device_files
from micropython.provision.build import build
from micropython.provision.release import MPY_VERSION
from micropython.simulator import SimulatedBoard

from .releases import KEY, Releases, offering

_BLOCKS = 56
_CUTS_A_BOARD = 80
_DEADLINE_S = 600

# What a version of the port needs to fetch another one.
_FETCHING = {"connection", "http", "protocol", "staging", "update", "url"}

_START = """
import sys
def run():
    sys.modules["life"].go_on({name!r})
"""
_NEW_FILES = {
    "__init__.py": b'__version__ = "9.0.0"\n',
    "sensors/__init__.py": b"",
    "sensors/large.py": b"# " + b"0123456789abcdef" * 500 + b"\n",
}
_CRASHING = "import no_such_module\n"

_PROGRAM = """
import asyncio
import gc
import hashlib
import json
import os
import sys
import vfs

import machine
from flash import BLOCK_BYTES, FragileChip, PowerCut


class Link:
    async def up(self, needs_clock):
        pass


class Flaw(BaseException):
    pass


class Life:
    def __init__(self):
        self.ran = None
        self.starts = 0

    def go_on(self, version):
        self.ran = version
        found = contents("/sensorvision")
        if found != whole[version]:
            raise Flaw("runs a version that is not whole: " + ", ".join(sorted(found)))
        from sensorvision import update
        if version == "new":
            update.confirm()
        asyncio.new_event_loop()
        if asyncio.run(update.check({"url": url, "key": key}, None, Link())):
            machine.reset()

    def live(self):
        is_on = True
        while is_on:
            self.starts += 1
            if self.starts > 8:
                raise Flaw("starts for ever")
            is_on = self.start()

    def start(self):
        for name in [name for name in sys.modules if name.startswith("sensorvision")]:
            del sys.modules[name]
        self.ran = None
        try:
            exec(main, {"__name__": "__main__"})
        except SystemExit:
            return True
        return False


class Timer:
    # Nothing here takes as long as a trial may.
    ONE_SHOT = 0

    def __init__(self, number):
        pass

    def init(self, **kw):
        pass


def contents(path):
    found = {}
    for entry in os.ilistdir(path):
        below = path + "/" + entry[0]
        if entry[1] == 0x4000:
            for name, digest in contents(below).items():
                found[entry[0] + "/" + name] = digest
        elif entry[0] not in ("trial", "manifest"):
            with open(below, "rb") as file:
                found[entry[0]] = hashlib.sha256(file.read()).digest().hex()
    return found


def copy(source, path):
    os.mkdir(path)
    for entry in os.ilistdir("/host" + source):
        below = source + "/" + entry[0]
        if entry[1] == 0x4000:
            copy(below, path + "/" + entry[0])
        else:
            with open("/host" + below, "rb") as file, open(path + "/" + entry[0], "wb") as to:
                to.write(file.read())


def mount(chip):
    vfs.mount(vfs.VfsLfs2(chip), "/")


with open("/values.json") as file:
    globals().update(json.load(file))
machine.Timer = Timer
with open("/main.real") as file:
    main = file.read()
host = os.getenv("BOARD_FLASH")
vfs.umount("/")
first = bytearray(b"\\xff" * BLOCK_BYTES * blocks)
vfs.VfsLfs2.mkfs(FragileChip(first), progsize=256)
mount(FragileChip(first))
vfs.mount(vfs.VfsPosix(host), "/host")
copy("/old", "/sensorvision")
with open("/settings.json", "w") as file:
    file.write("mine")
vfs.umount("/host")
vfs.umount("/")
whole = {"old": old, "new": new}

uncut = 0


def cut(point):
    global uncut
    content = bytearray(first)
    chip = FragileChip(content, *point)
    life = sys.modules["life"] = Life()
    mount(chip)
    try:
        life.live()
        uncut = chip.operations
    except PowerCut:
        pass
    vfs.umount("/")
    life = sys.modules["life"] = Life()
    mount(FragileChip(content))
    life.live()
    left = sorted(os.listdir("/"))
    with open("/settings.json") as file:
        if file.read() != "mine":
            raise Flaw("has other settings")
    vfs.umount("/")
    if life.ran != expected:
        raise Flaw("runs the %s version" % life.ran)
    if left != lasting:
        raise Flaw("leaves " + ", ".join(left))


flaws = []
for point in points:
    gc.collect()
    try:
        cut(point)
    except Flaw as err:
        flaws.append([point, str(err)])
        try:
            vfs.umount("/")
        except OSError:
            pass
print("FOUND", json.dumps([uncut, flaws]))
"""


@dataclass
class Findings:
    """What was found after all cuts.

    Attributes:
        cuts: how often the power went.
        operations: writes and erases of one whole life, by its kind.
        flaws: what should never be, each a sentence.
    """

    cuts: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)


async def cut_updates(every: int = 1) -> Findings:
    """Cut the power of boards that are updated.

    Args:
        every: at which of the flash's operations; 3 is every third.
    """
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="sensorvision-updates-") as name:
        async with offering() as releases:
            for kind, start in (
                ("kept", _START.format(name="new")),
                ("taken_back", _CRASHING),
            ):
                lives = _Lives(Path(name) / kind, releases, start)
                await lives.cut_all(findings, kind, every)
    return findings


class _Lives:
    """A board that lives through one update again and again."""

    def __init__(self, folder: Path, releases: Releases, start: str) -> None:
        built = build(folder / "built", MPY_VERSION)
        port = {
            path.name: path.read_bytes()
            for target, path in built.items()
            if Path(target).stem in _FETCHING
        }
        old = {
            **port,
            "__init__.py": b'__version__ = "1.0.0"\n',
            "start.py": _START.format(name="old").encode(),
        }
        new = {**port, **_NEW_FILES, "start.py": start.encode()}
        is_kept = start != _CRASHING
        releases.offer("9.0.0", new)
        self._board = folder / "board"
        self._values = {
            "url": releases.url,
            "key": KEY,
            "blocks": _BLOCKS,
            "old": _digests(old),
            "new": _digests(new),
            "expected": "new" if is_kept else "old",
            "lasting": [
                "sensorvision",
                *([] if is_kept else ["sensorvision.new"]),
                "settings.json",
            ],
        }
        flash = self._board / "flash"
        (flash / "old").mkdir(parents=True)
        for name, content in old.items():
            (flash / "old" / name).write_bytes(content)
        shutil.copyfile(device_files()["main.py"], flash / "main.real")

    async def cut_all(self, findings: Findings, kind: str, every: int) -> None:
        """Cut the power at every operation of a whole life."""
        operations, flaws = await self._live([[None, False]])
        findings.operations[kind] = operations
        points = [
            [number, is_torn]
            for number in range(0, operations, every)
            for is_torn in (False, True)
        ]
        for first in range(0, len(points), _CUTS_A_BOARD):
            some = points[first : first + _CUTS_A_BOARD]
            flaws += (await self._live(some))[1]
            findings.cuts += len(some)
        findings.flaws += [
            f"Update that is to be {kind}, operation {number}"
            f"{', half done' if is_torn else ''}: the board {words}."
            for (number, is_torn), words in flaws
        ]

    async def _live(self, points: list[Any]) -> tuple[int, list[Any]]:
        board = SimulatedBoard(self._board, {}, heap="2m")
        (board.flash / "values.json").write_text(
            json.dumps({**self._values, "points": points}), encoding="utf-8"
        )
        (board.flash / "main.py").write_text(_PROGRAM, encoding="utf-8")
        async with board:
            await board.wait_until_off(_DEADLINE_S)
        for line in board.lines:
            if line.startswith("FOUND "):
                operations, flaws = json.loads(line.removeprefix("FOUND "))
                return operations, flaws
        raise ValueError("the board ended early: " + "\n".join(board.lines[-20:]))


def _digests(files: dict[str, bytes]) -> dict[str, str]:
    return {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
