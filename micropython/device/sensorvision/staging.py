"""Fetch a newer version of the port into a directory of its own, and check all of it."""

from hashlib import sha256
import io
import json
import os
import sys

from micropython import const

from . import __version__
from .http import HttpClient
from .protocol import Request
from .update import remove_tree
from .url import split_url

_NEW = "/sensorvision.new"
_MAX_MANIFEST_BYTES = const(8192)
_MAX_FILE_BYTES = const(65536)
_TIMEOUT_S = const(60)
_CHUNK_BYTES = const(512)


class Refused(Exception):
    """An update can't be used; the message says why."""


class _Download(HttpClient):
    async def fetch(self, name, most, sink):
        """Write a file's bytes into `sink`, as they come; `most` are taken."""
        self._most = most
        self._sink = sink
        await self.send(Request("GET", "/" + name, {}, b""))

    async def _read_answer(self):
        status = int((await self._line())[9:12])
        left = int((await self._read_headers()).get("content-length", -1))
        if status != 200 or not 0 <= left <= self._most:
            # A redirect too: it could lead anywhere.
            raise ValueError(f"status {status}, {left} bytes. Check update.url")
        while left > 0:
            if not self._received:
                await self._receive()
            left -= len(self._received)
            self._sink.write(self._received)
            self._received = b""
        return 200, {}, b"", not left


async def stage(options: dict, ca: bytes | None, link) -> bool:
    """See `update.check`.

    Raises:
        Refused: there is a newer version, and it can't be used.
        Unreachable: the server did not give all of it; what came is kept.
    """
    url = options["url"]
    key = options["key"]
    tls = split_url(url)[0]
    if not (ca if tls else key):
        raise Refused("it would not be verified. Set update.key, or use https and ca_file")
    await link.up(tls)
    client = _Download(url, ca, _TIMEOUT_S)
    try:
        return await _stage(client, key)
    finally:
        client.close()


async def _stage(client, key):
    sink = io.BytesIO()
    await client.fetch("manifest.json", _MAX_MANIFEST_BYTES, sink)
    text = sink.getvalue()
    if key:
        sink = io.BytesIO()
        await client.fetch("manifest.sig", 64, sink)
        if sink.getvalue() != sign(key.encode(), text).hex().encode():
            raise Refused("manifest.json is not signed with update.key")
    try:
        version, files, blocks = _read(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("manifest.json is malformed. Write the release again") from None
    # Never back to what was mended since.
    if _numbers(version) <= _numbers(__version__):
        return False
    if not _prepare(sha256(text).digest(), blocks):
        return False
    for path, (size, digest) in files.items():
        target = _NEW + "/" + path
        if _digest(target) == digest:
            continue
        try:
            os.mkdir(target.rpartition("/")[0])
        except OSError:
            pass
        with open(target, "wb") as sink:
            await client.fetch(path, size, sink)
        # What lies on the flash counts, not what came.
        if _digest(target) != digest:
            raise Refused(path + " is not what manifest.json says. Write the release again")
    with open(_NEW + "/draft", "w") as file:
        file.write("24")
    # Only now `main` takes it for complete.
    os.rename(_NEW + "/draft", _NEW + "/trial")
    print("update: version", version, "is about to start")
    return True


def sign(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message (RFC 2104); some firmware has no hmac."""
    if len(key) > 64:
        key = sha256(key).digest()
    key += bytes(64 - len(key))
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def _read(text):
    manifest = json.loads(text)
    version = manifest["version"]
    _numbers(version)
    if manifest["mpy"] not in (None, sys.implementation._mpy & 255):
        raise Refused("its bytecode is for other firmware. Update MicroPython by cable")
    files = manifest["files"]
    block_bytes = os.statvfs("/")[0]
    # Each directory takes two.
    blocks = 6
    for path, (size, _) in files.items():
        parts = path.split("/")
        if any(part[:1] in ("", ".") for part in parts) or parts[-1][-2:] != "py":
            raise Refused(f"{path!r} is no file of the port")
        if not 0 <= size <= _MAX_FILE_BYTES:
            raise Refused(f"{path} has {size} bytes")
        blocks += size // block_bytes + 1
    return version, files, blocks


def _prepare(digest, blocks):
    """Make a place for a version, and tell whether it is still to be filled."""
    left = _content("trial")
    if _content("manifest") == digest:
        if left and left != b"0":
            print("update: main.py did not start it. Flash the board again")
        return not left
    if left is not None:
        # First of all: what is being removed is complete no more.
        os.remove(_NEW + "/trial")
    remove_tree(_NEW)
    flash = os.statvfs("/")
    if flash[3] < blocks:
        raise Refused(f"{blocks * flash[0] // 1024} KB of flash must be free. Delete files")
    os.mkdir(_NEW)
    with open(_NEW + "/manifest", "wb") as file:
        file.write(digest)
    return True


def _content(name):
    try:
        with open(_NEW + "/" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


def _numbers(version):
    return [int(number) for number in version.split(".")]


def _digest(path):
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                digest.update(data)
    except OSError:
        return None
    return digest.digest().hex()
