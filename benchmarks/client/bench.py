"""Plain Python: readings by this client, beside `sensorvision-sdk`.

Each way to send takes its turn with a sandbox, and with Mosquitto, in processes of their
own: once against the clock, and once through a relay that counts requests and bytes.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
import json
from pathlib import Path
import sys
import tempfile
from typing import Any
from urllib.parse import urlsplit

from benchmarks.mosquitto import Mosquitto
from benchmarks.relay import Relay, relay_to

from .environments import OURS, PEER, NotToBeHadError, python_of, variables_of
from .report import Bar, Costs, Report, Subject
from .server import DEVICES, PASSWORD, USERNAME, device_id, token_of

_DRIVER = Path(__file__).with_name("driver.py")
_ROOT = _DRIVER.parent.parent.parent
_TIMEOUT_S = 900
_END_TIMEOUT_S = 60
# Of each further one requests and bytes are the same.
_COUNTED_READINGS = 1000
_LOOK_EVERY_S = 0.1
# A server that has stored nothing more for so many looks has all that it will have.
_LOOKS = 50

SUBJECTS = (
    Subject(PEER, "sync, one by one"),
    Subject(OURS, "sync, one by one"),
    Subject(OURS, "sync, token batch"),
    Subject(OURS, "sync, account batch"),
    Subject(PEER, "async, one by one"),
    Subject(PEER, "async, by hand"),
    Subject(OURS, "async, one by one"),
    Subject(OURS, "async, token batch"),
    Subject(OURS, "async, account batch"),
    Subject(OURS, "MQTT QoS 1"),
)

BARS = (
    Bar(SUBJECTS[2], SUBJECTS[0], 2),
    Bar(SUBJECTS[7], SUBJECTS[4], 2),
    Bar(SUBJECTS[3], SUBJECTS[0], 10),
    Bar(SUBJECTS[8], SUBJECTS[4], 10),
)


class TurnFailedError(Exception):
    """A subject did not come to its end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--readings", type=int, default=10_000, help="for each (%(default)s)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="to take medians of (%(default)s); 0 only counts requests and bytes",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=4,
        help="requests in flight, where there are several (%(default)s)",
    )
    parser.add_argument(
        "--away-ms",
        type=float,
        nargs="+",
        default=[0, 5],
        metavar="MS",
        help="how much later a server's answer comes; each is measured (0 5)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if a server did not store just what was sent."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    report = Report(
        readings=options.readings,
        rounds=options.rounds,
        concurrency=options.concurrency,
    )
    pythons: dict[str, Path] = {}
    for whose in (OURS, PEER):
        try:
            pythons[whose] = await asyncio.to_thread(python_of, whose)
        except NotToBeHadError as err:
            report.miss(whose, str(err))
    subjects = [subject for subject in SUBJECTS if subject.whose in pythons]
    with tempfile.TemporaryDirectory() as folder:
        counted = min(options.readings, _COUNTED_READINGS)
        for subject in subjects:
            few = argparse.Namespace(**{**vars(options), "readings": counted})
            turn = _Turn(subject, pythons[subject.whose], few, Path(folder))
            report.count(subject, await turn.counted(), counted)
        for round_number in range(1, options.rounds + 1):
            for away_ms in options.away_ms:
                # They take turns: what else the machine does then troubles all alike.
                for subject in subjects:
                    turn = _Turn(subject, pythons[subject.whose], options, Path(folder))
                    costs = await turn.timed(away_ms)
                    report.time(round_number, away_ms, subject, costs)
    report.finish(BARS)
    return 0 if report.is_good else 1


@dataclass(frozen=True)
class _Turn:
    """One subject, with a server of its own."""

    subject: Subject
    python: Path
    options: argparse.Namespace
    folder: Path

    async def counted(self) -> Relay:
        """Return what goes over the wire.

        Raises:
            TurnFailedError: not every reading was stored once.
        """
        async with AsyncExitStack() as stack:
            server, broker = await self._servers(stack, 0)
            port = broker.port if broker else urlsplit(server.url).port
            relay = await stack.enter_async_context(relay_to(port or 0))
            url = f"http://127.0.0.1:{relay.port}"
            driver = await self._driver(stack, url, relay.port)
            relay.clear()
            await driver.go()
            await self._expect_all_stored(server)
            return relay

    async def timed(self, away_ms: float) -> Costs:
        """Return what it takes.

        Raises:
            TurnFailedError: not every reading was stored once.
        """
        async with AsyncExitStack() as stack:
            server, broker = await self._servers(stack, away_ms)
            driver = await self._driver(stack, server.url, broker.port if broker else 0)
            cpu_before_s = (await server.ask())["cpu_s"]
            found = await driver.go()
            loop = asyncio.get_running_loop()
            ended = loop.time()
            await self._expect_all_stored(server)
            stored_s = found["seconds"] + loop.time() - ended
            cpu_s = (await server.ask())["cpu_s"] - cpu_before_s
            return Costs(**found, stored_s=stored_s, server_cpu_s=cpu_s)

    async def _servers(
        self, stack: AsyncExitStack, away_ms: float
    ) -> tuple[_Server, Mosquitto | None]:
        broker = None
        if self.subject.way.startswith("MQTT"):
            # Else it throws away what waits behind a thousand for a slower server.
            broker = Mosquitto(self.folder, "max_queued_messages 0")
            await broker.start()
            stack.push_async_callback(broker.kill)
        command = [
            *("-m", "benchmarks.client.server", "--away-ms", str(away_ms)),
            *(("--broker", broker.url) if broker else ()),
        ]
        process = await _started(stack, sys.executable, *command)
        server = _Server(process, (await _line_of(process))["url"])
        return server, broker

    async def _driver(
        self, stack: AsyncExitStack, url: str, broker_port: int
    ) -> _Driver:
        plan = {
            "way": self.subject.way,
            "url": url,
            "broker_port": broker_port,
            "concurrency": self.options.concurrency,
            "username": USERNAME,
            "password": PASSWORD,
            "devices": [
                (device_id(number), token_of(number)) for number in range(DEVICES)
            ],
            "readings": self.options.readings,
        }
        process = await _started(
            stack,
            str(self.python),
            str(_DRIVER),
            json.dumps(plan),
            variables=variables_of(self.subject.whose),
        )
        await _line_of(process)
        return _Driver(process)

    async def _expect_all_stored(self, server: _Server) -> None:
        """Wait until the server has all, which over MQTT it has later than the broker."""
        expected = self.options.readings + DEVICES
        stored, looks_left = -1.0, _LOOKS
        while stored < expected and looks_left:
            before, stored = stored, (await server.ask())["stored"]
            looks_left = _LOOKS if stored > before else looks_left - 1
            if stored < expected:
                await asyncio.sleep(_LOOK_EVERY_S)
        if stored != expected:
            raise TurnFailedError(
                f"{self.subject}: {stored} readings are stored, {expected} were sent"
            )


@dataclass(frozen=True)
class _Server:
    process: asyncio.subprocess.Process
    url: str

    async def ask(self) -> dict[str, float]:
        """Return what it has stored, and its processor time in seconds."""
        return await _answer_of(self.process)


@dataclass(frozen=True)
class _Driver:
    process: asyncio.subprocess.Process

    async def go(self) -> dict[str, float]:
        """Let it send, and return what that took."""
        return await _answer_of(self.process)


async def _started(
    stack: AsyncExitStack, *command: str, variables: dict[str, str] | None = None
) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
        env=variables,
    )
    stack.push_async_callback(_ended, process)
    return process


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _answer_of(process: asyncio.subprocess.Process) -> dict[str, float]:
    if process.stdin:
        process.stdin.write(b"\n")
    return await _line_of(process)


async def _line_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = b""
    if process.stdout:
        async with asyncio.timeout(_TIMEOUT_S):
            line = await process.stdout.readline()
    if not line:
        raise TurnFailedError("A process ended early: see what it printed above")
    found: dict[str, Any] = json.loads(line)
    return found
