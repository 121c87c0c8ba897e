"""Measure what a client costs on a board: heap, garbage, writes and time.

Each measure is a program of its own on the unix port of MicroPython, compiled before, as
frozen firmware is, so that its source is no part of the measure. On a board, where
objects are half as large, less heap is enough.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from textwrap import indent

from micropython.provision.build import cross_compile

from .programs import (
    ALLOCATED,
    COUNTED_SENDS,
    FRESH,
    GROWTH,
    KEPT,
    LOADED,
    ONCE,
    REPEATED,
)

_PROGRAM = "program"
_DEADLINE_S = 120
# In too small a heap some try again without end.
_ONE_SEND_DEADLINE_S = 5
_SHOWN_CHARS = 2000
_HEAP_STEP_BYTES = 256
_MOST_HEAP_BYTES = 262144
_AMPLE_HEAP_BYTES = 4194304

# A write to what is neither standard output nor standard error.
_WRITE = re.compile(r"(?:write|writev|sendto|sendmsg)\((?![12],)")


class MeasureError(Exception):
    """A program did not do what it should; the message ends with what it printed."""


@dataclass(frozen=True)
class Client:
    """Something that sends readings from a board, as MicroPython source.

    Attributes:
        folder: where its modules are, compiled; it may be empty for what is frozen.
        imports: what a program imports of it.
        connect: makes it ready to send.
        send: sends one reading and raises if that did not work.
        close: ends its connection.
        is_async: whether these want to run in an event loop.
    """

    folder: Path
    imports: str
    connect: str
    send: str
    close: str = ""
    is_async: bool = False

    def sends(self) -> bool:
        """Tell whether it sends one reading, be it in any heap."""
        try:
            self._run(self._program(ONCE, modules=""))
        except MeasureError:
            return False
        return True

    def mpy_bytes(self) -> int:
        """Return the size of the modules in its folder that one send loads."""
        loaded = {Path(name) for name in self._run(self._program(LOADED)).split(":")}
        files = self.folder.rglob("*.mpy")
        return sum(path.stat().st_size for path in files if path in loaded)

    def import_heap_bytes(self) -> int:
        """Return the heap that its modules hold, without asyncio."""
        program = (
            "import asyncio\nimport gc\ngc.collect()\nbefore = gc.mem_alloc()\n"
            f"{self.imports}\ngc.collect()\nprint(gc.mem_alloc() - before)\n"
        )
        return int(self._run(program))

    def smallest_heap_bytes(self, too_small: int = 0) -> int:
        """Return the smallest heap in which it is imported and sends one reading.

        Args:
            too_small: bytes of a heap that is known to be.

        Raises:
            MeasureError: it can't in any heap.
        """
        with _compiled(self._program(ONCE, modules=""), self.folder) as program:
            program.output(_MOST_HEAP_BYTES)
            low = too_small // _HEAP_STEP_BYTES
            high = _MOST_HEAP_BYTES // _HEAP_STEP_BYTES
            # It is mostly found near the low end.
            step = 16
            while high - low > 1:
                middle = min(low + step, (low + high) // 2)
                step *= 2
                try:
                    program.output(
                        middle * _HEAP_STEP_BYTES, deadline_s=_ONE_SEND_DEADLINE_S
                    )
                except MeasureError:
                    low = middle
                else:
                    high = middle
        return high * _HEAP_STEP_BYTES

    def allocated_bytes(self) -> int:
        """Return how much heap one more send takes, before any of it is collected.

        Of some sends the one in the middle, which has to wait for its answer once.
        """
        return int(self._run(self._program(ALLOCATED)))

    def kept_us(self, count: int) -> int:
        """Return the median duration of sends over one connection, in microseconds.

        Args:
            count: how many to send; the first is not looked at.
        """
        return int(self._run(self._program(KEPT, count=count)))

    def fresh_us(self, count: int) -> int:
        """Return the median duration of sends with a connection each, in microseconds."""
        return int(self._run(self._program(FRESH, count=count)))

    def heaps_in_use(self, heap_bytes: int, checks: int, count: int) -> list[int]:
        """Return the bytes in use after each so many sends, in a heap of a certain size."""
        program = self._program(GROWTH, checks=checks, count=count)
        return [int(heap) for heap in self._run(program, heap_bytes).split()]

    def writes_per_send(self) -> float:
        """Return how often it calls the system to write one reading, by strace."""
        once, often = self._writes(1), self._writes(1 + COUNTED_SENDS)
        return (often - once) / COUNTED_SENDS

    def _writes(self, count: int) -> int:
        source = self._program(REPEATED, count=count)
        with (
            _compiled(source, self.folder) as program,
            tempfile.NamedTemporaryFile("r") as log,
        ):
            calls = "trace=write,writev,sendto,sendmsg"
            trace = ("strace", "-f", "-qq", "-e", calls, "-o", log.name)
            program.output(_AMPLE_HEAP_BYTES, *trace)
            return len(_WRITE.findall(log.read()))

    def _program(
        self,
        body: str,
        modules: str = "gc, time",
        *,
        is_connected: bool = True,
        **counts: int,
    ) -> str:
        inside = body.format(
            connect=self.connect,
            send=self.send,
            close=self.close,
            send_inside=indent(self.send, "    "),
            send_deeper=indent(self.send, " " * 8),
            connect_inside=indent(self.connect, "    "),
            close_inside=indent(self.close, "    "),
            **counts,
        )
        main = indent(f"{self.connect}\n{inside}" if is_connected else inside, "    ")
        imports = f"import {modules}\n{self.imports}" if modules else self.imports
        if self.is_async:
            head = f"import asyncio\n{imports}\nasync def main():\n"
            return f"{head}{main}\nasyncio.run(main())\n"
        return f"{imports}\ndef main():\n{main}\nmain()\n"

    def _run(self, source: str, heap_bytes: int = _AMPLE_HEAP_BYTES) -> str:
        with _compiled(source, self.folder) as program:
            return program.output(heap_bytes)


@dataclass(frozen=True)
class _Program:
    """A compiled program in a folder of its own, beside a client's modules."""

    folder: Path
    modules: Path

    def output(
        self, heap_bytes: int, *prefix: str, deadline_s: float = _DEADLINE_S
    ) -> str:
        """Return the last line that it prints.

        Raises:
            MeasureError: it printed nothing, did not end well, or did not end.
        """
        try:
            done = subprocess.run(
                [
                    *prefix,
                    str(Path(sys.executable).with_name("micropython")),
                    *("-X", f"heapsize={heap_bytes}", "-m", _PROGRAM),
                ],
                cwd=self.folder,
                env={**os.environ, "MICROPYPATH": f":.frozen:{self.modules}"},
                capture_output=True,
                text=True,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MeasureError(f"It did not end within {deadline_s} s") from None
        if done.returncode or not done.stdout.strip():
            raise MeasureError(f"{done.stdout}{done.stderr}"[-_SHOWN_CHARS:])
        return done.stdout.strip().splitlines()[-1]


@contextmanager
def _compiled(source: str, modules: Path) -> Iterator[_Program]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = folder / "source.py"
        written.write_text(source, encoding="utf-8")
        cross_compile(written, folder / f"{_PROGRAM}.mpy", f"{_PROGRAM}.py")
        written.unlink()
        yield _Program(folder, modules)
