"""Put a house between a driver and a server, and see what arrives."""

from pathlib import Path
from types import TracebackType
from typing import Self

from .arrivals import Finding, judge_complete, judge_newest
from .changes import Plan
from .crew import Crew, Stand
from .server import DEVICE_ID, USERNAME, Server
from .subject import ServerSubject

TOKEN = "token"  # noqa: S105
ACCOUNT = "account"
CREDENTIALS = (TOKEN, ACCOUNT)


class Trial(Crew):
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
        super().__init__(plan, directory, self._delivering)
        self.server = Server(directory / "server.db")
        self._credential = credential

    async def __aenter__(self) -> Self:
        """Start all three."""
        await self.server.start()
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what is still at work."""
        await super().__aexit__(exc_type, exc, traceback)
        await self.server.stop()

    async def end(self) -> Stand:
        """End the house in good order and the server, and say what all houses have told."""
        stand = await super().end()
        await self.server.stop()
        return stand

    def _delivering(self) -> ServerSubject:
        return ServerSubject(
            self.server.url,
            self._directory / "outbox",
            DEVICE_ID,
            self.server.token if self._credential == TOKEN else None,
            USERNAME,
            self.server.password,
        )

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
