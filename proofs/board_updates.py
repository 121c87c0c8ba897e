"""Cut a board's power at every write of an update, and see which version runs afterwards.

A board with a real littlefs finds a newer version on a real server, fetches it, starts it,
and keeps it or takes it back. That life is lived again and again, and each time the power
goes at another write or erase of the flash, which is left undone or half done. At every
start that follows, the version that runs must be whole, and in the end it must be the
right one: a version that reports is never lost, one that crashes is never kept.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

from micropython.provision.build import build
from micropython.provision.manifest import device_files
from micropython.provision.release import MPY_VERSION

from .board_sections import PROGRAM_BYTES, Section, run_on_board
from .releases import KEY, Releases, offering

_BLOCKS = 56
_LEAST_OPERATIONS = 100

# What a version of the port needs to fetch another one.
_FETCHING = {"connection", "http", "protocol", "update", "url"}

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
import os
import sys
import vfs

import machine
from nor import BLOCK_BYTES, Nor, apply


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

    def __init__(self, number, **options):
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


def mount(content):
    device = Nor(content)
    vfs.mount(vfs.VfsLfs2(device, readsize=program_bytes, progsize=program_bytes), "/")
    return device


def first_content():
    content = bytearray(b"\\xff" * (BLOCK_BYTES * blocks))
    vfs.VfsLfs2.mkfs(Nor(content), readsize=program_bytes, progsize=program_bytes)
    mount(content)
    os.mkdir("/sensorvision")
    for name, text in old_files.items():
        with open("/sensorvision/" + name, "wb") as file:
            file.write(bytes.fromhex(text))
    with open("/settings.json", "w") as file:
        file.write("mine")
    vfs.umount("/")
    return content


def live(content):
    gc.collect()
    life = sys.modules["life"] = Life()
    device = mount(content)
    try:
        life.live()
        with open("/settings.json") as file:
            if file.read() != "mine":
                raise Flaw("has other settings")
        left = sorted(os.listdir("/"))
        if life.ran != expected:
            raise Flaw("runs the %s version" % life.ran)
        if contents("/sensorvision") != whole[expected]:
            raise Flaw("keeps a version that is not whole")
        if left != lasting:
            raise Flaw("leaves " + ", ".join(left))
    finally:
        vfs.umount("/")
    return device.operations


def cut(operations):
    flaws = []
    content = first_content()
    for number, operation in enumerate(operations):
        torn = bytearray(content)
        apply(torn, operation, is_torn=True)
        if not number % every:
            for cut_at in (bytearray(content), torn):
                try:
                    live(cut_at)
                except Flaw as err:
                    flaws.append([number, str(err)])
        apply(content, operation)
    return flaws


machine.Timer = Timer
vfs.umount("/")
operations = live(first_content())
say({"operations": len(operations), "flaws": cut(operations)})
"""


async def cut_updates(options: argparse.Namespace, folder: Path) -> Section:
    """Cut the power of boards that are updated."""
    operations = {}
    flaws = []
    async with offering() as releases:
        for kind, start in (
            ("kept", _START.format(name="new")),
            ("taken_back", _CRASHING),
        ):
            for size in PROGRAM_BYTES:
                found = await _live(
                    folder / f"update-{kind}-{size}",
                    releases,
                    start,
                    program_bytes=size,
                    every=options.every,
                )
                operations[kind, size] = found["operations"]
                flaws += [
                    f"Update that is to be {kind}, operation {number}: the board {words}."
                    for number, words in found["flaws"]
                ]
    cuts = sum(2 * -(-count // options.every) for count in operations.values())
    return Section(
        sent=0,
        lost=0,
        repeated=0,
        cuts=cuts,
        least_sent=0,
        least_cuts=_LEAST_OPERATIONS * len(operations) * 2 // options.every,
        flaws=flaws,
        extra={
            "cuts_of_updates": cuts,
            **{
                f"operations_of_an_update_{kind}_in_{size}_byte_programs": count
                for (kind, size), count in operations.items()
            },
        },
    )


async def _live(
    folder: Path, releases: Releases, start: str, **values: object
) -> dict[str, Any]:
    """Let a board live through one update as often as there are cuts."""
    port = {
        path.name: path.read_bytes()
        for target, path in build(folder / "built", MPY_VERSION).items()
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
    return await run_on_board(
        folder,
        _PROGRAM,
        url=releases.url,
        key=KEY,
        blocks=_BLOCKS,
        main=device_files()["main.py"].read_text(encoding="utf-8"),
        old_files={name: content.hex() for name, content in old.items()},
        whole={"old": _digests(old), "new": _digests(new)},
        expected="new" if is_kept else "old",
        lasting=[
            "sensorvision",
            *([] if is_kept else ["sensorvision.new"]),
            "settings.json",
        ],
        **values,
    )


def _digests(files: dict[str, bytes]) -> dict[str, str]:
    return {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
