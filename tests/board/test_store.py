"""The outbox on flash: what was written comes back, whatever happened to the files."""

import json
from pathlib import Path
import shutil
import time
from typing import Any

import pytest

from benchmarks.board.costs import compile_to
from micropython.provision.manifest import stage
from micropython.simulator import SimulatedBoard
from micropython.simulator.process import FIRMWARE

from .conftest import Run
from .test_clock import both_epochs

_HEAD = """
import asyncio, os, time
from machine import RTC
from sensorvision import clock
from sensorvision.store import Store

def store(kb=64, every=10, every_s=3600, max_age_s=3600):
    return Store("/outbox", kb, every, every_s, max_age_s)

def numbers(outbox, limit=1000):
    return [what["n"] for _, _, what in outbox.oldest(limit)]

def put(outbox, first, last):
    for n in range(first, last + 1):
        outbox.put({"n": n, "temperature": 21.5, "humidity": 48.25})

def files():
    try:
        return sorted([int(name) for name in os.listdir("/outbox")])
    except OSError:
        return None

def content(number):
    with open("/outbox/%d" % number, "rb") as file:
        return file.read()

def write(number, data):
    with open("/outbox/%d" % number, "wb") as file:
        file.write(data)

def remove_files():
    for number in files() or ():
        os.remove("/outbox/%d" % number)
"""

_ROUND = """
outbox = store()
said = [outbox.has_any()]
put(outbox, 1, 25)
said += [outbox.waiting, files()]
before = numbers(outbox)
outbox.flush()
reopened = store()
said += [before == numbers(outbox), reopened.has_any(), reopened.waiting]
records = reopened.oldest(4)
said.append(records)
said.append(numbers(reopened))
reopened.confirm(records)
said.append(numbers(reopened, 2))
put(reopened, 26, 27)
said.append(numbers(reopened)[-3:])
reopened.confirm(reopened.oldest(1000))
said += [reopened.has_any(), reopened.waiting, files()]
reopened.put({"n": 28})
reopened.flush()
said.append(numbers(store()))
say(said)
"""


@both_epochs
async def test_readings_outlast_the_power_with_their_times(
    run: Run, clock: dict[str, int]
) -> None:
    began = int(time.time())
    world = {"clock": {"epoch": clock["epoch"]}}
    said = await run(_HEAD + _ROUND, world=world)
    (empty, waiting, files, same, has_any, waiting_again, records), rest = (
        said[:7],
        said[7:],
    )
    assert empty is False
    assert waiting == 25
    assert files == [1]
    assert same is True
    assert has_any is True
    assert waiting_again == 25
    assert [what for _, _, what in records] == [
        {"n": n, "temperature": 21.5, "humidity": 48.25} for n in range(1, 5)
    ]
    for _, unix_s, _ in records:
        assert began - 2 <= unix_s <= time.time() + 2
    assert rest == [
        list(range(1, 26)),
        [5, 6],
        [25, 26, 27],
        False,
        0,
        [],
        [28],
    ]


_SPARING = """
outbox = store(every=10, every_s=2)
sizes = []
for n in range(1, 21):
    outbox.put({"n": n})
    sizes.append(len(content(1)) if files() else 0)
slow = store(every=10, every_s=1)
slow.put({"n": 100})
before = len(content(1))
time.sleep_ms(2100)
slow.put({"n": 101})
after = len(content(1))
calm = store()
calm.confirm(calm.oldest(1000))
for n in range(30):
    calm.put({"n": n})
    calm.confirm(calm.oldest(5))
say([sizes, before, after, files(), calm.waiting])
"""


async def test_flash_is_written_once_for_many_and_not_at_all_while_all_is_well(
    run: Run,
) -> None:
    sizes, before, after, files, waiting = await run(_HEAD + _SPARING)
    assert sizes[:9] == [0] * 9
    assert len(set(sizes[9:19])) == 1
    assert sizes[19] == before > sizes[18]
    assert after > before
    assert files == []
    assert waiting == 0


_FULL = """
outbox = store(kb=16, every=5)
put(outbox, 1, 600)
size = sum([len(content(number)) for number in files()])
left = numbers(outbox)
reopened = store(kb=16, every=5)
say([size, left, outbox.dropped, outbox.waiting, numbers(reopened), reopened.waiting])
"""


async def test_oldest_go_when_the_room_is_used_up_and_are_counted(run: Run) -> None:
    size, left, dropped, waiting, reopened, waiting_again = await run(_HEAD + _FULL)
    assert size <= 16 * 1024
    assert left == list(range(601 - len(left), 601))
    assert len(left) > 100
    assert dropped == 600 - len(left)
    assert waiting == waiting_again == len(left)
    assert reopened == left


_MARKS = """
outbox = store(every=5)
put(outbox, 1, 100)
sizes = []
again = []
for _ in range(24):
    outbox.confirm(outbox.oldest(2))
    sizes.append(sum([len(content(number)) for number in files()]))
    again.append(numbers(store(every=5), 1)[0])
say([sizes, again])
"""


async def test_few_that_are_done_with_come_again_after_a_power_cut(run: Run) -> None:
    sizes, again = await run(_HEAD + _MARKS)
    # One mark for three times two: what is done with costs no write each.
    assert len(set(sizes)) == 10
    for round_, first in enumerate(again, 1):
        done = 2 * round_
        assert done - 5 < first - 1 <= done


_TRUNCATED = """
outbox = store()
put(outbox, 1, 10)
whole = content(1)
ends = []
begin = 0
for _ in range(10):
    ends.append(whole.find(b"\\n", begin + 1))
    begin = ends[-1] + 1
problems = []
for size in range(len(whole) + 1):
    remove_files()
    write(1, whole[:size])
    cut = store()
    kept = [n for n, end in enumerate(ends, 1) if end <= size]
    if numbers(cut) != kept:
        problems.append([size, "kept", numbers(cut), kept])
    put(cut, 11, 11)
    cut.flush()
    later = numbers(store())
    if later != kept + [11]:
        problems.append([size, "later", later])
say([len(whole), problems[:9]])
"""


async def test_file_that_ends_at_any_byte_gives_what_is_whole_and_takes_more(
    run: Run,
) -> None:
    size, problems = await run(_HEAD + _TRUNCATED, deadline_s=120)
    assert size > 500
    assert problems == []


_FLIPPED = """
outbox = store()
put(outbox, 1, 4)
outbox.flush()
whole = content(1)
lines = whole.split(b"\\n\\n")
first, last = len(lines[0]) + 1, len(lines[0]) + 1 + len(lines[1]) + 2
problems = []
spared = 0
for position in range(len(whole)):
    for bit in range(8):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        write(1, damaged)
        left = store()
        found = numbers(left)
        missing = [n for n in range(1, 5) if n not in found]
        if len(missing) > 1 or len(found) + len(missing) != 4:
            problems.append([position, bit, found])
        if first < position < last - 1 and missing not in ([2], []):
            problems.append([position, bit, "took its neighbour along", found])
        spared += not missing
        put(left, 5, 5)
        left.flush()
        if numbers(store()) != found + [5]:
            problems.append([position, bit, "later", numbers(store())])
say([len(whole) * 8, spared, problems[:9]])
"""


async def test_flipped_bit_costs_no_more_than_its_own_reading(run: Run) -> None:
    bits, spared, problems = await run(_HEAD + _FLIPPED, deadline_s=240)
    assert bits > 1000
    assert problems == []
    # Only a line's end that is doubled does not matter.
    assert spared < bits / 10


_BROKEN = """
fault = FAULT
if fault == "file":
    with open("/outbox", "w") as file:
        file.write("no directory")
elif fault == "unreadable":
    outbox = store()
    put(outbox, 1, 10)
    os.mkdir("/outbox/0")
outbox = store()
put(outbox, 11, 135)
said = [numbers(outbox, 5), outbox.waiting, outbox.dropped]
outbox.confirm(outbox.oldest(1000))
said += [outbox.has_any(), outbox.waiting]
say(said)
"""


async def test_without_a_directory_readings_wait_in_memory(run: Run) -> None:
    first, waiting, dropped, has_any, at_end = await run(
        _HEAD + _BROKEN.replace("FAULT", '"file"')
    )
    assert first == [36, 37, 38, 39, 40]
    assert waiting == 100
    assert dropped == 25
    assert has_any is False
    assert at_end == 0


async def test_file_that_cannot_be_read_is_passed_over(run: Run) -> None:
    first, waiting, dropped, has_any, at_end = await run(
        _HEAD + _BROKEN.replace("FAULT", '"unreadable"')
    )
    assert first == [1, 2, 3, 4, 5]
    assert waiting == 135
    assert dropped == 0
    assert has_any is False
    assert at_end == 0


_REFUSING = """
import vfs
import sensorvision.store
from nor import BLOCK_BYTES, Nor

told = []
sensorvision.store.print = told.append

class Switchable(Nor):
    is_read_only = False

    def writeblocks(self, *place):
        self.operations.clear()
        return -30 if self.is_read_only else super().writeblocks(*place)

    def ioctl(self, operation, block):
        if operation == 6 and self.is_read_only:
            return -30
        return super().ioctl(operation, block)

device = Switchable(bytearray(b"\\xff" * (12 * BLOCK_BYTES)))
vfs.VfsLfs2.mkfs(device)
os.mkdir("/chip")
vfs.mount(vfs.VfsLfs2(device), "/chip")

def fill():
    try:
        with open("/chip/filler", "wb") as file:
            while True:
                file.write(b"x" * 512)
    except OSError:
        pass
    # Less than a block is left; what was not closed is not there.
    size = 512
    try:
        while True:
            with open("/chip/filler", "ab") as file:
                file.write(b"x" * size)
    except OSError:
        pass

outbox = Store("/chip/outbox", 64, 10, 3600, 3600)
put(outbox, 1, 10)
if fault == "full":
    fill()
else:
    device.is_read_only = True
# Until it is told: on a full flash the last block may have room.
last = 10
while not told:
    put(outbox, last + 1, last + 10)
    last += 10
put(outbox, last + 1, last + 25)
last += 25
said = [len(told), told[0], numbers(outbox) == list(range(1, last + 1)), outbox.dropped]
if fault == "full":
    os.remove("/chip/filler")
else:
    device.is_read_only = False
put(outbox, last + 1, last + 10)
last += 10
outbox.flush()
reopened = Store("/chip/outbox", 64, 10, 3600, 3600)
said += [len(told), numbers(reopened) == list(range(1, last + 1)), reopened.waiting - last]
say(said)
"""


@pytest.mark.parametrize(("fault", "error"), [("full", 28), ("read-only", 30)])
async def test_flash_that_refuses_is_told_once_and_used_again(
    run: Run, tmp_path: Path, fault: str, error: int
) -> None:
    (tmp_path / "flash").mkdir()
    shutil.copy(FIRMWARE / "nor.py", tmp_path / "flash")
    said = await run(_HEAD + _REFUSING, fault=fault)
    times, told, is_all_there, dropped, times_later, is_all_on_flash, missing = said
    assert times == times_later == 1
    assert told.startswith(f"outbox: /chip/outbox fails (error {error}), ")
    assert told.endswith("readings wait in memory. Free flash")
    assert is_all_there is True
    assert dropped == 0
    assert is_all_on_flash is True
    assert missing == 0


_MEMORY = """
import gc
outbox = store(kb=64)
put(outbox, 1, 1000)
size = sum([len(content(number)) for number in files()])
outbox = None
gc.collect()
before = gc.mem_alloc()
outbox = store(kb=64)
first = outbox.oldest(5)
gc.collect()
say([size, outbox.waiting, gc.mem_alloc() - before])
"""


async def test_full_store_takes_no_more_memory_than_an_empty_one(run: Run) -> None:
    size, waiting, taken = await run(_HEAD + _MEMORY)
    assert size > 50_000
    assert waiting > 600
    assert taken < 4096


@pytest.mark.parametrize(
    ("module", "budget"), [("clock", 820), ("outbox", 1120), ("store", 2500)]
)
def test_bytecode_keeps_to_its_budget(tmp_path: Path, module: str, budget: int) -> None:
    assert compile_to(tmp_path)[f"sensorvision/{module}.py"] <= budget


_LIVE = """
outbox = store(every=5)
put(outbox, 1, 7)
said = [outbox.waiting, {name: pair[0] for name, pair in outbox.newest().items()}, files()]
for n in range(8, 40):
    put(outbox, n, n)
said += [outbox.waiting, files()]
outbox.remove(outbox.newest(1))
said += [len(outbox.newest()), outbox.waiting]
outbox.remove(outbox.newest())
said += [outbox.has_any(), outbox.superseded, outbox.dropped]
put(outbox, 50, 50)
outbox.flush()
said.append(files())
old = store()
said += [old.has_any(), old.newest(), old.has_any(), files()]
say(said)
"""


async def test_what_is_not_newest_is_let_go_without_a_write(run: Run) -> None:
    said = await run(_HEAD + _LIVE)
    newest = {"n": 7, "temperature": 21.5, "humidity": 48.25}
    assert said[:3] == [7, newest, []]
    assert said[3:5] == [1, []]
    assert said[5:7] == [2, 1]
    assert said[7:10] == [False, 32 * 3, 0]
    assert said[10] == [1]
    # After a power cut nothing is true now until it has been measured anew.
    assert said[11:] == [True, {}, False, []]


_ODD = """
outbox = store()
outbox.put({"good": 1.5, "nan": float("nan"), "inf": float("-inf")})
outbox.put({"zero": 0, "big": 2147483647, "small": -1.25e-7})
outbox.put({"name " + "x" * 50 + str(n): n for n in range(40)})
outbox.put({"ä\\n": 1})
outbox.flush()
say([what for _, _, what in store().oldest(10)])
"""


async def test_odd_readings_are_kept_and_what_is_no_number_is_left_out(
    run: Run,
) -> None:
    said = await run(_HEAD + _ODD)
    assert said[0] == {"good": 1.5}
    assert said[1] == {"zero": 0, "big": 2_147_483_647, "small": -1.25e-7}
    assert len(said[2]) == 40
    assert said[3] == {"ä\n": 1}


class Life:
    """One board through power cuts and resets, running one program at each start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def start(
        self, *steps: str, clock: dict[str, int], ntp: bool = False
    ) -> list[Any]:
        """Switch on, run the steps with a reset between each two, and switch off.

        Returns:
            What the last step said.
        """
        world = {"clock": clock, "ntp": ntp}
        board = SimulatedBoard(self._directory, world, heap="1m")
        stage(board.flash)
        step_file = board.flash / "step.json"
        step_file.write_text("0", encoding="utf-8")
        (board.flash / "main.py").write_text(
            "import json, machine\n"
            "with open('/step.json') as _file:\n"
            "    _step = json.load(_file)\n"
            "with open('/step.json', 'w') as _file:\n"
            "    json.dump(_step + 1, _file)\n"
            "def say(value):\n"
            "    print('SAID', json.dumps(value))\n"
            + _HEAD
            + f"exec({list(steps)!r}[_step])\n"
            + f"if _step < {len(steps) - 1}:\n"
            "    machine.reset()\n",
            encoding="utf-8",
        )
        async with board:
            await board.wait_until_off(30)
        said = [line for line in board.lines if line.startswith("SAID ")]
        assert said, "\n".join(board.lines)
        result: list[Any] = json.loads(said[-1].removeprefix("SAID "))
        return result


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """Return a board that can be switched on again and again."""
    return Life(tmp_path)


_UNDATED = """
outbox = store(every=1)
put(outbox, {0}, {0} + 2)
said = [numbers(outbox), outbox.waiting, outbox.dropped]
time.sleep_ms(1100)
say(said)
"""
_DATED = """
outbox = store(every=1)
put(outbox, {0}, {0} + 2)
assert asyncio.run(clock.set_clock())
outbox.clock_was_set()
reopened = store(every=1)
records = reopened.oldest(1000)
say([[what["n"] for _, _, what in records], [unix_s for _, unix_s, _ in records],
     outbox.dropped, reopened.waiting])
"""

_ESP32 = {"epoch": 2000, "starts": 946_684_800}


@both_epochs
async def test_readings_before_the_clock_is_set_get_their_time(
    life: Life, clock: dict[str, int]
) -> None:
    began = time.time()
    numbers, times, dropped, waiting = await life.start(
        _DATED.format(1), clock=clock, ntp=True
    )
    assert numbers == [1, 2, 3]
    assert all(began - 2 <= moment <= time.time() + 2 for moment in times)
    assert dropped == 0
    assert waiting == 3


async def test_reset_does_not_stop_the_clock_of_an_esp32(life: Life) -> None:
    began = time.time()
    numbers, times, dropped, _ = await life.start(
        _UNDATED.format(1), _UNDATED.format(4), _DATED.format(7), clock=_ESP32, ntp=True
    )
    assert numbers == list(range(1, 10))
    assert all(began - 2 <= moment <= time.time() + 2 for moment in times)
    # They lie as far apart as they were measured, with a second between the starts.
    assert times[3] - times[0] >= 1
    assert times[6] - times[3] >= 1
    assert dropped == 0


async def test_readings_of_a_power_cycle_without_time_are_never_sent(
    life: Life,
) -> None:
    first = await life.start(_UNDATED.format(1), clock=_ESP32)
    assert first == [[], 3, 0]
    # The clock is further on than at the last reading, but power was cut between.
    await life.start("time.sleep_ms(2000)\n" + _UNDATED.format(4), clock=_ESP32)
    sent = """
outbox = store(every=1)
put(outbox, 7, 9)
assert asyncio.run(clock.set_clock())
outbox.clock_was_set()
records = outbox.oldest(1000)
outbox.confirm(records)
say([[what["n"] for _, _, what in records], [unix_s for _, unix_s, _ in records],
     outbox.dropped, outbox.waiting, outbox.has_any(), files()])
"""
    numbers, times, dropped, waiting, has_any, files = await life.start(
        sent, clock=_ESP32, ntp=True
    )
    assert numbers == [7, 8, 9]
    assert all(abs(moment - time.time()) < 20 for moment in times)
    assert dropped == 6
    assert waiting == 0
    assert has_any is False
    assert files == []


async def test_reset_after_a_power_cut_gives_no_time_to_what_was_before_the_cut(
    life: Life,
) -> None:
    await life.start(_UNDATED.format(1), clock=_ESP32)
    # The clock is further on than at the last reading when the reset comes.
    opened = "time.sleep_ms(2500)\nstore()\nsay([])"
    numbers, times, dropped, _ = await life.start(
        opened, _UNDATED.format(4), _DATED.format(7), clock=_ESP32, ntp=True
    )
    assert numbers == list(range(4, 10))
    assert all(abs(moment - time.time()) < 20 for moment in times)
    assert times[3] - times[0] >= 1
    assert dropped == 0


async def test_store_with_nothing_that_can_be_dated_empties_itself(life: Life) -> None:
    await life.start(_UNDATED.format(1), clock=_ESP32)
    emptied = """
outbox = store()
assert asyncio.run(clock.set_clock())
outbox.clock_was_set()
say([outbox.has_any(), outbox.oldest(10), outbox.has_any(), outbox.dropped, files()])
"""
    said = await life.start(emptied, clock=_ESP32, ntp=True)
    assert said == [True, [], False, 3, []]


async def test_older_readings_with_a_time_are_sent_before_the_clock_is_set_again(
    life: Life,
) -> None:
    await life.start(_DATED.format(1), clock=_ESP32, ntp=True)
    numbers, waiting, dropped = await life.start(_UNDATED.format(4), clock=_ESP32)
    assert numbers == [1, 2, 3]
    assert waiting == 6
    assert dropped == 0
