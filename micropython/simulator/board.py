"""Run a simulated board from Python, without a terminal in between."""

import asyncio
from collections.abc import Callable
import contextlib
from pathlib import Path
import time
from types import TracebackType
from typing import Self, cast

from micropython.provision.manifest import stage
from micropython.simulator import process
from micropython.simulator.clock import Clock
from micropython.simulator.world import World, write_world

_WATCH_INTERVAL_S = 0.1


class SimulatedBoard:
    """A board that is on between `start` and `stop`.

    Its flash is the directory `flash` in the given one, where `stage` in
    `micropython.manifest` puts the port's files; its world is a file beside it.

    Args:
        directory: where flash and world are kept.
        world: what surrounds the board, see `micropython.simulator.world`.
        heap: the board's memory, such as `192k`.
        clock: its time, if that is to jump where the board only waits.
        has_image: whether its flash is a littlefs in a file, as on a board; `stage` puts
            there what the directory `flash` holds.

    Attributes:
        flash: the directory that the board has as its file system.
        lines: everything that the board has printed.
        resets: how often it has started again.
        wakes: how often it has woken from a deep sleep.
        bites_ms: when of the resets the watchdog was why, in milliseconds since 1970.
        started_ms: when its program was started last.
        has_lost_power: whether it is off because its world took its power away.
    """

    def __init__(
        self,
        directory: Path,
        world: World,
        *,
        heap: str = "192k",
        clock: Clock | None = None,
        has_image: bool = False,
    ) -> None:
        self.flash = directory / "flash"
        self._image = directory / "flash.img" if has_image else None
        self._clock = clock
        self.lines: list[str] = []
        self.resets = 0
        self.wakes = 0
        self.bites_ms: list[int] = []
        self.started_ms = 0
        self.has_lost_power = False
        self._world = directory / "world.json"
        self._heap = heap
        self._task: asyncio.Task[None] | None = None
        self._printed = asyncio.Condition()
        self._off = asyncio.Event()
        self.flash.mkdir(parents=True, exist_ok=True)
        self.change_world(world)

    def stage(self, settings: str) -> None:
        """Put the port's files and these settings, as JSON text, onto the flash."""
        stage(self.flash)
        (self.flash / "settings.json").write_text(settings, encoding="utf-8")
        self.fill()

    def fill(self) -> None:
        """Make the image of the flash anew, if it has one, from the directory."""
        if self._image:
            process.fill(self._image, self.flash, self._world)

    def change_world(self, world: World) -> None:
        """Surround the board with something else from now on."""
        write_world(self._world, world)

    @property
    def pin_changes(self) -> list[str]:
        """Return each change of a pin in the world's `watched_pins`: number and level."""
        log = process.pin_log(self._world)
        return log.read_text(encoding="ascii").splitlines() if log.exists() else []

    async def start(self) -> None:
        """Switch the board on."""
        self._off.clear()
        process.rtc_memory(self._world).unlink(missing_ok=True)
        self.has_lost_power = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Cut the board's power."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def __aenter__(self) -> Self:
        """Switch the board on."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cut the board's power."""
        await self.stop()

    @property
    def is_on(self) -> bool:
        """Tell whether its program runs, or is about to be started again."""
        return self._task is not None and not self._off.is_set()

    async def wait_for_line(
        self, text: str, timeout_s: float = 15, *, after: int = 0
    ) -> str:
        """Return the first line that holds a text, from line number `after` on.

        Raises:
            TimeoutError: no such line came in time; the error tells what did.
        """

        def find() -> str | None:
            return next((line for line in self.lines[after:] if text in line), None)

        try:
            async with asyncio.timeout(timeout_s), self._printed:
                await self._printed.wait_for(lambda: find() is not None)
        except TimeoutError:
            raise TimeoutError(
                f"no line with {text!r} in {self.lines[after:]}"
            ) from None
        return str(find())

    async def wait_until_off(self, timeout_s: float = 30) -> None:
        """Wait until the program on the board has come to its end.

        Raises:
            TimeoutError: it still runs; the error tells what it has printed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._off.wait()
        except TimeoutError:
            raise TimeoutError(f"the board still runs: {self.lines}") from None

    def _now_ms(self) -> int:
        return self._clock.now_ms() if self._clock else time.time_ns() // 1_000_000

    async def _run(self) -> None:
        watchdog = process.Watchdog()
        try:
            cause: int | None = process.POWER_ON
            while cause is not None:
                cause = await self._run_once(watchdog, cause)
                self.wakes += cause == process.DEEP_SLEEP
                self.resets += cause not in (None, process.DEEP_SLEEP)
        finally:
            self._off.set()
            watchdog.close()

    async def _run_once(self, watchdog: process.Watchdog, cause: int) -> int | None:
        self.started_ms = self._now_ms()
        child = await asyncio.create_subprocess_exec(
            *process.command(self._heap),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=[watchdog.feeding_end],
            # MicroPython resolves relative paths on a host's directory from here.
            cwd=self.flash,
            env=process.environment(
                self._image or self.flash,
                self._world,
                watchdog.feeding_end,
                reset_cause=cause,
                clock=self._clock.path if self._clock else None,
            ),
        )
        printed = cast("asyncio.StreamReader", child.stdout)
        has_bitten = False

        def bite() -> None:
            nonlocal has_bitten
            has_bitten = True
            child.kill()

        try:
            async with asyncio.TaskGroup() as tasks:
                guard = tasks.create_task(_guard(watchdog, bite))
                async for line in printed:
                    async with self._printed:
                        self.lines.append(line.decode(errors="replace").rstrip())
                        self._printed.notify_all()
                guard.cancel()
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            code = await child.wait()
        self.has_lost_power = watchdog.has_lost_power
        watchdog.reset()
        if self.has_lost_power:
            return None
        if has_bitten:
            self.bites_ms.append(self._now_ms())
            return process.WATCHDOG
        return process.cause_of(code)


async def _guard(watchdog: process.Watchdog, bite: Callable[[], None]) -> None:
    now = asyncio.get_running_loop().time
    while True:
        left_s = watchdog.bites_in_s(now())
        if left_s is not None and left_s <= 0:
            bite()
            return
        await asyncio.sleep(_WATCH_INTERVAL_S)
