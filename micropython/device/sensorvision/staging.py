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
from .update import is_there, remove_tree

_NEW = const("/sensorvision.new")
_MANIFEST = const("/sensorvision.new/manifest")
_TRIAL = const("/sensorvision.new/trial")
_MAX_MANIFEST_BYTES = const(8192)
_MAX_FILE_BYTES = const(65536)
_TIMEOUT_S = const(60)
# So many that a board has sent by then which starts for each of its readings.
_STARTS = const("20")


class _Download(HttpClient):
    async def fetch(self, name, most, sink=None):
        """Write a file's bytes, at most so many, into `sink` as they come; return it."""
        self._most = most
        self._left = None
        self._sink = sink or io.BytesIO()
        await self.send(Request("GET", "/" + name, {}, b""))
        return self._sink

    def _body(self, status, at):
        if self._left is None:
            self._left = int(self.get("content-length") or -1)
            if status != 200 or not 0 <= self._left <= self._most:
                # A redirect is not followed either: it could lead anywhere.
                raise ValueError(f"status {status}, {self._left} bytes. Check update.url")
        data = self._received[at:]
        self._received = self._received[:at]
        self._sink.write(data)
        self._left -= len(data)
        if self._left > 0:
            return None
        self._is_over = self._is_over or self._left < 0
        return b""


async def stage(options: dict, ca: bytes | None, link) -> bool:
    """See `update.check`.

    Raises:
        ValueError: there is a newer version, and it can't be used.
        Unreachable: the server did not give all of it; what came is kept.
    """
    key = options["key"]
    tls = options["url"][:5] == "https"
    if not (ca if tls else key):
        raise ValueError("set update.key, or use https and ca_file")
    await link.up(tls)
    client = _Download(options["url"], ca, _TIMEOUT_S)
    try:
        text = (await client.fetch("manifest.json", _MAX_MANIFEST_BYTES)).getvalue()
        if key:
            signature = await client.fetch("manifest.sig", 64)
            if signature.getvalue().decode() != sign(key.encode(), text).hex():
                raise ValueError("manifest.json is not signed with update.key")
        try:
            files = _wanted(text)
        except Exception as err:
            raise ValueError(f"manifest.json: {err}. Write the release again") from None
        if not (files and _prepare(text, files)):
            return False
        for path, (size, digest) in files.items():
            target = _NEW + "/" + path
            if _digest(target) == digest:
                # It came before the power went, or the network.
                continue
            try:
                os.mkdir(target.rpartition("/")[0])
            except OSError:
                # It is there.
                pass
            with open(target, "wb") as sink:
                await client.fetch(path, size, sink)
            # What lies on the flash counts, not what came.
            if _digest(target) != digest:
                raise ValueError(path + " is damaged. Write the release again")
    finally:
        client.close()
    with open(_NEW + "/draft", "w") as file:
        file.write(_STARTS)
    # Only now `main` takes it for complete.
    os.rename(_NEW + "/draft", _TRIAL)
    print("update: fetched, starts after a reset")
    return True


def sign(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message (RFC 2104); some firmware has no hmac."""
    inner = _pad(key, 0x36)
    inner.update(message)
    outer = _pad(key, 0x5C)
    outer.update(inner.digest())
    return outer.digest()


def _pad(key, mask):
    if len(key) > 64:
        key = sha256(key).digest()
    return sha256(bytes(byte ^ mask for byte in key + bytes(64 - len(key))))


def _wanted(text):
    """Return the files that a manifest names, None where they are not newer."""
    manifest = json.loads(text)
    # Never back to what was mended since.
    if _numbers(manifest["version"]) <= _numbers(__version__):
        return None
    if manifest["mpy"] not in (None, sys.implementation._mpy & 255):
        raise ValueError("bytecode for other firmware")
    for path, (size, _) in manifest["files"].items():
        parts = "/" + path
        # No part is empty or begins with a dot, so none leads elsewhere.
        if "//" in parts or "/." in parts or path[-2:] != "py" or not 0 <= size <= _MAX_FILE_BYTES:
            raise ValueError(f"{path!r} with {size} bytes is no file of the port")
    return manifest["files"]


def _prepare(text, files):
    """Make a place for a version, and tell whether it is still to be filled."""
    digest = sha256(text).digest()
    if _digest(_MANIFEST) == digest.hex():
        # Complete before, and not what runs: it has failed, or this board has another main.
        return not is_there(_TRIAL)
    if is_there(_TRIAL):
        # First of all: what is being removed is complete no more.
        os.remove(_TRIAL)
    remove_tree(_NEW)
    flash = os.statvfs("/")
    # Some for directories and the manifest.
    blocks = 8
    for size, _ in files.values():
        blocks += size // flash[0] + 1
    if flash[3] < blocks:
        raise ValueError(f"{blocks * flash[0] // 1024} KB of flash must be free. Delete files")
    os.mkdir(_NEW)
    with open(_MANIFEST, "wb") as file:
        file.write(text)
    return True


def _numbers(version):
    return list(map(int, version.split(".")))


def _digest(path):
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(512):
                digest.update(data)
    except OSError:
        return None
    return digest.digest().hex()
