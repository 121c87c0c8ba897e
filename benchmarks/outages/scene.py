"""An exporter, its server, and a Home Assistant that has one life after another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import time
from typing import Any

from benchmarks.exporters.answering import Answering
from benchmarks.exporters.destination import Destination, running_destination
from benchmarks.exporters.trial import Home, show_all

from .exporters import Exporter
from .judgement import Change, Judgement, judge

_KB_PER_MB = 1024


@dataclass
class Costs:
    """What the processes of Home Assistant have taken.

    Attributes:
        cpu_s: processor time since they were ready, in seconds.
        peak_mb: the most memory that one of them ever had, in MiB.
    """

    cpu_s: float = 0
    peak_mb: float = 0


class Scene:
    """An exporter, its server, and a Home Assistant that has one life after another.

    Attributes:
        destination: the server.
        costs: of the lives that were measured.
    """

    def __init__(
        self, exporter: Exporter, home: Home, destination: Destination
    ) -> None:
        """Have no life yet."""
        self.destination = destination
        self.costs = Costs()
        self._exporter = exporter
        self._home = home
        self._log = home.folder / "changes.jsonl"
        # The number of the next change, and of the first that counts.
        self._next = 1
        self._first: int | None = None
        self._lives = AsyncExitStack()

    async def start(self, **changes: Any) -> Life:
        """Start Home Assistant on what an earlier life has left.

        In its first life it has shown a number of each sensor already.

        Args:
            changes: of its order.
        """
        mode = self._exporter.mode
        if self._first is None and mode.is_ours:
            self._next = await self._home.tell_names(self.destination)
        life = self._home.life(
            self.destination,
            self._next,
            configuration=self._exporter.configuration,
            log=str(self._log),
            is_log_safe=True,
            **changes,
        )
        subject = await self._lives.enter_async_context(life)
        if self._first is None:
            if mode.exports:
                await show_all(subject, self.destination, self._home.sensors)
                self._next += self._home.sensors
            self._first = self._next
        await subject.tell(do="begin")
        return Life(self, subject)

    def count_on(self, changes: int) -> None:
        """Note how many changes a life was asked for."""
        self._next += changes

    async def end(self) -> None:
        """Kill what still lives."""
        await self._lives.aclose()

    async def judge(self) -> Judgement:
        """Return what has become of all changes so far."""
        lines = await asyncio.to_thread(self._log.read_text)
        changes = [Change(*json.loads(line)) for line in lines.splitlines()]
        return judge(
            [change for change in changes if change.number >= (self._first or 0)],
            await self.destination.received(),
            sensors=self._home.sensors,
            sends_newest_alone=self._exporter.mode.sends_newest_alone,
        )


@dataclass(frozen=True)
class Life:
    """A running Home Assistant."""

    _scene: Scene
    _subject: Answering

    async def pace(self, count: int, rate_hz: float) -> None:
        """Let states change, and return after the last."""
        self._scene.count_on(count)
        await self._subject.tell(do="pace", count=count, rate_hz=rate_hz)

    async def measure(self) -> None:
        """Add what it has taken to the costs."""
        found = await self._subject.tell(do="measure")
        costs = self._scene.costs
        costs.cpu_s += found["process_cpu_s"]
        costs.peak_mb = max(costs.peak_mb, found["max_rss_kb"] / _KB_PER_MB)

    async def stop(self) -> float:
        """Stop it, and return after how many seconds its process has ended."""
        begun = time.monotonic()
        await self._subject.tell(do="stop")
        await self._subject.process.wait()
        return time.monotonic() - begun

    async def kill(self) -> float:
        """Kill it with SIGKILL, and return when, in seconds since 1970 (UTC)."""
        at = time.time()
        self._subject.process.kill()
        await self._subject.process.wait()
        return at


@asynccontextmanager
async def on_scene(
    exporter: Exporter, folder: Path, sensors: int
) -> AsyncIterator[Scene]:
    """Run an exporter's server, and whatever lives of Home Assistant there are.

    Args:
        exporter: what exports.
        folder: an empty one.
        sensors: how many there are.
    """
    async with running_destination(exporter.mode, folder) as destination:
        scene = Scene(exporter, Home(exporter.mode, folder, sensors), destination)
        try:
            yield scene
        finally:
            await scene.end()
