"""Disturb the flashing of a board in every way, and see that flashing again always helps.

`sensorvision board flash` works on a board that is played behind a pseudo-terminal, with
real MicroPython and a littlefs in a file, for a server of its own. It is killed, or the
board is unplugged, at random moments; the flash is full, a setting, the token or a password
is wrong, the server is away. It must say so by its exit code. After each, what is wrong is
put right, and the same command must end with a reading that is in the server's database:
sent is what the command has said that the server has stored.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import cycle, islice
import os
from pathlib import Path
from random import Random
import re
import signal
import sqlite3
import sys
import tempfile
from typing import Self

from rich.console import Console
from rich.table import Table

from demo.processes import ROOT, StartError, first_line
from micropython.provision.errors import Exit
from micropython.simulator import bme280, wlan, write_world

from .server import DEVICE_ID, USERNAME, Server
from .verdict import Verdict

KILLED = "killed"
UNPLUGGED = "unplugged"
IN_UPDATE = " in an update"

_ROUNDS = 40
_BLOCKS = 160
_PLUG_TIMEOUT_S = 20
_FLASH_TIMEOUT_S = 120

# What the command says at the beginning of each part of its work, and about how many
# seconds that takes. Most of the cuts are to hit the copying.
_PARTS = {"": 2.0, "The board runs": 1.0, "Copying": 0.5, "The board starts": 2.0}
_WEIGHTS = (1, 2, 4, 1)
# When nothing can be delivered, the command need not wait for long.
_VAIN_S = 6

_WIFI_PASSWORD = "password-of-the-wifi"  # noqa: S105
_WRONG_TOKEN = "99999999-9999-4999-8999-999999999999"  # noqa: S105

# Fills the flash until nothing is left of it.
_FILL = """
def fill():
    with open('/ballast', 'wb') as file:
        while True:
            file.write(b'x' * 4096)
            file.flush()
try:
    fill()
except OSError:
    pass
"""


# Makes each file another than what is to be copied, and leaves the program working.
_AGE = """
import os
for name in os.listdir('/sensorvision'):
    if name.endswith('.mpy'):
        with open('/sensorvision/' + name, 'ab') as file:
            file.write(bytes(1))
"""


@dataclass(frozen=True)
class Wrong:
    """Something else that is wrong with a flash.

    Attributes:
        code: how the command must end.
        options: what is added to the command line.
        environment: what differs in the environment.
        is_login: whether the command is to log in, in place of knowing the token.
    """

    code: Exit
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    is_login: bool = False


WRONG = {
    "flash full": Wrong(Exit.FLASH_FULL),
    "wrong setting": Wrong(Exit.SETTINGS, ("--interval=100000",)),
    "wrong token": Wrong(
        Exit.NOT_DELIVERED, environment={"SENSORVISION_TOKEN": _WRONG_TOKEN}
    ),
    "wrong login": Wrong(
        Exit.ACCOUNT, environment={"SENSORVISION_PASSWORD": "wrong"}, is_login=True
    ),
    "wrong Wi-Fi password": Wrong(
        Exit.NOT_DELIVERED, environment={"SENSORVISION_WIFI_PASSWORD": "wrong"}
    ),
    "server away": Wrong(Exit.NOT_DELIVERED),
}
FAULTS = (KILLED, UNPLUGGED, KILLED + IN_UPDATE, UNPLUGGED + IN_UPDATE, *WRONG)


@dataclass
class Findings:
    """What was found in all rounds.

    Attributes:
        faults: how often each has struck.
        codes: how the disturbed commands ended, by fault.
        interrupted: what they had said before the cut was timed.
        sent: readings that the command said to be stored.
        delivered: how many of them are in the database.
        repaired: how many flashes after a fault ended with a reading.
        flaws: what should never be.
    """

    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    delivered: int = 0
    repaired: int = 0
    flaws: list[str] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--rounds",
        type=int,
        default=_ROUNDS,
        help="how many boards are disturbed (%(default)s)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        choices=FAULTS,
        help="only this one; all of them in turn without it",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the random moments (%(default)s)"
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Disturb as many flashes as were asked for, repair each, and judge."""
    findings = Findings()
    faults = options.fault or FAULTS
    random = Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="sensorvision-flash-") as name:
        database = Path(name) / "server.db"
        server = Server(database)
        await server.start()
        try:
            for number, fault in enumerate(islice(cycle(faults), options.rounds)):
                folder = Path(name) / str(number)
                folder.mkdir()
                # Each fault meets both, a login and a token.
                is_new = (number + number // len(faults)) % 2 == 0
                bench = Bench(folder, server, number, random, is_new=is_new)
                async with bench:
                    said = await _round(bench, fault, findings)
                sys.stderr.write(f"{number + 1}, {fault}: {said}\n")
                findings.sent += len(said)
                findings.delivered += _stored(database, bench.device_id, said)
        finally:
            await server.stop()
    _print(findings)
    return Verdict(
        sent=findings.sent,
        delivered=findings.delivered,
        superseded=0,
        lost=findings.sent - findings.delivered,
        duplicated=0,
        faults=findings.faults.total(),
        # A BME280 measures three things.
        least_sent=3 * options.rounds,
        least_faults=options.rounds,
        flaws=findings.flaws,
        extra={
            "repaired": findings.repaired,
            "by_fault": dict(findings.faults),
            "cut_after": dict(findings.interrupted),
        },
    )


class Bench:
    """One board on a bench, and the command that flashes it.

    Use it as an async context manager, which plugs the board in.

    Args:
        folder: takes the board's flash.
        server: where the board is to report to.
        number: tells this board's readings from those of the others.
        random: draws moments.
        is_new: whether the server does not know the device yet, so that the command is
            to log in.

    Attributes:
        device_id: the board's on the server.
    """

    def __init__(
        self, folder: Path, server: Server, number: int, random: Random, *, is_new: bool
    ) -> None:
        self.server = server
        self.random = random
        self.is_new = is_new
        self.device_id = f"board-{number}" if self.is_new else DEVICE_ID
        self._folder = folder
        self._port = folder / "board"
        self._image = folder / "flash.img"
        self._board: asyncio.subprocess.Process | None = None
        self._is_token_taken = False
        write_world(
            folder / "world.json",
            {
                # Each board measures what no other does.
                "i2c": [bme280([(500_000 + 100 * number, 415_148, 29_000)])],
                "wlan": wlan(password=_WIFI_PASSWORD),
            },
        )

    async def __aenter__(self) -> Self:
        """Plug the board in."""
        await self.plug_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unplug it."""
        await self.unplug()

    async def plug_in(self) -> None:
        """Give the board power and its port.

        Raises:
            StartError: it did not start.
        """
        self._port.unlink(missing_ok=True)
        self._board = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "micropython.simulator", f"--blocks={_BLOCKS}"),
            f"--flash={self._image}",
            f"--world={self._folder / 'world.json'}",
            f"--link={self._port}",
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        if not await first_line(self._board, _PLUG_TIMEOUT_S):
            raise StartError("The board did not start.")

    async def unplug(self) -> None:
        """Cut the board's power; its port is gone."""
        if self._board and self._board.returncode is None:
            self._board.kill()
            await self._board.wait()

    async def renew(self) -> None:
        """Put another board, with an empty flash, in the place of this one."""
        await self.unplug()
        self._image.unlink()
        await self.plug_in()

    async def execute(self, *command: str) -> None:
        """Have mpremote do something on the board.

        Raises:
            StartError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mpremote"),
            *("connect", str(self._port.resolve()), "resume", *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise StartError(f"mpremote {command[0]} has failed: {output.decode()}")

    @asynccontextmanager
    async def flashing(
        self,
        *options: str,
        is_login: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Flashing]:
        """Flash the board, and end the command with the block."""
        secrets = {
            "SENSORVISION_WIFI_PASSWORD": _WIFI_PASSWORD,
            "SENSORVISION_PASSWORD": self.server.password,
        }
        login = []
        if is_login or self.is_new:
            login = [f"--login={USERNAME}"]
            if self._is_token_taken:
                # The one that was made may never have reached the board.
                login.append("--rotate-token")
            self._is_token_taken |= self.is_new
        else:
            secrets["SENSORVISION_TOKEN"] = self.server.token
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "board", "flash"),
            *(f"--port={self._port}", f"--url={self.server.url}"),
            *(f"--device-id={self.device_id}", "--ssid=home", "--interval=1"),
            *("--sensor=bme280:sda=21,scl=22", "--timeout=60", *login, *options),
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                **secrets,
                **(environment or {}),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # It is killed with mpremote, which would go on otherwise.
            start_new_session=True,
        )
        flashing = Flashing(process)
        try:
            yield flashing
        finally:
            await flashing.kill()


class Flashing:
    """A command that flashes.

    Args:
        process: its process, the first of a group.

    Attributes:
        output: what it has said until now.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.output = ""
        self._has_spoken = asyncio.Event()
        self._process = process
        self._reading = asyncio.create_task(self._read())

    @property
    def is_running(self) -> bool:
        """Tell whether it has not come to its end."""
        return self._process.returncode is None

    async def wait_for(self, text: str) -> None:
        """Wait until it has said something, or has ended."""
        while text not in self.output and not self._reading.done():
            self._has_spoken.clear()
            speaking = asyncio.create_task(self._has_spoken.wait())
            await asyncio.wait(
                (speaking, self._reading), return_when=asyncio.FIRST_COMPLETED
            )
            speaking.cancel()

    async def kill(self) -> None:
        """Kill it, and what it has started."""
        if self.is_running:
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.end()

    async def end(self) -> int | None:
        """Wait for its end, and return its exit code, None if that does not come."""
        await asyncio.wait([self._reading], timeout=_FLASH_TIMEOUT_S)
        return await self._process.wait() if self._reading.done() else None

    async def _read(self) -> None:
        if self._process.stdout:
            async for line in self._process.stdout:
                self.output += line.decode(errors="replace")
                self._has_spoken.set()


async def _round(bench: Bench, fault: str, findings: Findings) -> dict[str, str]:
    """Disturb a flash, flash again, and return what is said to be stored by variable."""
    if fault in WRONG:
        await _go_wrong(bench, fault, findings)
    else:
        while not await _cut(bench, fault, findings):
            # It was through before.
            await bench.renew()
    async with bench.flashing() as flashing:
        code = await flashing.end()
    said = re.search(r"first reading: (.+)\.$", flashing.output, re.MULTILINE)
    if code != Exit.DONE or not said:
        findings.flaws.append(
            f"After '{fault}' the flash ended with {code}: {flashing.output}"
        )
        return {}
    findings.repaired += 1
    return dict(re.findall(r"(\w+)=([-\d.]+)", said[1]))


async def _cut(bench: Bench, fault: str, findings: Findings) -> bool:
    """Cut a flash short at a random moment, and tell whether it was still at work."""
    [part] = bench.random.choices(list(_PARTS), _WEIGHTS)
    delay_s = bench.random.uniform(0, _PARTS[part])
    if fault.endswith(IN_UPDATE):
        async with bench.flashing() as before:
            await before.end()
        await bench.execute("exec", _AGE)
    async with bench.flashing(f"--timeout={_VAIN_S}") as flashing:
        await flashing.wait_for(part)
        await asyncio.sleep(delay_s)
        if not flashing.is_running:
            code = await flashing.end()
            if code != Exit.DONE:
                findings.flaws.append(
                    f"Before '{fault}' the flash ended with {code}: {flashing.output}"
                )
            return code != Exit.DONE
        if fault.startswith(UNPLUGGED):
            await bench.unplug()
            code = await flashing.end()
            _judge(fault, code, flashing.output, lambda code: code > 0, findings)
            await bench.plug_in()
        else:
            await flashing.kill()
            findings.codes[f"{fault}: no code"] += 1
    findings.faults[fault] += 1
    findings.interrupted[part or "nothing"] += 1
    return True


async def _go_wrong(bench: Bench, fault: str, findings: Findings) -> None:
    """Flash while something is wrong, and put it right."""
    wrong = WRONG[fault]
    async with AsyncExitStack() as repairs:
        if fault == "flash full":
            await bench.execute("exec", _FILL)
            repairs.push_async_callback(bench.execute, "rm", ":/ballast")
        options = list(wrong.options)
        if wrong.code == Exit.NOT_DELIVERED:
            options.append(f"--timeout={_VAIN_S}")
        flashing = await repairs.enter_async_context(
            bench.flashing(
                *options, is_login=wrong.is_login, environment=wrong.environment
            )
        )
        if fault == "server away":
            await bench.server.stop()
            repairs.push_async_callback(bench.server.start)
        code = await flashing.end()
    is_away_for_login = fault == "server away" and bench.is_new
    expected = Exit.ACCOUNT if is_away_for_login else wrong.code
    _judge(fault, code, flashing.output, lambda code: code == expected, findings)
    findings.faults[fault] += 1


def _judge(
    fault: str,
    code: int | None,
    output: str,
    is_right: Callable[[int], bool],
    findings: Findings,
) -> None:
    findings.codes[f"{fault}: {code}"] += 1
    if code is None or not is_right(code) or "Traceback" in output:
        findings.flaws.append(f"'{fault}' ended the flash with {code}: {output}")


def _stored(database: Path, device_id: str, said: Mapping[str, str]) -> int:
    """Return how many of the values that the command spoke of are in the database."""
    with closing(sqlite3.connect(database)) as db:
        stored = {
            (name, float(value))
            for name, value in db.execute(
                "SELECT variables.name, value FROM variable_values"
                " JOIN variables ON variables.id = variable_id"
                " JOIN devices ON devices.id = device_id WHERE external_id = ?",
                (device_id,),
            )
        }
    return sum((name, float(value)) in stored for name, value in said.items())


def _print(findings: Findings) -> None:
    table = Table(title="How disturbed flashes ended")
    table.add_column("fault: exit code")
    table.add_column("times", justify="right")
    for what, count in sorted(findings.codes.items()):
        table.add_row(what, str(count))
    Console(stderr=True).print(table)
