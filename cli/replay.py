"""`sensorvision replay`: send a file of readings, with their times."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import click
from rich.progress import (
    BarColumn,
    Progress as Bar,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from sensorvision import AsyncSensorVisionClient, RetryPolicy
from sensorvision.config import Config

from . import progress as journal
from .commands import FILE, command, run_client, with_config
from .exits import Exit
from .failures import CommandError
from .output import is_json, say, show, warn
from .progress import Progress
from .readings_file import ReadingsFile
from .replaying import PATIENCE, Item, Replay
from .samples import Told, join, newest
from .tables import console


@command("replay")
@click.argument("file", type=FILE)
@click.option(
    "--device", metavar="ID", help="Whose readings they are, if FILE is silent."
)
@click.option("--strict", is_flag=True, help="Stop at the first line that is not sent.")
@click.option(
    "--newest",
    "is_newest",
    is_flag=True,
    help="Only the newest value of each variable; a device token can't keep times.",
)
@click.option("--restart", is_flag=True, help="Begin from the first line again.")
@click.option(
    "--state",
    type=FILE,
    metavar="FILE",
    help=f"Where to note what has been sent, by default beside FILE as FILE{journal.SUFFIX}.",
)
@with_config
def replay(
    file: Path,
    device: str | None,
    strict: bool,
    is_newest: bool,
    restart: bool,
    state: Path | None,
    config: Config,
) -> Exit:
    """Send the readings of FILE with their times, each of them once.

    FILE is CSV that begins with device,variable,value,timestamp, or with timestamp,device
    and a column for each variable; or JSON lines as `watch --json` prints them. Lines that
    can't be sent are told by their number and passed over.

    What the server has acknowledged is noted beside FILE. After an interruption of any
    kind, the same command goes on there, and sends again at most the one request that was
    under way. Lines that are added to FILE later are sent by the next run.
    """
    patience = PATIENCE
    if config.retries is not None:
        patience = replace(PATIENCE, attempts=1 + config.retries)
    with file.open("rb") as opened:
        readings = ReadingsFile(opened, str(file), device or config.device_id)
        if is_newest:
            begun = Progress(str(config.url))
            done = run_client(
                config,
                lambda client: _send_newest(client, readings, strict, begun, patience),
            )
        else:
            kept = state or file.with_name(file.name + journal.SUFFIX)
            begun = _begun(file, kept, str(config.url), readings, restart)
            with _resumable():
                done = run_client(
                    config,
                    lambda client: _send(
                        client, readings, strict, begun, patience, file, kept
                    ),
                )
    return _tell(begun, done)


@contextmanager
def _resumable() -> Iterator[None]:
    """Say after Ctrl-C that nothing is lost by it."""
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError(
            "interrupted",
            "Interrupted",
            "Run the same command again: it goes on where it was",
            Exit.INTERRUPTED,
        ) from None


def _begun(
    file: Path, kept: Path, server: str, readings: ReadingsFile, is_restart: bool
) -> Progress:
    """Return where to begin.

    Raises:
        CommandError: what an earlier run has left is of another file or server.
    """
    before = None if is_restart else journal.load(kept)
    if before is None:
        return Progress(server, readings.first.offset, readings.first.line)
    journal.check(before, server, file)
    say(f"Going on after line {before.line}, as {kept} says.")
    return before


async def _send(
    client: AsyncSensorVisionClient,
    readings: ReadingsFile,
    is_strict: bool,
    begun: Progress,
    patience: RetryPolicy,
    file: Path,
    kept: Path,
) -> Progress:
    """Send all with their times, and note after each request how far it is."""
    if not (await client.capabilities()).bulk:
        raise CommandError(
            "capability",
            "A device token can't keep the times of readings: all would be stored as"
            " true now",
            "Use an account or a user key, or send the newest of each with --newest",
            Exit.CAPABILITY,
        )
    with _Shown(begun, readings.size) as shown:

        def settle(progress: Progress) -> None:
            journal.save(kept, journal.marked(progress, file))
            shown.update(progress)

        replaying = Replay(
            client.send_batch, is_strict, shown.tell, settle, begun, patience
        )
        await replaying.run(join(readings.rows(begun.place)))
    return replaying.progress


async def _send_newest(
    client: AsyncSensorVisionClient,
    readings: ReadingsFile,
    is_strict: bool,
    begun: Progress,
    patience: RetryPolicy,
) -> Progress:
    """Send the newest value of each variable, as true now where no time can be kept."""
    keeps_times = (await client.capabilities()).timestamps
    found: Iterator[Item] = newest(readings.rows(readings.first))
    items = [
        replace(item, sample=replace(item.sample, timestamp=None))
        if isinstance(item, Told) and not keeps_times
        else item
        for item in found
    ]
    with _Shown(begun, len(items)) as shown:
        replaying = Replay(
            client.send_batch, is_strict, shown.tell, _forget, begun, patience
        )
        await replaying.run(items)
    return replaying.progress


def _forget(_progress: Progress) -> None:
    """Note nothing: the newest of each is sent anew each time."""


class _Shown:
    """How far a replay is, as a bar where somebody looks on.

    Args:
        begun: where it begins.
        size: bytes of the file.
    """

    def __init__(self, begun: Progress, size: int) -> None:
        screen = console(is_for_trouble=True)
        is_seen = screen.is_terminal and not is_json()
        self._bar = Bar(
            TextColumn("{task.fields[readings]} readings"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=screen,
            disable=not is_seen,
        )
        self._task = self._bar.add_task(
            "", total=size, completed=begun.offset, readings=begun.delivered
        )

    def __enter__(self) -> _Shown:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it as it is."""
        self._bar.stop()

    def update(self, progress: Progress) -> None:
        """Move it."""
        self._bar.update(
            self._task, completed=progress.offset, readings=progress.delivered
        )

    def tell(self, line: int, problem: str) -> None:
        """Tell of a line that is not sent, above the bar."""
        if is_json() or self._bar.disable:
            warn(f"Line {line}: {problem}. Not sent.", line=line)
        else:
            self._bar.console.print(f"Line {line}: {problem}. Not sent.")


def _tell(begun: Progress, done: Progress) -> Exit:
    """Say what became of the readings."""
    counts = {
        name: getattr(done, name) - getattr(begun, name)
        for name in ("delivered", "refused", "bad")
    }
    if is_json():
        show({**counts, "line": done.line})
    else:
        count = counts["delivered"]
        text = f"{count} reading{'' if count == 1 else 's'} delivered"
        if counts["refused"]:
            text += f", {counts['refused']} refused by the server"
        if counts["bad"]:
            text += f", {counts['bad']} bad lines or cells passed over"
        say(f"{text}.")
    return Exit.NOT_DELIVERED if counts["refused"] or counts["bad"] else Exit.DONE
