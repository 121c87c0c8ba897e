"""Send what stands in a file, and settle each part of it before the next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import (
    Awaitable,
    Callable,
    Dict,
    Iterable,
    Iterator,
    Sequence,
    Union,
)

from sensorvision import RetryPolicy, Sample, SampleResult
from sensorvision.batches import MAX_BULK_SAMPLES
from sensorvision.protocol import SIGN_IN, TRY_LATER

from .exits import Exit
from .failures import CommandError
from .progress import Progress
from .readings_file import BadLine
from .samples import Told

Item = Union[Told, BadLine]
Outcomes = Dict[int, str]
Send = Callable[[Sequence[Sample]], Awaitable[Sequence[SampleResult]]]

PATIENCE = RetryPolicy(attempts=6, first_delay_s=2, max_delay_s=30)


@dataclass
class Replay:
    """A replay under way.

    Attributes:
        send: sends samples, and returns one result for each.
        is_strict: whether the first bad or refused line ends it.
        tell: is given the number of a line that is not sent, and why.
        settle: is given each progress, to keep it.
        progress: how far it is.
        patience: how often, and how long, to try again.
    """

    send: Send
    is_strict: bool
    tell: Callable[[int, str], None]
    settle: Callable[[Progress], None]
    progress: Progress
    patience: RetryPolicy

    async def run(self, items: Iterable[Item]) -> None:
        """Send all of them.

        Raises:
            CommandError: the server does not take them, or a line is bad and it is
                strict. What was settled before is kept.
        """
        for chunk in _chunks(items, self.is_strict):
            outcomes: Outcomes = {}
            for index, item in enumerate(chunk):
                if isinstance(item, BadLine):
                    self._not_sent(item.line, item.problem)
                    outcomes[index] = "bad"
            try:
                await self._send_all(chunk, outcomes)
            finally:
                self._settle(chunk, outcomes)

    async def _send_all(self, chunk: list[Item], outcomes: Outcomes) -> None:
        """Send until each is acknowledged or refused."""
        attempt = 0
        while True:
            left = {
                index: item
                for index, item in enumerate(chunk)
                if index not in outcomes and isinstance(item, Told)
            }
            if not left:
                return
            results = await self.send([told.sample for told in left.values()])
            waiting = []
            for (index, told), result in zip(left.items(), results):
                if result.is_delivered:
                    outcomes[index] = "delivered"
                elif _is_refused(result, attempt, self.patience):
                    said = f"the server refused it: {result.message}"
                    self._not_sent(told.first_line, said)
                    outcomes[index] = "refused"
                else:
                    waiting.append((told.first_line, result))
            if waiting:
                await self._pause(waiting, attempt)
            attempt += 1

    async def _pause(
        self, waiting: list[tuple[int, SampleResult]], attempt: int
    ) -> None:
        """Wait before another attempt.

        Raises:
            CommandError: there is no use in waiting.
        """
        line, first = waiting[0]
        if first.kind == SIGN_IN or attempt + 1 >= self.patience.attempts:
            raise _stopped(first, line)
        asked_s = first.retry_after_s or 0
        await asyncio.sleep(max(asked_s, self.patience.delay_s(attempt)))

    def _not_sent(self, line: int, problem: str) -> None:
        if self.is_strict:
            raise CommandError(
                "data",
                f"Line {line}: {problem.rstrip('.')}",
                "Mend it and run the command again, or leave --strict away",
                Exit.DATA,
            )
        self.tell(line, problem)

    def _settle(self, chunk: list[Item], outcomes: Outcomes) -> None:
        """Note all that is settled without a gap, also when something has failed."""
        settled = list(takewhile(outcomes.__contains__, range(len(chunk))))
        if not settled:
            return
        end = chunk[settled[-1]].end
        counts = {name: getattr(self.progress, name) for name in set(outcomes.values())}
        for index in settled:
            item = chunk[index]
            counts[outcomes[index]] += (
                len(item.sample.variables) if isinstance(item, Told) else 1
            )
        self.progress = replace(
            self.progress, offset=end.offset, line=end.line, **counts
        )
        self.settle(self.progress)


def _chunks(items: Iterable[Item], is_strict: bool) -> Iterator[list[Item]]:
    """Yield as many as one request takes; where a bad line ends it, what is before."""
    chunk: list[Item] = []
    for item in items:
        if is_strict and isinstance(item, BadLine) and chunk:
            yield chunk
            chunk = []
        chunk.append(item)
        if len(chunk) == MAX_BULK_SAMPLES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _is_refused(result: SampleResult, attempt: int, patience: RetryPolicy) -> bool:
    """Tell whether a sample is refused for good, rather than for the moment."""
    if result.kind in (TRY_LATER, SIGN_IN):
        # The server says the same of a number that it can't store and of a lost race.
        return result.suspect and attempt + 1 >= patience.attempts
    return True


def _stopped(result: SampleResult, line: int) -> CommandError:
    """Return why nothing more is sent."""
    said = result.message.rstrip(".")
    if result.kind == SIGN_IN:
        return CommandError(
            "auth", said, "Check the credential, then run it again", Exit.ACCOUNT
        )
    is_silent = result.status == 0
    return CommandError(
        "network" if is_silent else "server",
        f"Stopped before line {line}: {said}",
        "Run the same command again later: it goes on there",
        Exit.NETWORK if is_silent else Exit.SERVER,
    )
