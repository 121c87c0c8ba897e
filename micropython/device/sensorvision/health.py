"""Know what ails the board, over a reset too, and tell the server now and then.

Errors have numbers, by gravity: 1 a sensor, 2 the network, 3 the server, 4 memory, 5 a loop
that was stuck, 6 a crash, 7 the watchdog. The light blinks the first three. Who needs a number
writes it down again: a constant costs no memory only inside one module.
"""

import gc

import machine
from micropython import const

from . import clock

_WATCHDOG = const(7)
_FILE = "/last_error"


def kept(content: bytes | None = None) -> bytes:
    """Return what outlasts a reset: the last error's number, and what `power` has added.

    Args:
        content: is kept from now on.
    """
    # ESP32's clock has one; other boards write a file.
    memory = getattr(machine.RTC(), "memory", None)
    try:
        if memory:
            return memory() if content is None else memory(content)
        with open(_FILE, "rb" if content is None else "wb") as file:
            return file.read() if content is None else file.write(content)
    except OSError:
        return b""


def remember(error: int) -> None:
    """Keep an error over the reset that is about to come."""
    before = kept()
    # A board that crashes again and again must not wear its flash out.
    if not before or error > before[0]:
        kept(bytes((error,)) + before[1:])


class Health:
    """What the board says of itself, as variables beside those of its sensors.

    `reset_cause` is 1 for power, 2 for the reset button or a reset by the program, 3 for the
    watchdog, 4 for the end of a deep sleep and 5 for a soft reset, as ESP32 and RP2 both
    number them. A Pico knows only 1 and 3, which stands for each reset by the program too.

    Args:
        every_s: how often to tell, beside each time that something is new; 0 is never.

    Attributes:
        error: the gravest since the server was told last, 0 for none.
        told_s: when the server was told last, a stamp of the clock.
    """

    def __init__(self, every_s: int):
        self._every_s = every_s
        self.told_s = self._start_s = clock.stamp()
        self._cause = machine.reset_cause()
        self.error = (kept() or b"\0")[0]
        if self._cause == machine.WDT_RESET and not self.error:
            self.error = _WATCHDOG
        # The end of a sleep is nothing new.
        self._is_due = self._cause != 4 or self.error

    def note(self, error: int) -> None:
        """Take an error down, or 0 where one has gone."""
        self.error = max(self.error, error)
        self._is_due = True

    def report(self, outbox) -> None:
        """Put the board's own variables into the outbox, if it is time to."""
        now_s = clock.stamp()
        if self._every_s and (self._is_due or now_s - self.told_s >= self._every_s):
            self._is_due = False
            self.told_s = now_s
            outbox.put(
                {
                    "uptime_s": now_s - self._start_s,
                    "reset_cause": self._cause,
                    "last_error": self.error,
                    "dropped": outbox.dropped,
                    "superseded": outbox.superseded,
                    "free_memory": gc.mem_free(),
                }
            )
            if self.error:
                self.error = 0
                kept(b"\0" + kept()[1:])
