"""Cut a board's power at every operation on its flash, and see what is left.

A program on real MicroPython works with what the node keeps on flash, in a real littlefs on
a flash that remembers each block that is erased and each piece that is programmed. Then the
flash is made anew as each of these operations leaves it, undone and half done, and opened as
at a start. So it is done with the store, and with a board that is updated over the air.
"""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
import tempfile

from .board_sections import PROGRAM_BYTES, Section, run_on_board
from .board_updates import cut_updates
from .verdict import Verdict

_READINGS = 1200
_LEAST_CUTS_A_READING = 2
_MOST_REPEATED = 10 + 7
_WEAR_READINGS = 200

_STORE = """
import asyncio, gc, json, os, sys, time
import vfs
from nor import BLOCK_BYTES, Nor, apply
from sensorvision import clock
from sensorvision.store import Store

EVERY = 10
BATCH = 7
MARK = 1000000

def mount(device):
    vfs.mount(vfs.VfsLfs2(device, readsize=program_bytes, progsize=program_bytes), "/chip")

def new_flash(blocks):
    content = bytearray(b"\\xff" * (blocks * BLOCK_BYTES))
    vfs.VfsLfs2.mkfs(Nor(content), readsize=program_bytes, progsize=program_bytes)
    return content

def store(kb=8):
    return Store("/chip/outbox", kb, EVERY, 86400, 3600)

def value(n):
    return n % 97 / 4

class Work:
    # What the program knows by a moment: how many operations there were, how many readings
    # it has put and knows to be written, the first that waits, and those that have a time.
    def __init__(self, device):
        self.device = device
        self.store = store()
        self.times = [0]
        self.written = 0
        self.first = 1
        self.dated_from = 1000000
        self.states = []
        self.dropped = 0
        self.note()

    def note(self):
        if self.store.dropped > self.dropped:
            self.first += self.store.dropped - self.dropped
            self.dropped = self.store.dropped
        self.states.append((len(self.device.operations), len(self.times) - 1, self.written,
                            self.first, self.dated_from))

    def put(self, count):
        for _ in range(count):
            n = len(self.times)
            self.times.append(time.time_ns() // 1000000000)
            self.store.put({"n": n, "temperature": value(n), "humidity": 48.25})
            if n - self.written >= EVERY:
                self.written = n
            self.note()

    def set_clock(self):
        self.store.flush()
        self.written = len(self.times) - 1
        self.note()
        assert asyncio.run(clock.set_clock())
        self.store.clock_was_set()
        self.dated_from = 1
        self.note()

    def drain(self, batches):
        for _ in range(batches):
            records = self.store.oldest(BATCH)
            self.store.confirm(records)
            if records:
                self.first = records[-1][0] + 1
                # What went from memory was never written.
                self.written = max(self.written, self.first - 1)
            self.note()

def work(device):
    mount(device)
    doing = Work(device)
    doing.put(25)
    doing.drain(1)
    doing.set_clock()
    while len(doing.times) <= readings:
        doing.drain(4)
        doing.put(33)
        doing.drain(3)
        # An outage that is longer than there is room for.
        doing.put(190)
        doing.drain(100)
        doing.put(5)
        doing.store.flush()
        doing.written = len(doing.times) - 1
        doing.note()
        doing.put(12)
    vfs.umount("/chip")
    return doing

class Cutting:
    def __init__(self, doing):
        self.doing = doing
        self.cuts = 0
        self.lost = set()
        self.most_repeated = 0
        self.flaws = []

    def flaw(self, what):
        if len(self.flaws) < 10:
            self.flaws.append("cut %d of %d-byte programs: %s" % (
                self.cuts, program_bytes, what))

    def judge(self, content, before, after):
        self.cuts += 1
        times = self.doing.times
        try:
            mount(Nor(content))
            left = store()
            records = left.oldest(10000)
            found = [what["n"] for _, _, what in records]
            for _, unix_s, what in records:
                n = what["n"]
                if n > after[1] or what != {
                        "n": n, "temperature": value(n), "humidity": 48.25}:
                    self.flaw("%r was never measured" % what)
                elif abs(unix_s - times[n]) > 2:
                    self.flaw("%d has the time %d instead of %d" % (n, unix_s, times[n]))
            if found != sorted(set(found)):
                self.flaw("not in their order: %r" % found)
            must_be = range(max(after[3], before[4]), before[2] + 1)
            missing = set(must_be) - set(found)
            self.lost |= missing
            repeated = [n for n in found if n < before[3]]
            self.most_repeated = max(self.most_repeated, len(repeated))
            dropped = left.dropped
            left.put({"n": MARK})
            left.flush()
            # Where there was no room for more, the oldest have gone.
            gone = left.dropped - dropped
            if [what["n"] for _, _, what in store().oldest(10000)] != found[gone:] + [MARK]:
                self.flaw("what is written later is not there")
        except Exception as err:
            sys.print_exception(err)
            self.flaw(repr(err))
        vfs.umount("/chip")

def cut(flash, doing):
    cutting = Cutting(doing)
    states = doing.states
    at = 0
    for index, operation in enumerate(doing.device.operations):
        # The operations up to a state's count had been done by then.
        while at + 1 < len(states) and states[at + 1][0] <= index:
            at += 1
        after = states[min(at + 1, len(states) - 1)]
        cutting.judge(bytearray(flash), states[at], after)
        torn = bytearray(flash)
        apply(torn, operation, is_torn=True)
        cutting.judge(torn, states[at], after)
        apply(flash, operation)
        if not index % 16:
            gc.collect()
    cutting.judge(bytearray(flash), states[-1], states[-1])
    return cutting

def wear(count):
    device = Nor(new_flash(64))
    mount(device)
    before = len(device.operations)
    outbox = store(64)
    for n in range(count):
        outbox.put({"temperature": value(n)})
    vfs.umount("/chip")
    programmed = [data for _, data in device.operations[before:] if data is not None]
    return {
        "erases": len(device.operations) - before - len(programmed),
        "bytes": sum([len(data) for data in programmed]),
    }

flash = new_flash(16)
doing = work(Nor(bytearray(flash)))
cutting = cut(flash, doing)
say({
    "sent": doing.written,
    "cuts": cutting.cuts,
    "lost": sorted(cutting.lost),
    "repeated": cutting.most_repeated,
    "dropped": doing.store.dropped,
    "flaws": cutting.flaws,
    "wear": wear(wear_readings),
})
"""


type Cut = Callable[[argparse.Namespace, Path], Awaitable[Section]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--readings",
        type=int,
        default=_READINGS,
        help="how many the store is given for each kind of flash (%(default)s)",
    )
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="at which of an update's operations, 3 is every third (%(default)s)",
    )


async def run(options: argparse.Namespace) -> Verdict:
    """Cut every part's power, and judge."""
    with tempfile.TemporaryDirectory(prefix="sensorvision-cuts-") as name:
        sections = [await cut(options, Path(name)) for cut in _SECTIONS]
    sent = sum(section.sent for section in sections)
    lost = sum(section.lost for section in sections)
    return Verdict(
        sent=sent,
        delivered=sent - lost,
        superseded=0,
        lost=lost,
        duplicated=max(section.repeated for section in sections),
        faults=sum(section.cuts for section in sections),
        least_sent=sum(section.least_sent for section in sections),
        least_faults=sum(section.least_cuts for section in sections),
        flaws=[flaw for section in sections for flaw in section.flaws],
        extra={
            name: value for section in sections for name, value in section.extra.items()
        },
    )


async def cut_store(options: argparse.Namespace, folder: Path) -> Section:
    """Cut the power of the outbox on flash."""
    found = {
        size: await run_on_board(
            folder / f"store-{size}",
            _STORE,
            program_bytes=size,
            readings=options.readings,
            wear_readings=_WEAR_READINGS,
        )
        for size in PROGRAM_BYTES
    }
    repeated = max(part["repeated"] for part in found.values())
    flaws = [flaw for part in found.values() for flaw in part["flaws"]]
    if repeated > _MOST_REPEATED:
        flaws.append(f"{repeated} readings that were done with came again.")
    return Section(
        sent=sum(part["sent"] for part in found.values()),
        lost=sum(len(part["lost"]) for part in found.values()),
        repeated=repeated,
        cuts=sum(part["cuts"] for part in found.values()),
        least_sent=options.readings * len(found),
        least_cuts=options.readings * len(found) // _LEAST_CUTS_A_READING,
        flaws=flaws,
        extra={
            "dropped_for_room": sum(part["dropped"] for part in found.values()),
            **{
                f"wear_of_{_WEAR_READINGS}_readings_in_{size}_byte_programs": (
                    f"{part['wear']['erases']} erases, {part['wear']['bytes']} bytes"
                )
                for size, part in found.items()
            },
        },
    )


_SECTIONS: list[Cut] = [cut_store, cut_updates]
