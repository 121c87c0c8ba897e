"""Fetch a newer version of the port, check all of it, and tell `main` whether it is good."""

from hashlib import sha256
import json
import os
import sys
import time

from micropython import const

from . import __version__
from .http import HttpClient
from .protocol import Request

_OLD = const("/sensorvision.old")
_ON_TRIAL = const("/sensorvision/trial")
_NEW = const("/sensorvision.new")
_MANIFEST = const("/sensorvision.new/manifest")
_TRIAL = const("/sensorvision.new/trial")
_DRAFT = const("/sensorvision.new/draft")
_TRIAL_MS = const(600000)
_MAX_MANIFEST_BYTES = const(8192)
_MAX_FILE_BYTES = const(65536)
_CHUNK_BYTES = const(512)
_TIMEOUT_S = const(60)
# So many that a board has sent by then which starts for each of its readings.
_STARTS = const("20")


_started_ms = time.ticks_ms()


async def check(options: dict, ca: bytes | None, link) -> bool:
    """Look for a newer version, and prepare its start.

    Args:
        options: `url` of a directory that `release.write_release` has written, and `key`,
            or None, that its manifest is signed with.
        ca: the DER certificate of the authority that vouches for that server, for https.
        link: what brings the network up.

    Returns:
        Whether the board should be reset now; `main` then starts the new version.
    """
    try:
        return not _is_there(_ON_TRIAL) and await _stage(options, ca, link)
    except Exception as err:
        # Whatever is wrong with an update, this version goes on.
        print("no update:", err)
        return False


def confirm() -> None:
    """Keep this version, because it has just delivered."""
    if _is_there(_ON_TRIAL):
        os.remove(_ON_TRIAL)
        _remove(_OLD)
        print("update: confirmed")


def trial_left_ms() -> int | None:
    """Return how long this version may still run without a delivery.

    Returns:
        Milliseconds; the board is to be reset when none are left. None for a version that
        is not on trial.
    """
    if not _is_there(_ON_TRIAL):
        return None
    left_ms = _TRIAL_MS - time.ticks_diff(time.ticks_ms(), _started_ms)
    if left_ms <= 0:
        _write(_ON_TRIAL, "0")
    return left_ms


def sign(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message (RFC 2104); some firmware has no hmac."""
    if len(key) > 64:
        key = sha256(key).digest()
    key += bytes(64 - len(key))
    for mask in (0x36, 0x5C):
        pad = bytearray(key)
        for at in range(64):
            pad[at] ^= mask
        digest = sha256(pad)
        digest.update(message)
        message = digest.digest()
    return message


class _Download(HttpClient):
    def fetch(self, name, most, take):
        """Have a file's bytes, at most so many, taken as they come."""
        self.most = most
        self._left = None
        self.take = take
        return self.send(Request("GET", "/" + name, {}, b""))

    def _body(self, status, at):
        if self._left is None:
            self._left = int(self.get("content-length") or -1)
            if status != 200 or not 0 <= self._left <= self.most:
                # A redirect is not followed either: it could lead anywhere.
                raise ValueError(f"status {status}, {self._left} bytes. Check update.url")
        data = self._received[at:]
        self._received = self._received[:at]
        self.take(data)
        self._left -= len(data)
        if self._left > 0:
            return None
        self._is_over = self._is_over or self._left < 0
        return b""


async def _stage(options, ca, link):
    # Left behind where the power went while a version was confirmed.
    _remove(_OLD)
    key = options["key"]
    tls = options["url"][:5] == "https"
    if not (ca if tls else key):
        raise ValueError("set update.key, or use https and ca_file")
    await link.up(tls)
    client = _Download(options["url"], ca, _TIMEOUT_S)
    try:
        text = bytearray()
        await client.fetch("manifest.json", _MAX_MANIFEST_BYTES, text.extend)
        signature = bytearray()
        if key:
            await client.fetch("manifest.sig", 64, signature.extend)
        try:
            if key and signature != sign(key.encode(), text).hex().encode():
                raise ValueError("not signed with update.key")  # noqa: TRY301  it is small
            files = _wanted(text)
        except Exception as err:
            raise ValueError(f"manifest.json: {err}. Write the release again") from None
        if not (files and _prepare(text, files)):
            return False
        for path, (size, digest) in files.items():
            target = _NEW + "/" + path
            # Else it came before the power went, or the network.
            if _digest(target) != digest:
                directory = target.rpartition("/")[0]
                if not _is_there(directory):
                    os.mkdir(directory)
                with open(target, "wb") as file:
                    await client.fetch(path, size, file.write)
                # What lies on the flash counts, not what came.
                if _digest(target) != digest:
                    raise ValueError(path + " is damaged. Write the release again")
    finally:
        client.close()
    _write(_DRAFT, _STARTS)
    # Only now `main` takes it for complete.
    os.rename(_DRAFT, _TRIAL)
    print("update: fetched, starts after a reset")
    return True


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


def _numbers(version):
    return list(map(int, version.split(".")))


def _prepare(text, files):
    """Make a place for a version, and tell whether it is still to be filled."""
    digest = sha256(text).digest()
    if _digest(_MANIFEST) == digest.hex():
        # Complete before, and not what runs: it has failed, or this board has another main.
        return not _is_there(_TRIAL)
    # First of all: what is being removed is complete no more.
    _remove(_TRIAL)
    _remove(_NEW)
    flash = os.statvfs("/")
    # Some for directories and the manifest.
    blocks = 8
    for size, _ in files.values():
        blocks += size // flash[0] + 1
    if flash[3] < blocks:
        raise ValueError(f"{blocks * flash[0] // 1024} KB of flash must be free. Delete files")
    os.mkdir(_NEW)
    _write(_MANIFEST, text)
    return True


def _digest(path):
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                digest.update(data)
    except OSError:
        return None
    return digest.digest().hex()


def _write(path, text):
    with open(path, "wb") as file:
        file.write(text)


def _remove(path):
    if _is_there(path):
        try:
            os.remove(path)
        except OSError:
            # A directory that is not empty, on some file systems any.
            for name in os.listdir(path):
                _remove(path + "/" + name)
            os.rmdir(path)


def _is_there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True
