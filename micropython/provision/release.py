"""Write what boards fetch over the air, and what people unpack onto a board."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
import re
import tempfile
import zipfile

from .build import build, cross_compile, emitted_version
from .errors import Exit, ProvisionError
from .manifest import DEVICE, device_files

MPY_VERSION = 6
"""Of the bytecode that every MicroPython from 1.19 on loads."""

_PACKAGE = "sensorvision/"
_INIT = _PACKAGE + "__init__.py"
_VERSION = re.compile(r'(?<=__version__ = ")[^"]+')

# Whoever reads a signed manifest can try keys at home, as fast as a machine can.
_LEAST_KEY_CHARACTERS = 20

# Of every file in the zip, so that the same version gives the same bytes.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_MODE = 0o100644 << 16

_README = """\
SensorVision for MicroPython {version}

1. Install MicroPython 1.23 or newer on the board.
2. Copy settings.example.json to settings.json, and fill in your own settings.
3. Copy main.py, settings.json and the directory sensorvision onto the board, for instance:
   mpremote cp -r main.py settings.json sensorvision : + reset
"""


def port_version() -> str:
    """Return the version of the port in this clone."""
    found = _VERSION.search(device_files()[_INIT].read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{_INIT} has no __version__")
    return found[0]


def write_release(
    directory: Path,
    version: str,
    key: str | None = None,
    mpy_version: int | None = MPY_VERSION,
) -> None:
    """Write the port as boards fetch it: its files, then manifest.json, which names them.

    Args:
        directory: what a web server offers as the boards' `update.url`.
        version: of the release, which boards take when theirs is lower.
        key: the boards' `update.key`, with which manifest.sig is made. It vouches for
            version and files on every board that knows it.
        mpy_version: of the bytecode that the boards' firmware loads; None for source,
            which every firmware compiles by itself and needs more memory for.

    Raises:
        ProvisionError: version or key can't be used.
    """
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        raise ProvisionError(
            Exit.SETTINGS,
            f"The version {version!r} can't be compared. Write it like 0.2.0",
        )
    if key is not None and len(key) < _LEAST_KEY_CHARACTERS:
        raise ProvisionError(
            Exit.SETTINGS,
            f"The key has {len(key)} characters and can be guessed. Take one with at least "
            f"{_LEAST_KEY_CHARACTERS}, for instance from `openssl rand -hex 32`",
        )
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, content in _contents(version, mpy_version).items():
        _replace(directory / name, content)
        files[name] = [len(content), hashlib.sha256(content).hexdigest()]
    is_compiled = any(name.endswith(".mpy") for name in files)
    manifest = json.dumps(
        {
            "version": version,
            "mpy": mpy_version if is_compiled else None,
            "files": files,
        },
        separators=(",", ":"),
        sort_keys=True,
    ).encode()
    if key is not None:
        signature = hmac.digest(key.encode(), manifest, "sha256").hex()
        _replace(directory / "manifest.sig", signature.encode())
    # Last: who finds it finds all that it names.
    _replace(directory / "manifest.json", manifest)


def write_zip(path: Path) -> None:
    """Write a zip to unpack onto a board, the same bytes for the same version.

    It holds bytecode, which each firmware loads that the port runs on: compiling on the
    board takes more memory than running.
    """
    with tempfile.TemporaryDirectory() as name:
        built = build(Path(name), emitted_version())
        contents = {target[1:]: file.read_bytes() for target, file in built.items()}
    contents["README.txt"] = _README.format(version=port_version()).encode()
    example = DEVICE / "settings.example.json"
    contents[example.name] = example.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.create_system = 3
            entry.external_attr = _ZIP_MODE
            # Not compressed: compressors differ.
            archive.writestr(entry, content, zipfile.ZIP_STORED)


def _contents(version: str, mpy_version: int | None) -> dict[str, bytes]:
    """Return the port's files by their path in its directory, built for a version."""
    with tempfile.TemporaryDirectory() as name:
        built = build(Path(name), mpy_version or 0)
        source = Path(name) / "stamped.py"
        source.write_text(
            _VERSION.sub(version, device_files()[_INIT].read_text(encoding="utf-8")),
            encoding="utf-8",
        )
        for target, path in built.items():
            if target == f"/{_INIT}":
                path.write_bytes(source.read_bytes())
            elif target == "/" + _INIT.replace(".py", ".mpy"):
                cross_compile(source, path, _INIT)
        return {
            target[len("/" + _PACKAGE) :]: path.read_bytes()
            for target, path in sorted(built.items())
            if target.startswith("/" + _PACKAGE)
        }


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)
