"""Copy the port and its settings onto a board, as far as they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
import ssl
from typing import Any

from .errors import Exit, ProvisionError
from .firmware import Survey

SETTINGS_PATH = "/settings.json"
CA_PATH = "/ca.der"

_PACKAGE = "/sensorvision/"
# Versions that came over the air, one of which would take the place of what is copied.
_OTHER_VERSIONS = ["/sensorvision.new", "/sensorvision.old"]

_REPLACE = """
import os
try:
    os.rename({new!r}, {old!r})
except OSError:
    os.remove({old!r})
    os.rename({new!r}, {old!r})
"""
_PREPARE = """
import os
for path in {directories!r}:
    try:
        os.mkdir(path)
    except OSError:
        pass
def remove(path):
    try:
        if os.stat(path)[0] & 0x4000:
            for name in os.listdir(path):
                remove(path + '/' + name)
            os.rmdir(path)
        else:
            os.remove(path)
    except OSError as err:
        if err.errno != 2:
            raise
for path in {stale!r}:
    remove(path)
"""


@dataclass(frozen=True)
class Plan:
    """What has to change on a board's flash.

    Attributes:
        changed: files to copy, by their path on the board.
        stale: paths of other versions, which would be loaded first.
        unchanged: how many files are there already.
    """

    changed: dict[str, Path]
    stale: list[str]
    unchanged: int


def plan(files: Mapping[str, Path], survey: Survey, *, is_whole: bool = True) -> Plan:
    """Compare what goes onto a board with what lies there.

    Args:
        files: what goes onto the board, by its path there.
        survey: what lies there.
        is_whole: whether these are all files of the port, so that others are in the way.

    Raises:
        ProvisionError: it would not fit.
    """
    changed = {
        target: path
        for target, path in files.items()
        if target not in survey.files
        or survey.files[target].sha256 != hashlib.sha256(path.read_bytes()).hexdigest()
    }
    stale = []
    if is_whole:
        ours = (path for path in survey.files if path.startswith(_PACKAGE))
        stale = [path for path in ours if path not in files] + _OTHER_VERSIONS
    _check_space(changed, survey)
    return Plan(changed, stale, len(files) - len(changed))


def copy_commands(plan: Plan) -> list[list[str]]:
    """Return mpremote's commands that bring a board's flash up to date."""
    if not plan.changed and not plan.stale:
        return []
    parents = {parent for target in plan.changed for parent in Path(target).parents}
    directories = sorted(str(parent) for parent in parents if str(parent) != "/")
    # The program that starts the others comes last.
    targets = sorted(plan.changed, key=lambda target: target.count("/"), reverse=True)
    return [
        ["exec", _PREPARE.format(directories=directories, stale=plan.stale)],
        *(["cp", str(plan.changed[target]), ":" + target] for target in targets),
    ]


def settings_commands(settings: Mapping[str, Any], directory: Path) -> list[list[str]]:
    """Return mpremote's commands that replace settings in one step.

    A cable that is pulled meanwhile leaves the old ones.

    Args:
        settings: checked settings.
        directory: a private one of the host, for their way through mpremote.
    """
    draft = directory / "settings.json"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(settings), encoding="utf-8")
    new = SETTINGS_PATH + ".new"
    return [
        ["cp", str(draft), ":" + new],
        ["exec", _REPLACE.format(new=new, old=SETTINGS_PATH)],
    ]


def certificate(path: Path) -> bytes:
    """Return a certificate as boards read it, in DER.

    Raises:
        ProvisionError: the file can't be read.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ProvisionError(
            Exit.SETTINGS, f"{path} can't be read: {err.strerror}"
        ) from err
    if b"-----BEGIN CERTIFICATE-----" in data:
        return ssl.PEM_cert_to_DER_cert(data.decode("ascii", errors="replace").strip())
    return data


def _check_space(changed: Mapping[str, Path], survey: Survey) -> None:
    def blocks(size: int) -> int:
        return -(-size // survey.block_bytes)

    growth = 0
    largest = 0
    for target, path in changed.items():
        size = blocks(path.stat().st_size)
        before = survey.files.get(target)
        growth += size - (blocks(before.size) if before else 0)
        largest = max(largest, size)
    # A file that is replaced takes space twice until it is closed; settings take a block.
    wanted = (growth + largest + 1) * survey.block_bytes if changed else 0
    if wanted > survey.free_bytes:
        raise ProvisionError(
            Exit.FLASH_FULL,
            f"The board's flash is full: {wanted // 1024} KB are needed and "
            f"{survey.free_bytes // 1024} KB are free. Delete what you don't need with "
            "`mpremote rm :FILE`, then flash again",
        )
