"""The outbox of a server that takes times is a FIFO, whatever happens to its process."""

import asyncio
from collections.abc import Coroutine
import math
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
import pytest

from custom_components.sensorvision.client import tail
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.readings import Batch, Reading

from .outbox_files import NEVER, as_crashed, filled, opened, readings, values


def _values(batch: Batch | None) -> list[float]:
    return [] if batch is None else [reading.value for reading in batch.readings]


async def test_new_outbox_is_empty() -> None:
    async with opened(None) as outbox:
        assert (len(outbox), outbox.oldest()) == (0, None)
        assert await outbox.take_backlog(1) is None
        assert await outbox.take_live(1) is None


async def test_what_an_earlier_process_left_is_backlog(tmp_path: Path) -> None:
    await filled(tmp_path / "outbox", 3)
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(4, 5))
        assert (len(outbox), outbox.oldest()) == (5, 1.5)
        assert _values(await outbox.take_live(10)) == [4, 5]
        assert _values(await outbox.take_backlog(2)) == [1, 2]
        assert _values(await outbox.take_backlog(2)) == [3]
        assert await outbox.take_backlog(2) is None


async def test_rewind_makes_a_backlog_of_all_that_waits() -> None:
    async with opened(None) as outbox:
        outbox.append(readings(1, 3))
        first = await outbox.take_live(1)
        outbox.rewind()
        outbox.append(readings(4, 4))
        assert _values(first) == [1]
        assert _values(await outbox.take_backlog(10)) == [2, 3]
        assert _values(await outbox.take_live(10)) == [4]


async def test_readings_of_some_devices_are_passed_over() -> None:
    async with opened(None) as outbox:
        outbox.append([*readings(1, 2, "d"), *readings(3, 4, "e")])
        assert _values(await outbox.take_live(10, frozenset("d"))) == [3, 4]
        await outbox.commit()
        outbox.rewind()
        assert _values(await outbox.take_backlog(10, frozenset("e"))) == [1, 2]


async def test_released_readings_come_again_in_their_order() -> None:
    async with opened(None) as outbox:
        outbox.append(readings(1, 9))
        first, second = await outbox.take_live(3), await outbox.take_live(3)
        assert first
        assert second
        await outbox.release(second)
        await outbox.release(first)
        assert _values(await outbox.take_live(10)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_takers_at_the_same_time_share_without_a_gap() -> None:
    async with opened(None) as outbox:
        outbox.append(readings(1, 40))
        takers = [outbox.take_live(10) for _ in range(5)]
        batches = await asyncio.gather(*takers)
        assert sorted(map(_values, batches)) == [
            [],
            *(list(range(n, n + 10)) for n in (1, 11, 21, 31)),
        ]


async def test_rewind_and_release_during_a_take_skip_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    await filled(path, 6)
    async with opened(path) as outbox:
        first = await outbox.take_backlog(2)
        assert first
        taking = asyncio.ensure_future(outbox.take_backlog(2))
        await asyncio.sleep(0)
        await outbox.release(first)
        assert _values(await taking) == [1, 2]
        taking = asyncio.ensure_future(outbox.take_backlog(2))
        await asyncio.sleep(0)
        outbox.rewind()
        assert _values(await taking) + _values(await outbox.take_backlog(9)) == [
            *(3, 4, 5, 6)
        ]


async def test_what_is_taken_twice_is_confirmed_once() -> None:
    async with opened(None) as outbox:
        outbox.append(readings(1, 2))
        batch = await outbox.take_live(2)
        assert batch
        await outbox.confirm(batch.halves()[0])
        await outbox.confirm(batch)
        await outbox.release(batch)
        assert (len(outbox), await values(outbox)) == (0, [])


# A batch, and in which process it was taken.
type Taken = tuple[int, Batch]


class Fifo(RuleBasedStateMachine):
    """Do everything in any order, against a plain list."""

    batches: Bundle[Taken] = Bundle("batches")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox"
        self.outbox = self._opened()
        self.starts = 0
        self.last = 0
        self.boundary = 0
        self.waiting: list[float] = []
        self.out: set[float] = set()
        self.letters: list[float] = []
        self.on_disk: tuple[list[float], list[float]] = [], []

    def _run[T](self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def _opened(self) -> CompleteOutbox:
        async def make() -> CompleteOutbox:
            outbox = CompleteOutbox(str(self.path), NEVER)
            await outbox.open()
            return outbox

        return self._run(make())

    @initialize(remembered=st.sampled_from([0, 2, tail.MAX_WRITTEN]))
    def remember(self, remembered: int) -> None:
        """Let memory hold some or all of what is in the file as well."""
        self.remembered_before, tail.MAX_WRITTEN = tail.MAX_WRITTEN, remembered

    @rule(devices=st.lists(st.sampled_from("xyz"), max_size=9))
    def append(self, devices: list[str]) -> None:
        """Accept readings."""

        async def append() -> None:
            for device_id in devices:
                self.last += 1
                self.waiting.append(self.last)
                self.outbox.append([Reading(device_id, "v", self.last, self.last)])

        self._run(append())

    @rule()
    def commit(self) -> None:
        """Write everything down."""
        self._run(self.outbox.commit())
        self.on_disk = self.waiting[:], self.letters[:]

    @rule(target=batches, limit=st.integers(1, 6))
    def take_backlog(self, limit: int) -> Taken:
        """Take what was there before the last rewind, the oldest first."""
        batch = self._run(self.outbox.take_backlog(limit))
        return self._taken(
            batch, limit, [n for n in self._free() if n <= self.boundary]
        )

    @rule(target=batches, limit=st.integers(1, 6))
    def take_live(self, limit: int) -> Taken:
        """Take what came after it, the oldest first."""
        batch = self._run(self.outbox.take_live(limit))
        return self._taken(batch, limit, [n for n in self._free() if n > self.boundary])

    def _free(self) -> list[float]:
        return [n for n in self.waiting if n not in self.out]

    def _taken(self, batch: Batch | None, limit: int, expected: list[float]) -> Taken:
        found = _values(batch)
        assert bool(found) == bool(expected)
        assert len(found) <= limit
        assert found == expected[: len(found)]
        self.out.update(found)
        return self.starts, batch or Batch(())

    @rule(target=batches, taken=consumes(batches))
    def confirm_half(self, taken: Taken) -> Taken:
        """Let the server accept a part."""
        half, rest = self._known(taken).halves()
        self._run(self.outbox.confirm(half))
        self._settled(half)
        return self.starts, rest

    @rule(taken=consumes(batches))
    def confirm(self, taken: Taken) -> None:
        """Let the server accept it."""
        batch = self._known(taken)
        self._run(self.outbox.confirm(batch))
        self._settled(batch)

    @rule(taken=consumes(batches))
    def set_aside(self, taken: Taken) -> None:
        """Let the server refuse it."""
        batch = self._known(taken)
        self._run(self.outbox.set_aside(batch, "no"))
        self.letters += self._settled(batch)

    @rule(taken=consumes(batches))
    def release(self, taken: Taken) -> None:
        """Put it back."""
        batch = self._known(taken)
        self._run(self.outbox.release(batch))
        self.out.difference_update(_values(batch))

    def _known(self, taken: Taken) -> Batch:
        """Return a batch, but nothing of one that an earlier process has taken."""
        starts, batch = taken
        return batch if starts == self.starts else Batch(())

    def _settled(self, batch: Batch) -> list[float]:
        settled = [n for n in _values(batch) if n in self.out]
        self.out.difference_update(settled)
        self.waiting = [n for n in self.waiting if n not in settled]
        return settled

    @rule()
    def rewind(self) -> None:
        """Begin again."""
        self.outbox.rewind()
        self.boundary = self.last

    @rule()
    def reopen(self) -> None:
        """End in order and start again."""
        self._run(self.outbox.close())
        self._start_again()

    @rule()
    def crash(self) -> None:
        """Start again with what is on the disk at this instant."""
        crashed = as_crashed(self.path, self.path.with_name(f"{self.path.name}-"))
        self._run(self.outbox.close())
        self.path = crashed
        self.waiting, self.letters = self.on_disk
        self._start_again()

    def _start_again(self) -> None:
        self.starts += 1
        self.out.clear()
        self.outbox = self._opened()
        self.boundary = self.last
        self.on_disk = self.waiting[:], self.letters[:]
        assert (self.outbox.mishap, self.outbox.problem) == (None, None)

    @invariant()
    def counts_add_up(self) -> None:
        """What was accepted waits, or was confirmed or set aside."""
        assert len(self.outbox) == len(self.waiting)

    def teardown(self) -> None:
        """Find everything that waits, in order, and all that was set aside."""
        free = self._free()
        tail.MAX_WRITTEN = self.remembered_before
        found = self._run(values(self.outbox))
        letters = self._run(self.outbox.dead_letters())
        self._run(self.outbox.close())
        self.loop.close()
        self.folder.cleanup()
        assert found == free
        assert [letter.reading.value for letter in letters] == self.letters


TestFifo = Fifo.TestCase
TestFifo.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


async def test_what_memory_no_longer_holds_comes_from_the_file(tmp_path: Path) -> None:
    count = 2 * tail.MAX_WRITTEN
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(1, count))
        await outbox.commit()
        live: list[float] = []
        while batch := await outbox.take_live(count // 4):
            live += _values(batch)
    assert live == list(range(1, count + 1))


async def test_what_is_recalled_comes_in_between_what_memory_holds(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "outbox") as outbox:
        outbox.append(readings(1, 3))
        refused = await outbox.take_live(1)
        assert refused
        await outbox.set_aside(refused, "no")
        await outbox.commit()
        recalling = asyncio.ensure_future(outbox.recall())
        await asyncio.sleep(0)
        outbox.append(readings(4, 5))
        await recalling
        outbox.append(readings(6, 6))
        assert sorted(await values(outbox)) == [1, 2, 3, 4, 5, 6]


async def test_one_that_can_not_be_kept_keeps_no_other_one_out() -> None:
    async with opened(None) as outbox:
        with pytest.raises(ValueError, match="nan is not a finite number"):
            outbox.append(
                [*readings(1, 2), Reading("d", "v", math.nan, 0), *readings(3, 3)]
            )
        assert await values(outbox) == [1, 2, 3]
