"""Start the node; before that, finish or undo an update, so that a whole version runs.

An update never replaces this file. Which version runs is told by the names of directories
alone, and renaming one is a single step on littlefs:

- `sensorvision` runs. While it is on trial, `trial` in it says how many starts are left.
- `sensorvision.new` waits for its first start, or has no start left and is kept as the
  version that failed; without `trial` it is not complete.
- `sensorvision.old` ran before, and comes back when the new one fails.
"""

import os
import sys

from machine import Timer, reset
from micropython import const

_HERE = const("sensorvision")
_NEW = const("sensorvision.new")
_OLD = const("sensorvision.old")

# A minute more than the node is granted to give up in order.
_TRIAL_MS = const(660000)


def _left(directory):
    try:
        with open(directory + "/trial") as file:
            # Nothing in it: the power went while it was written.
            return int(file.read() or 0)
    except OSError:
        return -1


def _leave(left):
    with open(_HERE + "/trial", "w") as file:
        file.write(str(left))


def _give_up(_=None):
    if _left(_HERE) >= 0:
        _leave(0)
        reset()


try:
    _found = os.listdir()
    if not _left(_HERE) and _OLD in _found:
        print("update: this version failed; the one before comes back")
        os.rename(_HERE, _NEW)
    elif _left(_HERE) < 0 < _left(_NEW) and _HERE in _found:
        os.rename(_HERE, _OLD)
    if _HERE not in os.listdir():
        os.rename(_NEW if _left(_NEW) > 0 else _OLD, _HERE)
    if _left(_HERE) > 0:
        _leave(_left(_HERE) - 1)
        # Some ports stop a timer that nothing refers to, and RP2 has none with a number.
        _timer = Timer(
            -1 if sys.platform == "rp2" else 0,
            mode=Timer.ONE_SHOT,
            period=_TRIAL_MS,
            callback=_give_up,
        )
except OSError as err:
    sys.print_exception(err)
try:
    from sensorvision.start import run

    run()
except Exception as err:
    sys.print_exception(err)
    _give_up()
