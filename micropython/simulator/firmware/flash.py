"""Mount a board's flash: a littlefs in an image file, or a directory of the host."""

import vfs

import pace
from world import changes, tell, world

BLOCK_BYTES = 4096
# Once, as the heap is the board's.
_ERASED = b"\xff" * BLOCK_BYTES

_IOCTL_SYNC = 3
_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_SIZE = 5
_IOCTL_ERASE = 6


def mount(path, blocks):
    """Return the file system at a path, made first where an image is not there yet."""
    host = vfs.VfsPosix()
    try:
        is_directory = host.stat(path)[0] & 0x4000
    except OSError:
        is_directory = False
        with host.open(path, "wb") as file:
            for _ in range(blocks):
                file.write(_ERASED)
    if is_directory:
        return _Directory(path)
    device = _Image(host.open(path, "r+b"))
    try:
        return vfs.VfsLfs2(device)
    except OSError:
        vfs.VfsLfs2.mkfs(device)
        return vfs.VfsLfs2(device)


class _Directory(vfs.VfsPosix):
    """A directory of the host, with what the unix port gets wrong in one put right."""

    def __init__(self, path):
        super().__init__(path)
        self._path = path

    def rename(self, old, new):
        """Rename a file or a directory; the port's own takes the new path for both."""
        vfs.VfsPosix().rename(self._on_host(old), self._on_host(new))

    def _on_host(self, path):
        return self._path + "/" + path.lstrip("/")


class _Image:
    """A block device in a file, erased to ones as NOR flash is."""

    def __init__(self, file):
        self._file = file
        self._blocks = file.seek(0, 2) // BLOCK_BYTES
        self._change = -1
        self._writes_left = None

    def readblocks(self, block, buffer, offset=0):
        """Read part of a block."""
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        """Program part of a block."""
        self._spend_power(block * BLOCK_BYTES + offset, buffer)
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.write(buffer)

    def ioctl(self, operation, block):
        """Answer what a file system asks of a block device."""
        if operation == _IOCTL_SYNC:
            self._file.flush()
        elif operation == _IOCTL_BLOCK_COUNT:
            return self._blocks
        elif operation == _IOCTL_BLOCK_SIZE:
            return BLOCK_BYTES
        elif operation == _IOCTL_ERASE:
            self._spend_power(block * BLOCK_BYTES, _ERASED)
            self._file.seek(block * BLOCK_BYTES)
            self._file.write(_ERASED)
        return 0

    def _spend_power(self, position, content):
        """Lose power in the middle of the write that the world says, if it says one."""
        if changes() != self._change:
            self._change = changes()
            self._writes_left = world().get("writes_left")
        if self._writes_left is None:
            return
        self._writes_left -= 1
        if self._writes_left < 0:
            self._file.seek(position)
            self._file.write(memoryview(content)[: len(content) // 2])
            tell(b"cut\n")
            pace.halt()
