"""Stand in for `select` where time is compressed: sockets are waited for, sleep is not."""

import uselect
from uselect import *  # noqa: F403

import pace

# Who has just been written to answers within this time of the host's, or not at all.
_PATIENCE_MS = 100


class poll:
    """A set of streams to wait for."""

    def __init__(self):
        self._poll = uselect.poll()
        self._streams = 0
        self._patience_ms = 0

    def register(self, stream, events=uselect.POLLIN | uselect.POLLOUT):
        """Wait for a stream too."""
        self._poll.register(stream, events)
        self._streams += 1
        self._patience_ms = _PATIENCE_MS

    def modify(self, stream, events):
        """Wait for something else of a stream."""
        self._poll.modify(stream, events)
        self._patience_ms = _PATIENCE_MS

    def unregister(self, stream):
        """Wait for a stream no more."""
        self._poll.unregister(stream)
        self._streams -= 1

    def poll(self, timeout_ms=-1):
        """Return the streams that are ready, at the latest after a while."""
        ready = self._poll.poll(0)
        if ready or not timeout_ms:
            return ready
        if self._streams and (self._patience_ms or timeout_ms < 0):
            began_ms = pace.ticks_ms()
            waiting_ms = self._patience_ms
            if timeout_ms >= 0:
                waiting_ms = min(waiting_ms, timeout_ms)
            ready = self._poll.poll(waiting_ms if timeout_ms >= 0 else -1)
            waited_ms = pace.ticks_diff(pace.ticks_ms(), began_ms)
            if ready:
                self._patience_ms = _PATIENCE_MS
                return ready
            self._patience_ms = max(0, self._patience_ms - waited_ms)
            timeout_ms -= waited_ms
        pace.jump(timeout_ms)
        return self._poll.poll(0)

    def ipoll(self, timeout_ms=-1, flags=0):
        """Return the same, for a loop."""
        return self.poll(timeout_ms)
