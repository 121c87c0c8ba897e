"""Have newer versions of the port fetched, and tell `main` whether the new one is good."""

import os
import sys
import time

from micropython import const

_TRIAL = const("/sensorvision/trial")
_OLD = const("/sensorvision.old")
_TRIAL_MS = const(600000)


_ends_ms = time.ticks_add(time.ticks_ms(), _TRIAL_MS)


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
    if is_there(_TRIAL):
        return False
    try:
        # Left behind where the power went while a version was confirmed.
        remove_tree(_OLD)
        # Its memory is free again when it is through.
        from .staging import stage

        return await stage(options, ca, link)
    except Exception as err:
        # Whatever is wrong with an update, this version goes on.
        print("no update:", err)
        return False
    finally:
        if sys.modules.pop("sensorvision.staging", None):
            del sys.modules["sensorvision"].staging


def confirm() -> None:
    """Keep this version, because it has just delivered."""
    if is_there(_TRIAL):
        os.remove(_TRIAL)
        remove_tree(_OLD)
        print("update: confirmed")


def trial_left_ms() -> int | None:
    """Return how long this version may still run without a delivery.

    Returns:
        Milliseconds; the board is to be reset when none are left. None for a version that
        is not on trial.
    """
    if not is_there(_TRIAL):
        return None
    left_ms = time.ticks_diff(_ends_ms, time.ticks_ms())
    if left_ms <= 0:
        with open(_TRIAL, "w") as file:
            file.write("0")
    return left_ms


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, if it is there."""
    if is_there(path):
        for entry in list(os.ilistdir(path)):
            child = path + "/" + entry[0]
            if entry[1] == 0x4000:
                remove_tree(child)
            else:
                os.remove(child)
        os.rmdir(path)


def is_there(path: str) -> bool:
    """Tell whether there is a file or a directory."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
