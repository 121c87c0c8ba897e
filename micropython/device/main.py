"""Start the node; before that, finish or undo an update, so that a whole version runs.

An update never replaces this file. Which version runs is told by the names of directories
alone, and renaming one is a single step on littlefs:

- `/sensorvision` runs. While it is on trial, `trial` in it says how much of that is left.
- `/sensorvision.new` waits for its first start, or has nothing left of its trial and is
  kept as the version that failed; without `trial` it is not complete.
- `/sensorvision.old` ran before, and comes back when the new one fails.
"""

import os
import sys

import machine
from micropython import const

_HERE = "/sensorvision"
_NEW = "/sensorvision.new"
_OLD = "/sensorvision.old"

# `sensorvision.staging` grants 24: three starts, or more for a board that sleeps deeply,
# which starts for each of its readings and may not send them all.
_START_COST = const(8)
_WAKE_COST = const(1)
# A minute more than the node is granted to give up in order.
_TRIAL_MS = const(660000)


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


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


def _settle():
    if not _left(_HERE) and _exists(_OLD):
        print("update: this version failed; the one before comes back")
        os.rename(_HERE, _NEW)
    elif _left(_HERE) < 0 < _left(_NEW) and _exists(_HERE):
        os.rename(_HERE, _OLD)
    if not _exists(_HERE):
        os.rename(_NEW if _left(_NEW) > 0 else _OLD, _HERE)


def _give_up(_=None):
    if _left(_HERE) >= 0:
        _leave(0)
        machine.reset()


def _try_out():
    left = _left(_HERE)
    if left <= 0:
        return None
    is_wake = machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None)
    _leave(max(0, left - (_WAKE_COST if is_wake else _START_COST)))
    try:
        timer = machine.Timer(-1)
    except ValueError:
        # This port has only those of the chip.
        timer = machine.Timer(0)
    timer.init(mode=machine.Timer.ONE_SHOT, period=_TRIAL_MS, callback=_give_up)
    return timer


try:
    _settle()
    # Some ports stop a timer that nothing refers to.
    _timer = _try_out()
except OSError as err:
    print("update:", err)
try:
    from sensorvision.start import run

    run()
except Exception as err:
    sys.print_exception(err)
    _give_up()
