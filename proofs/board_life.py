"""Let a board live for a week with faults at random, and see that no reading is lost.

Real MicroPython runs the port from a littlefs, with a BME280 played at its bus, and
publishes over MQTT to a real Mosquitto through a line that stalls and breaks. Its time
jumps where it only waits, so that a week takes minutes. Wi-Fi goes, the broker is killed,
the sensor hangs until the watchdog bites, power goes, also in the middle of a write to
flash, and the clock can't be set afterwards. Each measurement that the sensor has handed
out must come out of the broker, with its time.

A board may forget what was in its memory alone when its power went, which is never older
than its settings say, and can't send what it measured where it never knew the time. Both
are shown apart. The last part of the time has no loss of power, so that the board's memory
can be watched.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
import json
from math import exp, log
from pathlib import Path
from random import Random
from statistics import median_low
import tempfile

import aiomqtt
from rich.console import Console
from rich.table import Table

from benchmarks.mosquitto import Mosquitto
from demo.processes import StartError
from micropython.simulator import Clock, SimulatedBoard, bme280, wlan

from .board_judgement import FIRST, STEPS, Course, Fate, Measurement, judge, read_log
from .tap import Tap
from .verdict import Verdict

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

_INTERVAL_S = 60
_EVERY = 10
_EVERY_S = 300
# What is in memory is written before it is older than this; a measurement takes a while.
_IN_MEMORY_MS = (min(_EVERY * _INTERVAL_S, _EVERY_S) + 10) * 1000

_QUIET_MINUTES = (5, 90)
_SECOND_CUTS = 0.5
_CUTS_IN_A_WRITE = 0.5
_CALM_SHARE = 0.4
# After an hour without success the board starts again, and its memory is as new; one that
# sleeps tries again only after as long again.
_MOST_CALM_MINUTES = 20
# The longest pause between two tries, and what joining and asking take.
_TIME_TO_ASK_MS = 10 * _MINUTE_MS
_MOST_WRITES_BEFORE = 20
_BYTES_OF_A_FEW_MESSAGES = 600
_A_FEW_MINUTES_MS = 5 * _MINUTE_MS
_LONGEST_STEP_S = 0.02

_DRAIN_STEP_MS = 10 * _MINUTE_MS
_DRAIN_STEPS = 36
_LONGEST_STANDSTILL_S = 60
_START_TIMEOUT_S = 20

_LEAST_SENT_A_DAY = 1100
_LEAST_FAULTS_A_DAY = 8
# What the board says when it starts again on purpose, after long without success.
_GIVES_UP = "delivered for an hour"

_PARTS = 4
_LEAST_WATCHED_SHARE = 0.3
_MOST_HEAP_GROWTH = 2048

_TOPIC = "indcloud/devices/+/telemetry"
_STARTS_AT_S = 946_684_800


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--days", type=float, default=7, help="how long in its time (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of what goes wrong (%(default)s)"
    )
    parser.add_argument(
        "--sleep",
        choices=("light", "deep"),
        help="how the board sleeps between readings; it does not without",
    )
    parser.add_argument("--console", type=Path, help="takes what the board has printed")


async def run(options: argparse.Namespace) -> Verdict:
    """Let a board live, and judge."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-life-") as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        await broker.start()
        tap = Tap(broker.port)
        ear = Ear(broker.port)
        life = Life(folder, broker, tap, ear, Random(options.seed), options.sleep)
        try:
            await ear.listen()
            async with tap.listening():
                end_ms = await life.live(int(options.days * _DAY_MS))
        finally:
            await ear.stop()
            await broker.kill()
            if options.console:
                console = "\n".join(life.board.lines)
                await asyncio.to_thread(options.console.write_text, console, "utf-8")
        measured = await asyncio.to_thread(read_log, life.log)
    fate = judge(measured, end_ms, ear.heard, tap.acknowledged, life.course)
    _print_days(fate, life)
    growth, watched_days = _heap_growth(fate.sent, life.board.started_ms)
    flaws = list(life.flaws)
    if growth > _MOST_HEAP_GROWTH:
        flaws.append(f"The board's memory has grown by {growth} bytes.")
    # From a deep sleep a board starts anew.
    is_watched = options.sleep != "deep"
    if is_watched and watched_days < options.days * _LEAST_WATCHED_SHARE:
        flaws.append("The board's memory was watched for too short a time.")
    if fate.mistimed:
        flaws.append(f"{len(fate.mistimed)} readings were told with another's time.")
    if fate.unknown:
        flaws.append(f"{fate.unknown} messages tell what was never measured.")
    return Verdict(
        sent=len(fate.sent),
        delivered=len(fate.delivered),
        superseded=0,
        lost=len(fate.lost),
        duplicated=fate.copies.total(),
        faults=len(life.faults),
        least_sent=int(options.days * _LEAST_SENT_A_DAY),
        least_faults=int(options.days * _LEAST_FAULTS_A_DAY),
        flaws=flaws,
        extra={
            "seed": options.seed,
            "sleep": options.sleep,
            "days": options.days,
            "lost_by_design": len(fate.forgotten),
            "in_memory_at_most_s": _IN_MEMORY_MS // 1000,
            "dropped": len(fate.dropped),
            "acknowledged_and_not_told": len(fate.acknowledged),
            "power_cuts": life.power_cuts,
            "resets": life.board.resets,
            "watchdog_resets": len(life.board.bites_ms),
            "faults_by_kind": life.faults_by_kind(),
            "heap_growth": growth,
            "heap_watched_days": round(watched_days, 2),
        },
    )


class Ear:
    """A subscriber that keeps what it hears.

    Args:
        port: where the broker listens on this machine.

    Attributes:
        heard: the messages.
    """

    def __init__(self, port: int) -> None:
        self.heard: list[bytes] = []
        self._port = port
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Begin, and return as soon as nothing is missed any more.

        Raises:
            StartError: the broker can't be subscribed to.
        """
        has_subscribed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(has_subscribed))
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await has_subscribed.wait()
        except TimeoutError:
            raise StartError("The proof can't subscribe to its broker") from None

    async def until_deaf(self) -> None:
        """Wait until what was left of a broker that was killed has been heard."""
        if self._listening:
            await asyncio.wait([self._listening], timeout=_START_TIMEOUT_S)

    async def stop(self) -> None:
        """Listen no more."""
        if self._listening:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self, has_subscribed: asyncio.Event) -> None:
        # A broker that is killed ends it.
        with suppress(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", self._port) as client:
                await client.subscribe(_TOPIC, qos=1)
                has_subscribed.set()
                async for message in client.messages:
                    self.heard.append(bytes(message.payload))


class Life:
    """A board, what surrounds it, and what goes wrong.

    Args:
        folder: for the board's flash and the sensor's log.
        broker: where its readings go.
        tap: the way there.
        ear: hears what comes out of the broker.
        random: draws what goes wrong.
        sleep: how the board sleeps between readings, or None.

    Attributes:
        board: the board.
        log: the sensor's log.
        faults: when something went wrong, in the board's time, and what.
        power_cuts: how often of these the power went.
        flaws: what should never be.
        course: what may excuse the board.
    """

    def __init__(
        self,
        folder: Path,
        broker: Mosquitto,
        tap: Tap,
        ear: Ear,
        random: Random,
        sleep: str | None,
    ) -> None:
        self.log = folder / "bus.log"
        self.faults: list[tuple[int, str]] = []
        self.power_cuts = 0
        self._broker = broker
        self._tap = tap
        self._ear = ear
        self._random = random
        self._sleep = sleep
        self._clock = Clock(folder / "clock")
        self._begin_ms = self._clock.now_ms()
        self._has_wifi = self._has_ntp = True
        self._sensor = "well"
        self._calm_ms = self._begin_ms
        self._writes_left: int | None = None
        self._cuts_ms: list[int] = []
        self._timeless_ms: list[tuple[int, int]] = []
        self._on_since_ms = self._begin_ms
        self._could_ask_ms = 0
        self.board = SimulatedBoard(
            folder / "board",
            self._world(),
            clock=self._clock,
            has_image=True,
        )

    @property
    def course(self) -> Course:
        """Return what the board went through."""
        cuts_ms = sorted(self._cuts_ms + self.board.bites_ms)
        return Course(cuts_ms, self._timeless_ms, _IN_MEMORY_MS)

    @property
    def flaws(self) -> list[str]:
        """Return what should never be."""
        crashes = Counter(
            line for line in self._last_lines_of_crashes() if _GIVES_UP not in line
        )
        return [
            f"The board has crashed {count} times: {line}"
            for line, count in crashes.items()
        ]

    def _last_lines_of_crashes(self) -> Iterator[str]:
        """Yield what each error that has ended the program was."""
        is_traceback = False
        for line in self.board.lines:
            if line.startswith("Traceback"):
                is_traceback = True
            elif is_traceback and not line.startswith(" "):
                is_traceback = False
                yield line

    @property
    def _has_cuts(self) -> bool:
        return self._clock.now_ms() < self._calm_ms

    def day_of(self, at_ms: int) -> int:
        """Return the day of the board's life, from 1 on."""
        return (at_ms - self._begin_ms) // _DAY_MS + 1

    def faults_by_kind(self) -> dict[str, int]:
        """Return how often each has happened."""
        kinds = [kind for _, kind in self.faults]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    async def live(self, lasting_ms: int) -> int:
        """Let it live, and have everything sent in the end.

        Returns:
            The end, in milliseconds since 1970.

        Raises:
            StartError: the board does not go on.
        """
        self.board.stage(json.dumps(self._settings()))
        end_ms = self._begin_ms + lasting_ms
        self._calm_ms = end_ms - int(lasting_ms * _CALM_SHARE)
        await self.board.start()
        try:
            while self._clock.now_ms() < end_ms:
                await self._pass(self._random.uniform(*_QUIET_MINUTES))
                await self._go_wrong()
            end_ms = self._clock.now_ms()
            await self._drain(end_ms)
        finally:
            await self.board.stop()
        return end_ms

    async def _drain(self, end_ms: int) -> None:
        """Give the board time to send what waits, for as long as something is missing."""
        for _ in range(_DRAIN_STEPS):
            await self._pass(_DRAIN_STEP_MS / _MINUTE_MS)
            # The broker has told all that it has as soon as it has had a moment.
            await asyncio.sleep(0.1)
            fate = judge(
                read_log(self.log),
                end_ms,
                self._ear.heard,
                self._tap.acknowledged,
                self.course,
            )
            if not fate.lost:
                return

    async def _go_wrong(self) -> None:
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "wifi_gone": self._lose_wifi,
            "broker_killed": self._kill_broker,
            "line_stalled": self._stall_line,
            "line_cut": self._cut_line,
            "sensor_gone": self._lose_sensor,
        }
        if self._has_cuts:
            kinds |= {
                "sensor_hangs": self._hang_sensor,
                "power_cut": self._lose_power,
                "power_cut_in_a_write": self._lose_power_in_a_write,
                "power_cut_and_no_time": self._lose_power_and_time,
                "power_cuts_and_no_time": self._lose_power_and_time_and_power,
            }
        kind = self._random.choice([*kinds])
        self._note(kind)
        await kinds[kind]()

    async def _lose_wifi(self) -> None:
        await self._in_the_middle()
        self._has_wifi = False
        self._change_world()
        # What is under way is lost without a word.
        await self._in_the_middle()
        self._tap.flowing.clear()
        await self._last(1, 600)
        await self._tap.drop()
        self._tap.flowing.set()
        self._has_wifi = True
        self._change_world()

    async def _kill_broker(self) -> None:
        await self._in_the_middle()
        await self._broker.kill()
        self._tap.is_open = False
        await self._ear.until_deaf()
        await self._last(1, 240)
        await self._broker.start()
        await self._ear.listen()
        self._tap.is_open = True

    async def _stall_line(self) -> None:
        await self._in_the_middle()
        self._tap.flowing.clear()
        await self._last(1, 60)
        self._tap.flowing.set()

    async def _cut_line(self) -> None:
        self._tap.cut_in = self._random.randint(1, _BYTES_OF_A_FEW_MESSAGES)
        await self._last(5, 10)

    async def _lose_sensor(self) -> None:
        self._sensor = "gone"
        self._change_world()
        await self._last(1, 30)
        self._sensor = "well"
        self._change_world()

    async def _hang_sensor(self) -> None:
        self._sensor = "hangs"
        self._change_world()
        await self._pass(self._random.uniform(1.2, 3))
        self._sensor = "well"
        self._change_world()

    async def _lose_power(self) -> None:
        await self._cut()

    async def _lose_power_in_a_write(self) -> None:
        await self._pass_to_a_write(60)

    async def _lose_power_and_time(self) -> None:
        self._has_ntp = False
        self._change_world()
        await self._cut()
        await self._last(5, 180)
        self._has_ntp = True
        self._change_world()

    async def _lose_power_and_time_and_power(self) -> None:
        self._has_ntp = False
        self._change_world()
        await self._cut()
        await self._last(5, 60)
        await self._cut()
        self._has_ntp = True
        self._change_world()

    async def _last(self, least: float, most: float) -> None:
        """Let minutes pass, short times more often than long ones, at times with a cut."""
        if self._has_cuts:
            left = (self._calm_ms - self._clock.now_ms()) / _MINUTE_MS
            most = max(least, min(most, left))
        else:
            most = min(most, _MOST_CALM_MINUTES)
        minutes = exp(self._random.uniform(log(least), log(most)))
        if self._has_cuts and self._random.random() < _SECOND_CUTS:
            before = minutes * self._random.random()
            await self._pass(before)
            minutes -= before
            if self._random.random() < _CUTS_IN_A_WRITE:
                self._note("power_cut_in_a_write")
                await self._pass_to_a_write(minutes)
                return
            self._note("power_cut")
            await self._cut()
        await self._pass(minutes)

    async def _pass_to_a_write(self, minutes: float) -> None:
        """Let minutes pass, and have power go in the middle of a write to flash."""
        self._writes_left = self._random.randint(0, _MOST_WRITES_BEFORE)
        self._change_world()
        await self._pass(minutes)
        self._writes_left = None
        self._change_world()

    async def _pass(self, minutes: float) -> None:
        """Let minutes pass, and give the board its power back where that has gone."""
        end_ms = self._clock.now_ms() + int(minutes * _MINUTE_MS)
        while True:
            before_ms = self._clock.now_ms()
            try:
                async with asyncio.timeout(_LONGEST_STANDSTILL_S):
                    has_passed = await self._clock.reach(
                        end_ms, lambda: self.board.is_on
                    )
            except TimeoutError:
                last = self.board.lines[-5:]
                raise StartError(f"The board's time stands still: {last}") from None
            if self._has_wifi and self._has_ntp:
                self._could_ask_ms += self._clock.now_ms() - before_ms
            if has_passed:
                return
            if not self.board.has_lost_power:
                raise StartError(f"The board has ended: {self.board.lines[-5:]}")
            self._writes_left = None
            self._change_world()
            await self._lose()

    async def _cut(self) -> None:
        """Take the board's power away, whatever it is doing."""
        await self._in_the_middle()
        await self._lose()

    async def _in_the_middle(self) -> None:
        """Come to a moment at which the board may be doing anything."""
        self._clock.allow(self._clock.now_ms() + _A_FEW_MINUTES_MS)
        await asyncio.sleep(self._random.uniform(0, _LONGEST_STEP_S))

    async def _lose(self) -> None:
        """Have the board without power for a while."""
        await self.board.stop()
        now_ms = self._clock.now_ms()
        self.power_cuts += 1
        self._cuts_ms.append(now_ms)
        if self._could_ask_ms < _TIME_TO_ASK_MS:
            self._timeless_ms.append((self._on_since_ms, now_ms))
        self._could_ask_ms = 0
        off_minutes = self._random.choice((0, self._random.uniform(0, 30)))
        self._clock.jump(now_ms + int(off_minutes * _MINUTE_MS))
        self._on_since_ms = self._clock.now_ms()
        await self.board.start()

    def _note(self, kind: str) -> None:
        self.faults.append((self._clock.now_ms(), kind))

    def _change_world(self) -> None:
        self.board.change_world(self._world())

    def _world(self) -> dict[str, object]:
        chip = bme280([FIRST], steps=STEPS, log=self.log)
        chip["blocks"] = self._sensor == "hangs"
        world: dict[str, object] = {
            "i2c": [] if self._sensor == "gone" else [chip],
            "wlan": wlan() if self._has_wifi else wlan([1000]),
            "ntp": self._has_ntp,
            "clock": {"epoch": 2000, "starts": _STARTS_AT_S},
            "rtc_memory": True,
        }
        if self._writes_left is not None:
            world["writes_left"] = self._writes_left
        return world

    def _settings(self) -> dict[str, object]:
        return {
            "url": f"mqtt://127.0.0.1:{self._tap.port}",
            "token": "11111111-1111-4111-8111-111111111111",
            "device_id": "greenhouse",
            "interval_s": _INTERVAL_S,
            "wifi": {"ssid": "home", "password": "secret-of-wifi"},
            "sensors": [{"type": "bme280"}],
            "sleep": self._sleep,
            "store": {"kb": 128, "every": _EVERY, "every_s": _EVERY_S},
        }


def _print_days(fate: Fate, life: Life) -> None:
    """Print what became of each day's readings."""
    table = Table(title="a board's days")
    for heading in (
        "day",
        "sent",
        "delivered",
        "lost by design",
        "dropped",
        "lost",
        "duplicated",
        "faults",
        "memory used",
    ):
        table.add_column(heading, justify="right")
    for day in sorted({life.day_of(each.at_ms) for each in fate.sent}):
        sent = [each for each in fate.sent if life.day_of(each.at_ms) == day]
        numbers = {each.number for each in sent}
        table.add_row(
            str(day),
            str(len(sent)),
            *(
                str(len(numbers & some))
                for some in (
                    fate.delivered | fate.acknowledged,
                    fate.forgotten,
                    fate.dropped,
                    fate.lost,
                )
            ),
            str(sum(fate.copies[number] for number in numbers)),
            str(sum(life.day_of(at_ms) == day for at_ms, _ in life.faults)),
            str(median_low(each.heap_bytes for each in sent)),
        )
    Console(stderr=True, width=120).print(table)


def _heap_growth(sent: Sequence[Measurement], started_ms: int) -> tuple[int, float]:
    """Return by how many bytes memory has grown since the last start, and in how many days.

    What is in use differs with what is under way, hence the median of the first and the
    last part of the time.
    """
    watched = [each for each in sent if each.at_ms > started_ms]
    if len(watched) < _PARTS:
        return 0, 0
    part = len(watched) // _PARTS
    first, last = (
        median_low(each.heap_bytes for each in some)
        for some in (watched[:part], watched[-part:])
    )
    return last - first, (watched[-1].at_ms - watched[0].at_ms) / _DAY_MS
