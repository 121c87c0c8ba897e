"""Cut the power at every point where the outbox waits for the disk, and see what is left.

A process works with the integration's outbox while strace records every byte that it
writes into the outbox's folder, and whenever it waits until the disk has it. Then the
folder is made anew as a disk may hold it if the power had gone at each of these points:
only what the disk had for certain, and beside that some of what was written since, in any
order, with sectors missing, and with names that the folder did not have yet. Each is opened
as at a start. What the process knew to be written must be there, exactly once.
"""

import argparse
import asyncio
from collections import Counter
from dataclasses import dataclass, field
import json
from pathlib import Path
from random import Random
import sys
import tempfile

from custom_components.sensorvision.client.journal import MAX_DEAD_LETTERS
from custom_components.sensorvision.client.salvage import DAMAGE, open_journal
from demo.processes import ROOT, StartError

from .calls import STRACE, Call, Sync, Unlink, Write, read_calls
from .committing import Order, reading
from .disk import Disk, Remains
from .verdict import Verdict

_COMMITS = 400
_LEAST_CUTS_A_COMMIT = 5
_MOST_FLAWS = 10
_MANY = sys.maxsize


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--commits",
        type=int,
        default=_COMMITS,
        help="how often the outbox is written down (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of what is drawn (%(default)s)"
    )


@dataclass
class Known:
    """What the process has said by a moment.

    Attributes:
        came: numbers that it has begun to write down.
        kept: those of them that it knew to be written.
        gone: those that the server has taken.
        refused: those that the server did not want, in their order.
        commits: how often it has written down.
    """

    came: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    refused: list[int] = field(default_factory=list)
    commits: int = 0

    def hear(self, line: dict[str, list[int]]) -> None:
        """Take in a line of its log."""
        self.gone.update(line.get("gone", ()))
        self.refused += line.get("refused", ())
        if "came" in line:
            self.came.update(range(line["came"][0], line["came"][1] + 1))
        if "kept" in line:
            self.kept.update(range(line["kept"][0], line["kept"][1] + 1))
            self.commits += 1


@dataclass
class Findings:
    """What was found in all that was left.

    Attributes:
        points: at how many points the power went.
        checkpoints: how often the file itself was synchronised, and not its log.
        cuts: in how many ways, by what became of that which was not synchronised.
        damaged: how often a file was taken for a damaged one, by the same.
        lost: numbers that were missing somewhere.
        came_back: numbers that had gone, and were there again.
        flaws: what should never be.
    """

    points: int = 0
    checkpoints: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)
    lost: set[int] = field(default_factory=set)
    came_back: set[int] = field(default_factory=set)
    flaws: list[str] = field(default_factory=list)


async def run(options: argparse.Namespace) -> Verdict:
    """Record the work, cut the power everywhere, and judge."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-power-") as name:
        folder = await asyncio.to_thread(Path(name).resolve)
        trace = await _record(folder, options)
        cutting = _Cutting(folder, Random(options.seed))
        await asyncio.to_thread(cutting.follow, trace)
    known, findings = cutting.known, cutting.findings
    return Verdict(
        sent=len(known.kept),
        delivered=len(known.kept - findings.lost),
        superseded=0,
        lost=len(findings.lost),
        duplicated=len(findings.came_back),
        faults=findings.cuts.total(),
        least_sent=options.commits,
        least_faults=options.commits * _LEAST_CUTS_A_COMMIT,
        flaws=findings.flaws[:_MOST_FLAWS],
        extra={
            "commits": known.commits,
            "points": findings.points,
            "checkpoints": findings.checkpoints,
            "cuts": dict(findings.cuts),
            "called_damaged": dict(findings.damaged),
        },
    )


async def _record(folder: Path, options: argparse.Namespace) -> Path:
    """Let the outbox work, and return what it has asked the kernel for.

    Raises:
        StartError: it did not work.
    """
    order, trace = folder / "order.json", folder / "trace"
    (folder / "storage").mkdir()
    Order(
        str(folder / "storage" / "outbox"),
        str(folder / "log"),
        options.commits,
        options.seed,
    ).write(order)
    process = await asyncio.create_subprocess_exec(
        *STRACE,
        f"--output={trace}",
        sys.executable,
        "-m",
        "proofs.committing",
        str(order),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    if process.returncode:
        raise StartError(f"The process that writes has failed: {error.decode()}")
    return trace


class _Cutting:
    """Follow what a process did, and cut the power again and again.

    Args:
        folder: holds its log, and the folder of its outbox.
        random: draws what is left.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self.known = Known()
        self.findings = Findings()
        self._storage = folder / "storage"
        self._log = str(folder / "log")
        self._random = random
        self._disk = Disk(self._storage)
        self._is_committed = False

    def follow(self, trace: Path) -> None:
        """Cut the power before each call that waits for the disk, and at the end."""
        for call in read_calls(trace, self._storage.parent):
            if isinstance(call, Sync | Unlink):
                self._cut()
            if call.path != self._log:
                self._disk.take(call)
                self._note(call)
            elif isinstance(call, Write):
                self._hear(json.loads(call.data))
        self._cut()
        present = {path.name: path.read_bytes() for path in self._storage.iterdir()}
        if self._disk.present() != present:
            self.findings.flaws.append("Not all that was written was recorded.")

    def _note(self, call: Call) -> None:
        """Note what is synchronised."""
        if call == Sync(f"{self._storage}/outbox-wal"):
            self._is_committed = True
        self.findings.checkpoints += call == Sync(f"{self._storage}/outbox")

    def _hear(self, line: dict[str, list[int]]) -> None:
        self.known.hear(line)
        if "kept" not in line:
            return
        if not self._is_committed or self._disk.is_pending("outbox-wal"):
            self.findings.flaws.append("A commit has not waited for the disk.")
        self._is_committed = False

    def _cut(self) -> None:
        """Open what may be left if the power goes now."""
        self.findings.points += 1
        for remains in self._disk.remains(self._random):
            self.findings.cuts[remains.kind] += 1
            with tempfile.TemporaryDirectory(dir=self._storage.parent) as name:
                remains.write(Path(name))
                try:
                    self._judge(Path(name) / "outbox", remains)
                except (*DAMAGE, OSError) as err:
                    self._flaw(remains, f"the outbox can't be opened: {err}")

    def _judge(self, path: Path, remains: Remains) -> None:
        known, findings = self.known, self.findings
        journal, mishap = open_journal(str(path), "")
        entries, letters = journal.read(0, _MANY), journal.dead_letters()
        journal.close()
        if mishap:
            findings.damaged[remains.kind] += 1
            if remains.is_certain:
                self._flaw(remains, f"called damaged: {mishap.reason}")
        waiting = [entry.reading for entry in entries]
        aside = [letter.reading for letter in letters]
        numbers = {int(found.value) for found in waiting}
        refused = {int(found.value) for found in aside}
        if (
            len(numbers) + len(refused) != len(waiting) + len(aside)
            or numbers & refused
        ):
            self._flaw(remains, "a reading is there twice")
        for found in (*waiting, *aside):
            if int(found.value) not in known.came or found != reading(int(found.value)):
                self._flaw(remains, f"{found} was never written")
        must_wait = known.kept.difference(known.gone, known.refused)
        must_be = must_wait.union(known.refused[-MAX_DEAD_LETTERS:])
        findings.lost |= must_wait - numbers | must_be - numbers - refused
        findings.came_back |= numbers & known.gone

    def _flaw(self, remains: Remains, what: str) -> None:
        point = self.findings.points
        self.findings.flaws.append(f"Point {point}, {remains.kind}: {what}.")
