"""Play a NOR flash in memory that remembers how it came to hold what it holds."""

BLOCK_BYTES = 4096

_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_SIZE = 5
_IOCTL_ERASE = 6


class Nor:
    """A block device, as a file system wants it.

    Args:
        content: what it holds; it is changed in place.

    Attributes:
        operations: where each began, and the bytes that were programmed there, or None
            where a block was erased.
    """

    def __init__(self, content):
        self.operations = []
        self._content = content

    def readblocks(self, block, buffer, offset=0):
        """Read part of a block."""
        begin = block * BLOCK_BYTES + offset
        buffer[:] = memoryview(self._content)[begin : begin + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        """Program part of a block."""
        self._do((block * BLOCK_BYTES + offset, bytes(buffer)))

    def ioctl(self, operation, block):
        """Tell the geometry, or erase a block."""
        if operation == _IOCTL_BLOCK_COUNT:
            return len(self._content) // BLOCK_BYTES
        if operation == _IOCTL_BLOCK_SIZE:
            return BLOCK_BYTES
        if operation == _IOCTL_ERASE:
            self._do((block * BLOCK_BYTES, None))
        return 0

    def _do(self, operation):
        self.operations.append(operation)
        apply(self._content, operation)


def apply(content, operation, is_torn=False):
    """Do to some content what was done to a flash.

    Args:
        content: is changed in place.
        operation: as `Nor.operations` has it.
        is_torn: whether power goes when half of it is done.
    """
    begin, data = operation
    if data is None:
        data = b"\xff" * BLOCK_BYTES
    count = len(data) // 2 if is_torn else len(data)
    content[begin : begin + count] = data[:count]
