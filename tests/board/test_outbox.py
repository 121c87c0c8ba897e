"""The outbox in memory: what is true now, and what was measured when."""

import time

import pytest

from .conftest import Run
from .test_clock import both_epochs

_HEAD = """
import asyncio, time
from machine import RTC
from sensorvision import clock
from sensorvision.outbox import Outbox

def values(batch):
    return {name: batch[name][0] for name in batch}

def counts(outbox):
    return [outbox.waiting, outbox.superseded, outbox.dropped]
"""

_LIVE = """
outbox = Outbox(3600, 50)
said = [outbox.has_any()]
outbox.put({})
said.append(outbox.has_any())
outbox.put({"t": 1, "h": 10})
outbox.put({"t": 2})
said.append(values(outbox.newest()))
said.append(values(outbox.newest(1)))
batch = outbox.newest()
outbox.put({"t": 3})
outbox.remove(batch)
said.append(values(outbox.newest()))
said.append(outbox.has_any())
outbox.remove(outbox.newest())
said.append(outbox.has_any())
said.append(counts(outbox))
say(said)
"""


async def test_newest_of_each_variable_is_given_and_the_rest_superseded(
    run: Run,
) -> None:
    said = await run(_HEAD + _LIVE)
    assert said[:2] == [False, False]
    first, limited, newer = said[2:5]
    assert first == {"t": 2, "h": 10}
    assert len(limited) == 1
    assert limited.items() <= first.items()
    # What came while the batch was on its way is not done with.
    assert newer == {"t": 3}
    assert said[5:7] == [True, False]
    # The one that was sent is not among them, nor what came before anybody asked.
    assert said[7] == [0, 1, 0]


_AGING = """
outbox = Outbox(1, 50)
outbox.put({"t": 1})
first = values(outbox.newest())
time.sleep_ms(3000)
outbox.put({"h": 2})
second = values(outbox.newest())
time.sleep_ms(3000)
say([first, second, values(outbox.newest()), outbox.has_any(), counts(outbox)])
"""


async def test_what_is_not_true_now_any_more_is_let_go(run: Run) -> None:
    first, second, third, has_any, counts = await run(_HEAD + _AGING)
    assert first == {"t": 1}
    assert second == {"h": 2}
    assert third == {}
    assert has_any is False
    assert counts == [0, 2, 0]


_DATED = """
outbox = Outbox(60, 5)
for n in range(7):
    outbox.put({"n": n})
said = [outbox.oldest(3), counts(outbox)]
asyncio.run(clock.set_clock())
outbox.clock_was_set()
outbox.put({"n": 7})
said.append(outbox.oldest(3))
said.append(outbox.oldest(10))
outbox.confirm(outbox.oldest(2))
outbox.confirm([])
said.append([what for _, _, what in outbox.oldest(10)])
outbox.flush()
outbox.confirm(outbox.oldest(10))
said += [outbox.has_any(), counts(outbox)]
say(said)
"""


@both_epochs
async def test_oldest_come_first_and_get_their_time_once_the_clock_is_right(
    run: Run, clock: dict[str, int]
) -> None:
    began = time.time()
    said = await run(_HEAD + _DATED, world={"clock": clock})
    unset, counts, three, all_of_them, rest, has_any, counts_at_end = said
    assert unset == []
    assert counts == [5, 0, 2]
    assert [what["n"] for _, _, what in three] == [3, 4, 5]
    assert three == all_of_them[:3]
    assert [what["n"] for _, _, what in all_of_them] == [3, 4, 5, 6, 7]
    for _, unix_s, _ in all_of_them:
        assert began - 2 <= unix_s <= time.time() + 2
    assert rest == [{"n": 5}, {"n": 6}, {"n": 7}]
    assert has_any is False
    assert counts_at_end == [0, 0, 3]


_LONG = """
outbox = Outbox(60, 50)
outbox.put({"n": 1})
# Fifteen days go by before the network is there: longer than ticks count.
RTC().datetime(time.gmtime(time.time() + 15 * 86400)[:3] + (0,) + time.gmtime()[3:6] + (0,))
outbox.put({"n": 2})
asyncio.run(clock.set_clock())
say([unix_s for _, unix_s, _ in outbox.oldest(2)])
"""


@pytest.mark.parametrize("starts", [946_684_800, 1_609_459_200])
async def test_long_time_before_the_clock_is_set_is_measured(
    run: Run, starts: int
) -> None:
    first, second = await run(_HEAD + _LONG, world={"clock": {"starts": starts}})
    assert abs(second - time.time()) < 20
    assert abs(second - first - 15 * 86400) < 20


_ASLEEP = """
import json
asleep = Outbox(60, 5)
for n in range(3):
    asleep.put({"n": n, "nan": float("nan"), "inf": float("inf")})
if is_set_before:
    asyncio.run(clock.set_clock())
memory = json.dumps(asleep.held())
# A program that starts again knows nothing of jumps.
clock.jump = 0
awake = Outbox(60, 5)
awake.put({"n": 99})
awake.confirm(awake.oldest(1))
awake.resume(json.loads(memory))
asyncio.run(clock.set_clock())
say([awake.oldest(10), {name: pair[0] for name, pair in awake.newest().items()}])
"""


@pytest.mark.parametrize("is_set_before", [True, False])
@both_epochs
async def test_what_is_held_keeps_its_time_over_a_deep_sleep(
    run: Run, clock: dict[str, int], is_set_before: bool
) -> None:
    began = time.time()
    records, newest = await run(
        _HEAD + _ASLEEP, world={"clock": clock}, is_set_before=is_set_before
    )
    own = [] if is_set_before else [{"n": 99}]
    assert [what for _, _, what in records] == [*own, {"n": 0}, {"n": 1}, {"n": 2}]
    for _, unix_s, _ in records:
        assert began - 2 <= unix_s <= time.time() + 2
    assert newest == {"n": 2}
