"""The newest-only outbox loses nothing but what is superseded, and counts that."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
import math
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)
import pytest

from custom_components.sensorvision.client.outbox import NewestOutbox
from custom_components.sensorvision.client.readings import Batch, Entry, Reading
from custom_components.sensorvision.client.rows import Recalled

from .outbox_files import NEVER, as_crashed

NOW = time.time()
QUARTER_HOUR_S = 15 * 60

# A batch, and in which process it was taken.
type Taken = tuple[int, Batch]


@pytest.fixture(autouse=True)
def _present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let readings be of the test's own time: by the end of a long run others are too old."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", time.time())


def _reading(variable: str, value: float, device_id: str = "d") -> Reading:
    return Reading(device_id, variable, value, NOW + value / 1000)


async def _opened(path: Path | None = None) -> NewestOutbox:
    outbox = NewestOutbox(None if path is None else str(path), NEVER)
    await outbox.open()
    return outbox


async def _take(outbox: NewestOutbox, device_id: str = "d") -> Batch:
    batch = await outbox.take(device_id)
    assert batch is not None
    return batch


def _numbers(batch: Batch) -> dict[str, float]:
    return {reading.variable: reading.value for reading in batch.readings}


@pytest.fixture
async def outbox() -> AsyncIterator[NewestOutbox]:
    """Open an outbox in memory."""
    opened = await _opened()
    yield opened
    await opened.close()


async def test_new_outbox_is_empty(outbox: NewestOutbox) -> None:
    assert (len(outbox), await outbox.devices()) == (0, [])
    assert await outbox.take("d") is None


async def test_oldest_reading_is_known_wherever_it_is(outbox: NewestOutbox) -> None:
    assert outbox.oldest() is None
    outbox.append([_reading("a", 1), _reading("b", 2, "e")])
    assert outbox.oldest() == NOW + 0.001
    batch = await _take(outbox)
    assert outbox.oldest() == NOW + 0.001
    await outbox.confirm(batch)
    assert outbox.oldest() == NOW + 0.002


async def test_newest_reading_of_a_variable_waits(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1), _reading("b", 2), _reading("a", 3)])
    assert (len(outbox), outbox.superseded) == (2, 1)
    assert _numbers(await _take(outbox)) == {"a": 3, "b": 2}


async def test_devices_wait_apart_oldest_first(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1, "x"), _reading("a", 2, "y"), _reading("b", 3, "x")])
    assert await outbox.devices() == ["x", "y"]
    assert _numbers(await _take(outbox, "x")) == {"a": 1, "b": 3}
    assert await outbox.devices() == ["y"]


async def test_taken_readings_stay_until_they_are_confirmed(
    outbox: NewestOutbox,
) -> None:
    outbox.append([_reading("a", 1)])
    batch = await _take(outbox)
    assert len(outbox) == 1
    await outbox.confirm(batch)
    assert (len(outbox), outbox.superseded) == (0, 0)


async def test_released_readings_wait_again(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1)])
    await outbox.release(await _take(outbox))
    assert await outbox.devices() == ["d"]
    assert _numbers(await _take(outbox)) == {"a": 1}


async def test_released_reading_gives_way_to_a_newer_one(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    outbox.append([_reading("a", 3)])
    await outbox.release(batch)
    assert (len(outbox), outbox.superseded) == (2, 1)
    assert _numbers(await _take(outbox)) == {"a": 3, "b": 2}


async def test_what_was_confirmed_is_not_released(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    await outbox.confirm(batch.halves()[0])
    await outbox.release(batch)
    assert _numbers(await _take(outbox)) == {"b": 2}


async def test_device_hands_out_nothing_more_while_some_of_it_is_out(
    outbox: NewestOutbox,
) -> None:
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    outbox.append([_reading("a", 3)])
    await outbox.confirm(batch.halves()[0])
    assert await outbox.take("d") is None
    assert await outbox.devices() == []
    await outbox.confirm(batch.halves()[1])
    assert await outbox.devices() == ["d"]
    assert _numbers(await _take(outbox)) == {"a": 3}


async def test_discarded_readings_of_a_device_are_gone(outbox: NewestOutbox) -> None:
    """Those on their way do not come back, and those of others stay."""
    outbox.append([_reading("a", 1), _reading("a", 1, "e")])
    batch = await _take(outbox)
    outbox.append([_reading("b", 2)])
    await outbox.discard("d")
    await outbox.discard("unknown")
    await outbox.release(batch)
    assert (len(outbox), await outbox.devices()) == (1, ["e"])
    await outbox.confirm(batch)
    assert len(outbox) == 1


async def test_batch_settled_before_touches_nothing_newer(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1)])
    old = await _take(outbox)
    await outbox.release(old)
    outbox.append([_reading("a", 2)])
    await _take(outbox)
    await outbox.confirm(old)
    await outbox.release(old)
    assert (len(outbox), outbox.superseded) == (1, 1)


async def test_inherited_readings_wait_if_they_are_true_and_the_newest(
    outbox: NewestOutbox,
) -> None:
    """What is not is superseded: it would be sent as true now."""
    outbox.append([Reading("d", "a", 5, NOW)])
    outbox.inherit(
        [
            Reading("d", "a", 4, NOW - 10),
            Reading("d", "b", 1, NOW - 20),
            Reading("d", "b", 2, NOW - 10),
            Reading("d", "c", 3, NOW - 2 * QUARTER_HOUR_S),
        ]
    )
    assert _numbers(await _take(outbox)) == {"a": 5, "b": 2}
    assert outbox.superseded == 3


def test_halves_are_the_whole() -> None:
    batch = Batch(tuple(Entry(n, _reading("a", n)) for n in range(3)))
    first, second = batch.halves()
    assert (len(first.entries), len(second.entries)) == (1, 2)
    assert first.readings + second.readings == batch.readings


async def test_refused_reading_is_kept_to_be_seen(outbox: NewestOutbox) -> None:
    outbox.append([_reading("a", 1)])
    await outbox.set_aside(await _take(outbox), "too hot")
    [letter] = await outbox.dead_letters()
    assert (letter.reading, letter.reason) == (_reading("a", 1), "too hot")
    assert len(outbox) == 0


@pytest.mark.parametrize(
    ("aged_s", "waiting", "superseded"),
    [
        (0, 1, 0),
        (QUARTER_HOUR_S - 60, 1, 0),
        (QUARTER_HOUR_S + 60, 0, 1),
        # The clock has gone back.
        (-QUARTER_HOUR_S - 60, 0, 1),
    ],
)
async def test_what_may_not_be_true_any_more_is_superseded_by_a_restart(
    tmp_path: Path, aged_s: float, waiting: int, superseded: int
) -> None:
    before = await _opened(tmp_path / "outbox")
    before.append([Reading("d", "a", 1, time.time() - aged_s)])
    await before.close()
    after = await _opened(tmp_path / "outbox")
    assert (len(after), after.superseded) == (waiting, superseded)
    await after.close()
    again = await _opened(tmp_path / "outbox")
    assert (len(again), again.superseded) == (waiting, 0)
    await again.close()


async def test_file_damaged_under_it_costs_no_reading(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    outbox = await _opened(path)
    outbox.append(_reading(f"v{n}", n) for n in range(50))
    await outbox.commit()
    await outbox.close()
    outbox = await _opened(path)
    await outbox.dead_letters()
    batch = await _take(outbox)
    outbox.append([_reading("late", 51)])
    os.truncate(path, 4096)
    os.truncate(f"{path}-wal", 0)
    await outbox.commit()
    await outbox.release(batch)
    assert len(outbox) == 51
    await outbox.close()
    again = await _opened(path)
    assert again.mishap or outbox.mishap
    assert len((await _take(again)).entries) == 51
    await again.close()


class AnyOrder(RuleBasedStateMachine):
    """Do everything in any order, against plain counting."""

    batches: Bundle[Taken] = Bundle("batches")
    settled: Bundle[Taken] = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox"
        self.outbox = self._run(_opened(self.path))
        self.starts = 0
        self.last = 0
        self.accepted = 0
        self.confirmed = 0
        self.newest: dict[tuple[str, str], Reading] = {}
        self.on_disk: dict[tuple[str, str], Reading] = {}
        self.out: dict[str, Batch] = {}

    def _run[T](self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(
        keys=st.lists(
            st.tuples(st.sampled_from("xyz"), st.sampled_from("abc")), max_size=5
        )
    )
    def append(self, keys: list[tuple[str, str]]) -> None:
        """Accept readings, some of them of the same variable."""

        async def append() -> None:
            for device_id, variable in keys:
                self.last += 1
                self.accepted += 1
                reading = _reading(variable, self.last, device_id)
                self.newest[device_id, variable] = reading
                self.outbox.append([reading])

        self._run(append())

    @rule(target=batches, device_id=st.sampled_from("xyz"))
    def take(self, device_id: str) -> Taken:
        """Take what a device has, which is always the newest."""
        is_listed = device_id in self._run(self.outbox.devices())
        batch = self._run(self.outbox.take(device_id))
        assert (batch is not None) == is_listed
        if batch is None:
            return self.starts, Batch(())
        assert device_id not in self.out
        assert len(_numbers(batch)) == len(batch.readings) > 0
        for reading in batch.readings:
            assert reading == self.newest[device_id, reading.variable]
        self.out[device_id] = batch
        return self.starts, batch

    @rule(target=batches, taken=consumes(batches))
    def confirm_half(self, taken: Taken) -> Taken:
        """Let the server accept a part of a batch."""
        half, rest = self._known(taken).halves()
        self._confirm(half)
        return self.starts, rest

    @rule(target=settled, taken=consumes(batches))
    def confirm(self, taken: Taken) -> Taken:
        """Let the server accept a batch."""
        batch = self._known(taken)
        self._confirm(batch)
        self._settle(batch)
        return self.starts, batch

    @rule(target=settled, taken=consumes(batches))
    def release(self, taken: Taken) -> Taken:
        """Put a batch back."""
        batch = self._known(taken)
        self._run(self.outbox.release(batch))
        self._settle(batch)
        return self.starts, batch

    @rule(taken=settled)
    def settle_again(self, taken: Taken) -> None:
        """Settle a batch that was settled before, as long as none of it is out again."""
        batch = self._known(taken)
        out = {entry for other in self.out.values() for entry in other.entries}
        if out & set(batch.entries):
            return
        before = len(self.outbox), self.outbox.superseded
        self._run(self.outbox.confirm(batch))
        self._run(self.outbox.release(batch))
        assert before == (len(self.outbox), self.outbox.superseded)

    @rule()
    def commit(self) -> None:
        """Write everything down."""
        self._run(self.outbox.commit())
        self.on_disk = dict(self.newest)

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
        self.newest = dict(self.on_disk)
        self._start_again()

    def _start_again(self) -> None:
        self.starts += 1
        self.out.clear()
        self.outbox = self._run(_opened(self.path))
        # What was out beside a newer one of its variable has come back, and given way.
        self.accepted = len(self.outbox) + self.outbox.superseded
        self.confirmed = 0
        self.on_disk = dict(self.newest)
        assert (self.outbox.mishap, self.outbox.problem) == (None, None)

    def _known(self, taken: Taken) -> Batch:
        """Return a batch, but nothing of one that an earlier process has taken."""
        starts, batch = taken
        return batch if starts == self.starts else Batch(())

    def _confirm(self, batch: Batch) -> None:
        self._run(self.outbox.confirm(batch))
        self.confirmed += len(batch.readings)
        for reading in batch.readings:
            key = reading.device_id, reading.variable
            if self.newest[key] == reading:
                del self.newest[key]

    def _settle(self, batch: Batch) -> None:
        if batch.readings:
            del self.out[batch.readings[0].device_id]

    @invariant()
    def every_reading_is_accounted_for(self) -> None:
        """Accepted is confirmed, superseded or waiting."""
        waiting = len(self.outbox)
        assert self.accepted == self.confirmed + self.outbox.superseded + waiting

    def teardown(self) -> None:
        """Find the newest reading of each variable that was not confirmed."""
        for batch in self.out.values():
            self._run(self.outbox.release(batch))
        left = [
            reading
            for device_id in self._run(self.outbox.devices())
            for reading in self._run(_take(self.outbox, device_id)).readings
        ]
        self._run(self.outbox.close())
        self.loop.close()
        self.folder.cleanup()
        assert sorted(left) == sorted(self.newest.values())


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


async def test_recalled_reading_waits_if_it_may_still_be_true(
    outbox: NewestOutbox,
) -> None:
    """Only the newest of its variable, and none that has waited too long."""
    now = time.time()
    for name, value, at in [
        ("stale", 1, now - 3600),
        ("replaced", 2, now - 2),
        ("twice", 3, now - 2),
        ("twice", 4, now - 1),
        ("true", 5, now),
    ]:
        outbox.append([Reading("d", name, value, at)])
        await outbox.set_aside(await _take(outbox), "too hot")
    outbox.append([Reading("d", "replaced", 6, now - 1)])
    await outbox.confirm(await _take(outbox))
    assert await outbox.recall() == Recalled(waiting=2, superseded=3)
    assert outbox.superseded == 3
    assert await outbox.dead_letters() == []
    assert [(r.variable, r.value) for r in (await _take(outbox)).readings] == [
        ("twice", 4),
        ("true", 5),
    ]
    assert len(outbox) == 2


async def test_one_that_can_not_be_kept_keeps_no_other_variable_out() -> None:
    outbox = NewestOutbox()
    await outbox.open()
    now = time.time()
    with pytest.raises(ValueError, match="inf is not a finite number"):
        outbox.append(
            [
                Reading("d", "a", 1, now),
                Reading("d", "b", math.inf, now),
                Reading("d", "c", 3, now),
            ]
        )
    batch = await outbox.take("d")
    await outbox.close()
    assert batch
    assert [reading.variable for reading in batch.readings] == ["a", "c"]
