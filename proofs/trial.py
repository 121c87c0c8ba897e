"""Put a house between a driver and a server, and see what arrives."""

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

from .arrivals import Finding, judge_complete, judge_newest
from .changes import Change, Plan, drive, read_log
from .server import DEVICE_ID, USERNAME, Server
from .subject import Report, Subject, live

TOKEN = "token"  # noqa: S105
ACCOUNT = "account"
CREDENTIALS = (TOKEN, ACCOUNT)

_POLL_S = 0.01
_END_DEADLINE_S = 20

# What is imported there is there in each of its children.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", "proofs.trial"])


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


class Trial:
    """A driver, the house under test, and a server, each on its own.

    Driver and house are processes. Use it as an async context manager.

    Args:
        credential: one of `CREDENTIALS`.
        plan: what the driver does.
        directory: for the log and the databases.

    Attributes:
        server: the server, which runs in this process.
    """

    def __init__(self, credential: str, plan: Plan, directory: Path) -> None:
        self.server = Server(directory / "server.db")
        self._credential = credential
        self._plan = plan
        self._directory = directory
        self._stop_driver = _PROCESSES.Event()
        self._driver: ForkServerProcess | None = None
        self._house: ForkServerProcess | None = None
        self._reports: Connection | None = None
        self._earlier: list[Report] = []
        self._waiting = 0
        self.report = Report()

    async def __aenter__(self) -> Self:
        """Start all three, and wait until the first reading has arrived."""
        await self.server.start()
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
        await self.server.stop()

    def start_house(self) -> None:
        """Start the house, which goes on where an earlier one has stopped."""
        self._reports, theirs = _PROCESSES.Pipe(duplex=False)
        subject = Subject(
            self.server.url,
            self._directory / "outbox",
            DEVICE_ID,
            self.server.token if self._credential == TOKEN else None,
            USERNAME,
            self.server.password,
        )
        self._house = _PROCESSES.Process(
            target=live, args=(subject, self._channel, theirs)
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
        await self.server.stop()
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

    def judge(self, *, is_killed: bool = False) -> Finding:
        """Say what became of what was sent.

        Args:
            is_killed: whether the house was killed, so that it may have lost what was
                not on the disk yet.
        """
        changes, kept = self.changes()
        database = self._directory / "server.db"
        if self._credential == TOKEN:
            return judge_newest(changes, database)
        return judge_complete(
            changes, kept if is_killed else range(len(changes)), database
        )
