"""Let every step on a board's way to its server hang or fail, and see that it recovers.

Real MicroPython runs the port and reports over HTTP, HTTPS, MQTT and MQTT over TLS. One
after the other the radio's driver hangs, in each of its calls, or does not join; the
look-up of the name hangs or fails; the connection is refused, closed, cut in the middle of
a message or of an answer, answered with rubbish or not at all. What blocks the whole board
must be ended by the watchdog, which nothing may feed meanwhile, and nothing else may need
it. Each time the board must notice within the time that is stated, and deliver again within
it once the fault is gone. Over MQTT with a store no reading may be lost.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
import json
from pathlib import Path
import ssl
import tempfile
from typing import Any

import trustme

from benchmarks.mosquitto import Mosquitto
from micropython.simulator import Clock, SimulatedBoard, bme280, wlan
from sandbox import Sandbox, Settings

from .board_judgement import FIRST, STEPS, read_log, told
from .board_life import Ear
from .verdict import Verdict

WAYS = ("http", "https", "mqtt", "mqtts")

STATED_S = 90
"""Within so many seconds a board notices a fault, and delivers again after it."""

_TOKEN = "11111111-1111-4111-8111-111111111111"  # noqa: S105
_INTERVAL_S = 10
_TIMEOUT_S = 2
_STEP_MS = 500
_CHUNK_BYTES = 4096
_FEW_BYTES = 30
_RUBBISH = b"\0 no such thing \r\n" * 4


@dataclass(frozen=True)
class Fault:
    """One way in which a step fails.

    Attributes:
        name: what it is called.
        world: what becomes of the board's surroundings.
        line: what becomes of the line to the server.
        blocks: whether nothing but the watchdog can help.
    """

    name: str
    world: dict[str, Any] = field(default_factory=dict)
    line: str = "open"
    blocks: bool = False


FAULTS = (
    *(
        Fault(f"radio hangs in {call}", {"wlan": wlan(hangs=call)}, blocks=True)
        for call in ("active", "connect", "isconnected")
    ),
    Fault("radio refuses", {"wlan": {**wlan(), "refuses": True}}),
    Fault("no such network", {"wlan": wlan([1001, 201])}),
    Fault("wrong password", {"wlan": wlan([1001, 202])}),
    Fault("no address", {"wlan": wlan([1001])}),
    # A name is looked up again after a failure.
    Fault("look-up hangs", {"dns": "hangs"}, "refused", blocks=True),
    Fault("look-up fails", {"dns": "fails"}, "refused"),
    *(
        Fault(name, line=name)
        for name in (
            "refused",
            "closed at once",
            "silent",
            "rubbish",
            "message cut",
            "message stalls",
            "no answer",
            "answer cut",
            "answer stalls",
        )
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=list(WAYS),
        help="how the board reports (all four)",
    )


class Line:
    """A line to a server, which fails as it is told.

    Args:
        server_port: where the server listens on this machine.

    Attributes:
        port: where to connect to instead.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self._server_port = server_port
        self._mode = "open"
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def fail(self, mode: str) -> None:
        """Break what connections there are, and fail like this from now on."""
        self._mode = mode
        if self._server:
            self._server.close()
            self._server = None
        for session in [*self._sessions]:
            session.cancel()
            with suppress(asyncio.CancelledError):
                await session
        if mode != "refused":
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        session = asyncio.create_task(self.pass_on(self._mode, reader, writer))
        self._sessions.add(session)
        with suppress(OSError, asyncio.CancelledError):
            await session
        writer.close()
        self._sessions.discard(session)

    async def pass_on(
        self, mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Lead one connection to the server, as this mode has it."""
        if mode == "closed at once":
            return
        if mode in {"silent", "rubbish"}:
            if mode == "rubbish":
                writer.write(_RUBBISH)
            while await reader.read(_CHUNK_BYTES):
                pass
            return
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._server_port
        )
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(
                    _copy(reader, far_writer, _most(mode, "message"), mode)
                )
                directions.create_task(
                    _copy(far_reader, writer, _most(mode, "answer"), mode)
                )
        except* OSError, EOFError:
            pass
        finally:
            far_writer.close()


def _most(mode: str, direction: str) -> int | None:
    if mode == "no answer" and direction == "answer":
        return 0
    # A few bytes of an answer are fewer than those of a message.
    few = _FEW_BYTES if direction == "message" else 2
    return few if mode.startswith(direction) else None


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    most: int | None,
    mode: str,
) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        if most is not None and len(data) > most:
            writer.write(data[:most])
            if mode.endswith("cut"):
                await writer.drain()
                raise EOFError
            await asyncio.Event().wait()
        writer.write(data)
        await writer.drain()
    raise EOFError


@dataclass
class Trial:
    """What came of the faults on one way.

    Attributes:
        sent: readings that the sensor has handed out.
        delivered: how many of these arrived.
        copies: how many arrived again.
        noticed_s: how long the board took to notice each fault.
        recovered_s: how long it took to deliver again.
        flaws: what should not have been.
    """

    sent: int = 0
    delivered: int = 0
    copies: int = 0
    noticed_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)


async def run(options: argparse.Namespace) -> Verdict:
    """Go each way through all faults, and judge."""
    trials = {}
    for way in options.ways:
        with tempfile.TemporaryDirectory(prefix="sensorvision-radio-") as name:
            trials[way] = await _try(way, Path(name))
    by_token = [trial for way, trial in trials.items() if way.startswith("http")]
    by_time = [trial for way, trial in trials.items() if way.startswith("mqtt")]
    every = [*by_token, *by_time]
    return Verdict(
        sent=sum(trial.sent for trial in every),
        delivered=sum(trial.delivered for trial in every),
        # A token can only say what is true now.
        superseded=sum(trial.sent - trial.delivered for trial in by_token),
        lost=sum(trial.sent - trial.delivered for trial in by_time),
        duplicated=sum(trial.copies for trial in by_time),
        faults=sum(len(trial.recovered_s) for trial in every),
        least_sent=len(every) * len(FAULTS),
        least_faults=len(every) * len(FAULTS),
        flaws=[flaw for trial in every for flaw in trial.flaws],
        extra={
            "stated_s": STATED_S,
            "longest_to_notice_s": max(max(trial.noticed_s) for trial in every),
            "longest_to_recover_s": max(max(trial.recovered_s) for trial in every),
        },
    )


async def _try(way: str, folder: Path) -> Trial:
    authority = trustme.CA()
    context = None
    if way.endswith("s"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
    async with _server(way, folder, context) as (port, arrived):
        line = Line(port)
        await line.fail("open")
        clock = Clock(folder / "clock")
        board = SimulatedBoard(folder, _world(folder), clock=clock, has_image=True)
        (board.flash / "ca.der").write_bytes(
            ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
        )
        board.stage(json.dumps(_settings(way, line.port)))
        course = _Course(way, folder, board, clock, line, arrived)
        async with board:
            await course.take()
        await line.fail("refused")
    return course.trial


@asynccontextmanager
async def _server(
    way: str, folder: Path, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[int, Callable[[], list[float]]]]:
    """Run what the board reports to.

    Yields:
        Its port, and what returns the pressures that have arrived.
    """
    if way.startswith("http"):
        settings = Settings(fixtures="contract", broker=None, ssl_context=context)
        async with Sandbox(settings) as sandbox:
            yield (
                int(sandbox.url.rpartition(":")[2]),
                lambda: [
                    float(row.value)
                    for row in sandbox.store.values("dev-a", "pressure")
                ],
            )
        return
    broker = Mosquitto(folder)
    await broker.start()
    ear = Ear(broker.port)
    await ear.listen()
    try:
        async with _ending_tls(broker.port, context) as port:
            yield port, lambda: [telling.values[1] for telling in told(ear.heard)]
    finally:
        await ear.stop()
        await broker.kill()


@asynccontextmanager
async def _ending_tls(port: int, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Speak TLS in front of a server that does not."""
    if context is None:
        yield port
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await Line(port).pass_on("open", reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients()


def _world(folder: Path) -> dict[str, Any]:
    chip = bme280([FIRST], steps=STEPS, log=folder / "log")
    return {"i2c": [chip], "wlan": wlan()}


def _settings(way: str, port: int) -> dict[str, Any]:
    return {
        "url": f"{way}://localhost:{port}",
        "token": _TOKEN,
        "device_id": "dev-a",
        "wifi": {"ssid": "home"},
        "ca_file": "/ca.der",
        "interval_s": _INTERVAL_S,
        "timeout_s": _TIMEOUT_S,
        # Each reading is on flash before anything can hang.
        "store": {"every": 1},
        "sensors": [{"type": "bme280"}],
    }


class _Course:
    """Lead one board through all faults.

    Args:
        way: how it reports.
        folder: holds the log of its sensor.
        board: switched on.
        clock: its time.
        line: to its server.
        arrived: returns the pressures that have arrived.
    """

    def __init__(
        self,
        way: str,
        folder: Path,
        board: SimulatedBoard,
        clock: Clock,
        line: Line,
        arrived: Callable[[], list[float]],
    ) -> None:
        self.trial = Trial()
        self._way = way
        self._folder = folder
        self._board = board
        self._clock = clock
        self._line = line
        self._arrived = arrived

    async def take(self) -> None:
        """Go through all faults, and count."""
        await self._until(self._arrives())
        for fault in FAULTS:
            await self._suffer(fault)
        # What waits meanwhile comes too, but the last reading may be under way.
        last = len(read_log(self._folder / "log"))
        await self._until(lambda: len(self._numbers()) >= last)
        measured = read_log(self._folder / "log")[:last]
        trial = self.trial
        trial.sent = len(measured)
        trial.delivered = len({each.number for each in measured} & set(self._numbers()))
        trial.copies = len(self._arrived()) - len(set(self._arrived()))

    async def _suffer(self, fault: Fault) -> None:
        board, trial = self._board, self.trial
        bites, seen, resets = len(board.bites_ms), len(board.lines), board.resets
        board.change_world({**_world(self._folder), **fault.world})
        await self._line.fail(fault.line)

        def is_noticed() -> bool:
            if fault.blocks:
                return len(board.bites_ms) > bites
            return any("not delivered" in line for line in board.lines[seen:])

        trial.noticed_s.append(await self._until(is_noticed))
        with self._named(fault):
            if not is_noticed():
                trial.flaws.append("it was not noticed")
            if not fault.blocks and board.resets > resets:
                trial.flaws.append("the board was reset")
        board.change_world(_world(self._folder))
        await self._line.fail("open")
        has_arrived = self._arrives()
        trial.recovered_s.append(await self._until(has_arrived))
        with self._named(fault):
            if not has_arrived():
                trial.flaws.append(f"nothing arrived afterwards: {board.lines[-5:]}")

    @contextmanager
    def _named(self, fault: Fault) -> Iterator[None]:
        before = len(self.trial.flaws)
        yield
        for number in range(before, len(self.trial.flaws)):
            self.trial.flaws[number] = (
                f"{self._way}, {fault.name}: {self.trial.flaws[number]}."
            )

    def _numbers(self) -> list[int]:
        """Return the numbers of the measurements that have arrived."""
        by_pressure = {
            each.values[1]: each.number for each in read_log(self._folder / "log")
        }
        return [
            by_pressure[pressure]
            for pressure in {round(value, 2) for value in self._arrived()}
            if pressure in by_pressure
        ]

    def _arrives(self) -> Callable[[], bool]:
        before = len(self._arrived())
        return lambda: len(self._arrived()) > before

    async def _until(self, condition: Callable[[], bool]) -> float:
        """Let the board's time pass, not much at once, until something holds.

        Returns:
            Seconds that it took, or a little more than is stated.
        """
        clock = self._clock
        began_ms = clock.now_ms()
        while not condition() and clock.now_ms() - began_ms < STATED_S * 1000:
            await clock.reach(clock.now_ms() + _STEP_MS, lambda: self._board.is_on)
            await asyncio.sleep(0)
        return round((clock.now_ms() - began_ms) / 1000, 1)
