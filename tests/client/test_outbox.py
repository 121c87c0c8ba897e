"""The outbox loses nothing but what a newer reading has superseded, and counts that."""

import asyncio
from collections.abc import Coroutine

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from custom_components.sensorvision.client.outbox import Batch, Outbox, Reading


def _reading(variable: str, value: float, device_id: str = "d") -> Reading:
    return Reading(device_id, variable, value, time=value)


async def _take(outbox: Outbox, device_id: str = "d") -> Batch:
    batch = await outbox.take(device_id)
    assert batch is not None
    return batch


async def test_new_outbox_is_empty() -> None:
    """There is nothing to take."""
    outbox = Outbox()
    assert (len(outbox), await outbox.devices()) == (0, [])
    assert await outbox.take("d") is None


async def test_oldest_reading_is_known_wherever_it_is() -> None:
    """One that is on its way to the server waits for its answer."""
    outbox = Outbox()
    assert outbox.oldest() is None
    outbox.append([_reading("a", 1), _reading("b", 2, "e")])
    assert outbox.oldest() == 1
    batch = await _take(outbox)
    assert outbox.oldest() == 1
    await outbox.confirm(batch)
    assert outbox.oldest() == 2


async def test_newest_reading_of_a_variable_waits() -> None:
    """The one that it replaced is counted."""
    outbox = Outbox()
    outbox.append([_reading("a", 1), _reading("b", 2), _reading("a", 3)])
    assert (len(outbox), outbox.superseded) == (2, 1)
    assert (await _take(outbox)).variables() == {"a": 3, "b": 2}


async def test_devices_wait_apart_oldest_first() -> None:
    """One device's batch holds nothing of another's."""
    outbox = Outbox()
    outbox.append([_reading("a", 1, "x"), _reading("a", 2, "y"), _reading("b", 3, "x")])
    assert await outbox.devices() == ["x", "y"]
    assert (await _take(outbox, "x")).variables() == {"a": 1, "b": 3}
    assert await outbox.devices() == ["y"]


async def test_taken_readings_stay_until_they_are_confirmed() -> None:
    """Sent is not yet delivered."""
    outbox = Outbox()
    outbox.append([_reading("a", 1)])
    batch = await _take(outbox)
    assert len(outbox) == 1
    await outbox.confirm(batch)
    assert (len(outbox), outbox.superseded) == (0, 0)


async def test_released_readings_wait_again() -> None:
    """As if they had never been taken."""
    outbox = Outbox()
    outbox.append([_reading("a", 1)])
    await outbox.release(await _take(outbox))
    assert await outbox.devices() == ["d"]
    assert (await _take(outbox)).variables() == {"a": 1}


async def test_released_reading_gives_way_to_a_newer_one() -> None:
    """An older value must not be sent after a newer one."""
    outbox = Outbox()
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    outbox.append([_reading("a", 3)])
    await outbox.release(batch)
    assert (len(outbox), outbox.superseded) == (2, 1)
    assert (await _take(outbox)).variables() == {"a": 3, "b": 2}


async def test_what_was_confirmed_is_not_released() -> None:
    """So a batch can be released whole after a part was sent."""
    outbox = Outbox()
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    await outbox.confirm(batch.halves()[0])
    await outbox.release(batch)
    assert (await _take(outbox)).variables() == {"b": 2}


async def test_device_hands_out_nothing_more_while_some_of_it_is_out() -> None:
    """A late older request would overtake the newer value."""
    outbox = Outbox()
    outbox.append([_reading("a", 1), _reading("b", 2)])
    batch = await _take(outbox)
    outbox.append([_reading("a", 3)])
    await outbox.confirm(batch.halves()[0])
    assert await outbox.take("d") is None
    assert await outbox.devices() == []
    await outbox.confirm(batch.halves()[1])
    assert await outbox.devices() == ["d"]
    assert (await _take(outbox)).variables() == {"a": 3}


async def test_discarded_readings_of_a_device_are_gone() -> None:
    """Those on their way do not come back, and those of others stay."""
    outbox = Outbox()
    outbox.append([_reading("a", 1), _reading("a", 1, "e")])
    batch = await _take(outbox)
    outbox.append([_reading("b", 2)])
    await outbox.discard("d")
    await outbox.discard("unknown")
    await outbox.release(batch)
    assert (len(outbox), await outbox.devices()) == (1, ["e"])
    await outbox.confirm(batch)
    assert len(outbox) == 1


async def test_batch_settled_before_touches_nothing_newer() -> None:
    """Settling twice does no harm."""
    outbox = Outbox()
    outbox.append([_reading("a", 1)])
    old = await _take(outbox)
    await outbox.release(old)
    outbox.append([_reading("a", 2)])
    await _take(outbox)
    await outbox.confirm(old)
    await outbox.release(old)
    assert (len(outbox), outbox.superseded) == (1, 1)


def test_halves_are_the_whole() -> None:
    """None of the readings is lost or doubled."""
    batch = Batch("d", tuple(_reading(name, 1) for name in "abc"))
    first, second = batch.halves()
    assert (first.device_id, second.device_id) == ("d", "d")
    assert (len(first.readings), len(second.readings)) == (1, 2)
    assert first.readings + second.readings == batch.readings


class AnyOrder(RuleBasedStateMachine):
    """Append, take, confirm and release in any order, against plain counting."""

    batches: Bundle[Batch] = Bundle("batches")
    settled: Bundle[Batch] = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.outbox = Outbox()
        self.accepted = 0
        self.confirmed = 0
        self.newest: dict[tuple[str, str], Reading] = {}
        self.out: dict[str, Batch] = {}

    @rule(
        keys=st.lists(
            st.tuples(st.sampled_from("xyz"), st.sampled_from("abc")), max_size=5
        )
    )
    def append(self, keys: list[tuple[str, str]]) -> None:
        """Accept readings, some of them of the same variable."""
        readings = []
        for device_id, variable in keys:
            self.accepted += 1
            reading = _reading(variable, self.accepted, device_id)
            self.newest[device_id, variable] = reading
            readings.append(reading)
        self.outbox.append(readings)

    @rule(target=batches, device_id=st.sampled_from("xyz"))
    def take(self, device_id: str) -> Batch:
        """Take what a device has, which is always the newest."""
        is_listed = device_id in self._run(self.outbox.devices())
        batch = self._run(self.outbox.take(device_id))
        assert (batch is not None) == is_listed
        if batch is None:
            return Batch(device_id, ())
        assert device_id not in self.out
        assert len(batch.variables()) == len(batch.readings) > 0
        for reading in batch.readings:
            assert reading is self.newest[device_id, reading.variable]
        self.out[device_id] = batch
        return batch

    @rule(target=batches, batch=consumes(batches))
    def confirm_half(self, batch: Batch) -> Batch:
        """Let the server accept a part of a batch."""
        half, rest = batch.halves()
        self._confirm(half)
        return rest

    @rule(target=settled, batch=consumes(batches))
    def confirm(self, batch: Batch) -> Batch:
        """Let the server accept a batch."""
        self._confirm(batch)
        self._settle(batch)
        return batch

    @rule(target=settled, batch=consumes(batches))
    def release(self, batch: Batch) -> Batch:
        """Put a batch back."""
        self._run(self.outbox.release(batch))
        self._settle(batch)
        return batch

    @rule(batch=settled)
    def settle_again(self, batch: Batch) -> None:
        """Settle a batch that was settled before, as long as none of it is out again."""
        out = self.out.get(batch.device_id)
        if out is not None and set(out.readings) & set(batch.readings):
            return
        before = len(self.outbox), self.outbox.superseded
        self._run(self.outbox.confirm(batch))
        self._run(self.outbox.release(batch))
        assert before == (len(self.outbox), self.outbox.superseded)

    def _run[T](self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def _confirm(self, batch: Batch) -> None:
        self._run(self.outbox.confirm(batch))
        self.confirmed += len(batch.readings)
        for reading in batch.readings:
            key = reading.device_id, reading.variable
            if self.newest[key] is reading:
                del self.newest[key]

    def _settle(self, batch: Batch) -> None:
        if batch.readings:
            del self.out[batch.device_id]

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
        self.loop.close()
        assert sorted(left) == sorted(self.newest.values())


TestAnyOrder = AnyOrder.TestCase
