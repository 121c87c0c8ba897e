"""Let a driver and a house work together, each a process that may be killed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
import signal
import socket
import time
from types import TracebackType
from typing import Self

from .changes import Change, Plan, drive, read_log
from .subject import Report, Subject, live

_POLL_S = 0.01
_END_DEADLINE_S = 20

# What is imported there is there in each of its children.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", "proofs.crew"])


@dataclass(frozen=True)
class Stand:
    """What the processes under test have told, all of them in a row.

    Attributes:
        superseded: how many readings they have replaced by newer ones.
        dropped: how many there was no room for.
        refused: how many the server did not want.
        possible_duplicates: how many may be stored more than once.
        memory_kb: the most that one of them has used.
        waiting: the most that have waited.
    """

    superseded: int
    dropped: int
    refused: int
    possible_duplicates: int
    memory_kb: int
    waiting: int


class Crew:
    """A driver that reports changes, and the house under test that delivers them.

    Use it as an async context manager.

    Args:
        plan: what the driver does.
        directory: for the log and the outbox.
        subject: tells, whenever a house is started, where it delivers to.

    Attributes:
        report: what the house has told last.
    """

    def __init__(
        self, plan: Plan, directory: Path, subject: Callable[[], Subject]
    ) -> None:
        self.report = Report()
        self._plan = plan
        self._directory = directory
        self._subject = subject
        self._stop_driver = _PROCESSES.Event()
        self._driver: ForkServerProcess | None = None
        self._house: ForkServerProcess | None = None
        self._reports: Connection | None = None
        self._earlier: list[Report] = []
        self._waiting = 0

    async def __aenter__(self) -> Self:
        """Start both."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Kept here, so that what is on its way outlives a house.
        self._channel = ours
        self._driver = _PROCESSES.Process(
            target=drive,
            args=(self._plan, theirs, self._directory / "log", self._stop_driver),
        )
        with theirs:
            self._driver.start()
        self.start_house()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what is still at work."""
        for process in (self._driver, self._house):
            if process:
                process.kill()
                process.join()
        if self._reports:
            self._reports.close()
        self._channel.close()

    def start_house(self) -> None:
        """Start the house, which goes on where an earlier one has stopped."""
        self._reports, theirs = _PROCESSES.Pipe(duplex=False)
        self._house = _PROCESSES.Process(
            target=live, args=(self._subject(), self._channel, theirs)
        )
        with theirs:
            self._house.start()

    def kill_house(self) -> None:
        """End the house without a warning."""
        if not self._house or not self._reports:
            return
        self._house.kill()
        self._house.join()
        self._listen()
        self._reports.close()
        self._earlier.append(self.report)
        self.report = Report()

    async def run_on(self, seconds: float) -> None:
        """Let everything go on for a while."""
        end = time.monotonic() + seconds
        await self.until(lambda _: time.monotonic() >= end, seconds + 1)

    async def until(
        self, condition: Callable[[Report], bool], deadline_s: float
    ) -> float | None:
        """Wait until the house says that something is so.

        Returns:
            How many seconds that took, or None if it did not come about.
        """
        begun = time.monotonic()
        while time.monotonic() < begun + deadline_s:
            self._listen()
            if condition(self.report):
                return time.monotonic() - begun
            await asyncio.sleep(_POLL_S)
        return None

    def _listen(self) -> None:
        """Take note of what the house has told."""
        try:
            while self._reports and self._reports.poll():
                self.report = self._reports.recv()
                self._waiting = max(self._waiting, self.report.waiting)
        except EOFError:
            pass

    async def end_changes(self) -> None:
        """End the driver; what it has sent is on its way."""
        self._stop_driver.set()
        if self._driver:
            await asyncio.to_thread(self._driver.join, _END_DEADLINE_S)

    async def end(self) -> Stand:
        """End the house in good order, and say what all of them have told."""
        if self._house:
            self._house.terminate()
            await self.until(
                lambda _: not (self._house and self._house.is_alive()), _END_DEADLINE_S
            )
            if self._house.exitcode != 0:
                code = self._house.exitcode
                ended = signal.Signals(-code).name if code and code < 0 else code
                raise RuntimeError(f"The process under test has ended with {ended}")
        self._listen()
        reports = [*self._earlier, self.report]
        return Stand(
            sum(report.superseded for report in reports),
            sum(report.dropped for report in reports),
            sum(report.refused for report in reports),
            sum(report.possible_duplicates for report in reports),
            max(report.memory_kb for report in reports),
            self._waiting,
        )

    def changes(self) -> tuple[list[Change], set[int]]:
        """Return what was sent, and the numbers of those that survive a kill."""
        return read_log(self._directory / "log")
