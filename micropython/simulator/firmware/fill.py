"""Run in the unix port in the place of boot.py: copy a directory of the host into an image."""

import os
import sys

sys.path.insert(0, os.getenv("BOARD_FIRMWARE"))
import vfs

import flash

_DIRECTORY = 0x4000


def _copy(host, target, path):
    for entry in host.ilistdir(path or "/"):
        name = path + "/" + entry[0]
        if entry[1] == _DIRECTORY:
            target.mkdir(name)
            _copy(host, target, name)
            continue
        with host.open(name, "rb") as source, target.open(name, "wb") as copy:
            copy.write(source.read())


_copy(
    vfs.VfsPosix(sys.argv[1]),
    flash.mount(os.getenv("BOARD_FLASH"), int(os.getenv("BOARD_FLASH_BLOCKS"))),
    "",
)
