"""Keep readings on flash until the server has them, whatever becomes of the power."""

from binascii import crc32
import json
import os

import machine
from micropython import const

from . import clock
from .outbox import Outbox

_SEGMENTS = const(8)
_LONGEST_LINE = const(4096)
# In memory, while flash does not take them.
_MOST_HELD = const(100)


class Store(Outbox):
    """Readings on flash, in files that only ever grow at their end and go as a whole.

    An entry is a line of JSON and its checksum, with a line's end before and after it, so
    that damage to one, or a cut in its middle, costs no other:

    - `[number, cycle, time, variables]` is a reading. In cycle 0 times are seconds since
      1970, in others those of a clock that was not set. With the number of the one before
      it and no variables it tells that a cycle began, after one whose clock was never set.
    - `[cycle, seconds]` tells how far the clock of a cycle was off, once it was set.
    - `[number]` tells that the readings up to this one are done with.

    A cycle is as long as the clock goes on. A power cut ends it; a reset does not on ESP32,
    where the clock has power of its own. Readings of a cycle that ended before its clock was
    set never get a time.

    Args:
        directory: is made if it is missing, and holds nothing else.
        kb: how large the files may be together; then the oldest goes.
        every: after how many readings they are written.
        every_s: after how many seconds they are written at the latest.
        max_age_s: how long a reading is true, for `newest`.
    """

    def __init__(self, directory: str, kb: int, every: int, every_s: int, max_age_s: int):
        super().__init__(max_age_s, _MOST_HELD)
        self._folder = directory
        self._bytes = kb * 1024
        self._every = every
        self._every_s = every_s
        # Of each file: its number, its bytes and the last reading in it.
        self._files = []
        # What is before this in the first file is done with.
        self._offset = 0
        # The last reading on flash, and the last that is done with.
        self._written = self._done = 0
        # What makes times of stamps, by cycle.
        self._shifts = {0: 0}
        self._is_told = False
        self._open()

    @property
    def waiting(self) -> int:
        """Return how many readings wait."""
        return self._written - self._done + len(self._held)

    def put(self, variables: dict[str, int | float]) -> None:
        """Add what was measured now, by variable."""
        super().put(variables)
        self.flush(False)

    def oldest(self, limit: int) -> list[tuple]:
        """Return the first readings whose time is known: id, seconds since 1970, variables."""
        self.clock_was_set()
        self.flush(False)
        batch = []
        last = self._done
        entries = self._entries()
        for _, entry, _ in entries:
            if len(entry) == 4 and entry[0] > last:
                last, cycle, stamp, variables = entry
                if cycle in self._shifts:
                    batch.append((last, stamp + self._shifts[cycle], variables))
                if len(batch) == limit or cycle == self._undated:
                    break
        entries.close()
        batch += super().oldest(limit - len(batch))
        if not batch and clock.is_set():
            # Whatever is left can't be read, or never gets a time.
            self._pass(self._last)
        return batch

    def flush(self, at_once: bool = True) -> None:
        """Write what is held, unless flash does not take it.

        Args:
            at_once: or only if it is enough, or held for long enough.
        """
        while self._held and (
            at_once
            or len(self._held) >= self._every
            or clock.stamp() - self._held[0][1] >= self._every_s
        ):
            cycle, shift = 0, clock.jump
            if not clock.is_set():
                cycle = self._undated = self._cycle
                shift = 0
            entries = []
            for number, stamp, variables in self._held[: self._every]:
                entries.append((number, cycle, stamp + shift, variables))
            if not self._append(entries):
                return
            self._held = self._held[len(entries) :]

    def clock_was_set(self) -> None:
        """Write down how far the clock was off, for the readings that it could not date."""
        if self._undated and clock.is_set():
            self._shifts[self._undated] = clock.jump
            self._append([(self._undated, clock.jump)])
            self._undated = None

    def _open(self):
        cycle = stamp = highest = 0
        try:
            os.mkdir(self._folder)
        except OSError:
            # It is there, or the next call says what is wrong.
            pass
        try:
            for name in os.listdir(self._folder):
                if name.isdigit():
                    self._files.append([int(name), 0, 0])
        except OSError as err:
            self._complain(err)
        self._files.sort()
        for segment, entry, segment[1] in self._entries():
            if len(entry) == 4:
                segment[2], cycle, stamp, _ = entry
                if not self._written:
                    self._done = segment[2] - 1
                self._written = segment[2]
            elif len(entry) == 2:
                self._shifts[entry[0]] = entry[1]
            else:
                self._done = max(self._done, entry[0])
            highest = max(highest, cycle)
        self._written = self._last = max(self._written, self._done)
        is_open = cycle not in self._shifts and not clock.is_set()
        is_same = (
            is_open
            and clock.stamp() >= stamp
            # RP2 has neither this cause nor a clock that outlasts a reset.
            and hasattr(machine, "DEEPSLEEP_RESET")
            and machine.reset_cause() != machine.PWRON_RESET
        )
        self._cycle = cycle if is_same else highest + 1
        self._undated = cycle if is_same else None
        if is_open and not is_same:
            # Or after a reset, readings of before the power cut would be dated by its clock.
            self._append([(self._written, self._cycle, clock.stamp(), {})])

    def _entries(self):
        """Yield what is whole in the files: which of them, the entry, and where it ends."""
        offset = self._offset
        for segment in list(self._files):
            try:
                with open(self._path(segment), "rb") as file:
                    file.seek(offset)
                    while line := file.readline(_LONGEST_LINE):
                        offset += len(line)
                        line = line.strip()
                        if len(line) > 8 and line[-8:] == b"%08x" % crc32(line[:-8]):
                            yield segment, json.loads(line[:-8]), offset
            except OSError as err:
                self._complain(err)
            offset = 0

    def _append(self, entries):
        data = b""
        for entry in entries:
            line = json.dumps(entry).encode()
            data += b"\n%s%08x\n" % (line, crc32(line))
        has_readings = len(entry) == 4
        while has_readings and self._files and self._room() < len(data):
            self._drop()
        segment = self._files[-1] if self._files else [0, self._bytes, 0]
        if segment[1] * _SEGMENTS >= self._bytes:
            segment = [segment[0] + 1, 0, 0]
        try:
            with open(self._path(segment), "ab") as file:
                file.write(data)
        except OSError as err:
            self._complain(err)
            return False
        self._is_told = False
        if not segment[1]:
            self._files.append(segment)
        segment[1] += len(data)
        if has_readings:
            if self._written == self._done:
                self._done = entries[0][0] - 1
            self._written = segment[2] = entry[0]
        return True

    def _pass(self, number):
        super()._pass(number)
        before = self._done // self._every
        entries = self._entries()
        for segment, entry, end in entries:
            while self._files[0] is not segment:
                self._drop()
            if len(entry) == 4 and entry[0] > self._done:
                if entry[0] > number:
                    break
                self._done, cycle, _, _ = entry
                if cycle not in self._shifts and cycle != self._cycle:
                    self.dropped += 1
            self._offset = end
        entries.close()
        while self._files and number >= self._written:
            self._drop()
        # Not for each: after a power cut a few that are done with may come again.
        if self._files and self._done // self._every > before:
            self._append([(self._done,)])

    def _drop(self):
        segment = self._files.pop(0)
        self._offset = 0
        if segment[2] > self._done:
            self.dropped += segment[2] - self._done
            self._done = segment[2]
        try:
            os.remove(self._path(segment))
        except OSError as err:
            self._complain(err)

    def _path(self, segment):
        return f"{self._folder}/{segment[0]}"

    def _room(self):
        room = self._bytes
        for segment in self._files:
            room -= segment[1]
        return room

    def _complain(self, err):
        if not self._is_told:
            self._is_told = True
            where = f"outbox: {self._folder} fails (error {err.errno})"
            print(where + ", readings wait in memory. Free flash")
