"""Count what work asks of Python and of the disk, without a clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import gc
from itertools import count
import os
from pathlib import Path
import sqlite3
import sys
import tracemalloc
from types import CodeType
from typing import Any

import pytest

_INTEGRATION = Path(__file__).resolve().parent.parent / "custom_components/sensorvision"


class Calls:
    """How many functions of the integration were called, as far as was counted."""

    def __init__(self) -> None:
        """Begin with none."""
        self.total = 0
        # Adds up over threads.
        self._more = count()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count until the block ends; what goes on in other threads counts, too."""
        monitoring = sys.monitoring
        folder = f"{_INTEGRATION}{os.sep}"

        def begun(code: CodeType, _offset: int) -> object:
            if not code.co_filename.startswith(folder):
                return monitoring.DISABLE
            next(self._more)
            return None

        monitoring.use_tool_id(monitoring.PROFILER_ID, "budgets")
        monitoring.register_callback(
            monitoring.PROFILER_ID, monitoring.events.PY_START, begun
        )
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.PY_START)
        try:
            yield
        finally:
            monitoring.set_events(monitoring.PROFILER_ID, 0)
            monitoring.free_tool_id(monitoring.PROFILER_ID)
            self.total = next(self._more)


@dataclass
class Statements:
    """What SQLite did to the files of outboxes.

    Attributes:
        commits: how many transactions came to their end.
    """

    commits: int = 0
    _opened: list[sqlite3.Connection] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return how many rows were written, changed or deleted."""
        return sum(connection.total_changes for connection in self._opened)

    def follow(self, connection: sqlite3.Connection) -> None:
        """Count what a connection does."""
        self._opened.append(connection)
        connection.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        self.commits += statement == "COMMIT"


def follow_outboxes(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Count what SQLite does to the files of outboxes that are opened from now on."""
    statements = Statements()
    connect = sqlite3.connect

    def connect_counted(path: str, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
        is_outbox = path.endswith("outbox")
        if is_outbox:
            # So that its rows can be asked for from the test's thread.
            options["check_same_thread"] = False
        connection: sqlite3.Connection = connect(path, **options)
        if is_outbox:
            statements.follow(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_counted)
    return statements


@contextmanager
def tracing() -> Iterator[None]:
    """Let it be known until the block ends who has allocated what."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def blocks_of_integration() -> int:
    """Return how many blocks the integration holds of those allocated since `tracing`."""
    gc.collect()
    ours = tracemalloc.Filter(True, f"{_INTEGRATION}{os.sep}*")
    return len(tracemalloc.take_snapshot().filter_traces([ours]).traces)
