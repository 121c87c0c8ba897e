"""``python -m proofs.waiting ORDER``: hold readings back, and deliver them.

It is the process under test: the integration's outbox and delivery, and nothing else in
its event loop. It prints a line of JSON when everything waits, and one when all is
delivered.
"""

import argparse
from array import array
import asyncio
from dataclasses import asdict, dataclass
from itertools import batched
import json
from pathlib import Path
import resource
import sys
import time

import aiohttp

from benchmarks.meter import Meter
from custom_components.sensorvision.client import (
    AsyncSensorVisionClient,
    CircuitBreaker,
    RateLimit,
)
from custom_components.sensorvision.client.bulk import BulkDelivery
from custom_components.sensorvision.client.outbox import CompleteOutbox
from custom_components.sensorvision.client.pace import Pace, RetryPolicy
from custom_components.sensorvision.client.readings import Reading

# How fast it drains is measured, not how long it waits before it tries.
_PACE = Pace(backoff=RetryPolicy(first_delay_s=0.5, max_delay_s=1))
_COMMIT_EVERY = 10_000
_PROBE_S = 0.005
_PAGE_BYTES = resource.getpagesize()
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What is to be delivered, and where.

    Attributes:
        url: of the server.
        username: of the account.
        password: of the account.
        log: a file of numbers, each with its time.
        outbox: the outbox's file.
        entities: how many take turns in changing.
    """

    url: str
    username: str
    password: str
    log: str
    outbox: str
    entities: int

    def write(self, path: Path) -> None:
        """Hand it over in a file, which keeps the password off the command line."""
        path.write_text(json.dumps(asdict(self)))


class Lateness:
    """How late a timer fires, of one every 5 ms."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._late_ms = array("d")

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(_PROBE_S)
            self._late_ms.append((time.perf_counter() - asked - _PROBE_S) * 1000)

    def clear(self) -> None:
        """Forget what was measured."""
        del self._late_ms[:]

    def most(self) -> float:
        """Return the worst in milliseconds."""
        return round(max(self._late_ms), 1)

    def p99(self) -> float:
        """Return what 99 of a hundred did not exceed, in milliseconds."""
        return round(sorted(self._late_ms)[len(self._late_ms) * 99 // 100], 1)


async def _deliver(order: Order, meter: Meter) -> None:
    readings = _readings(order)
    lateness = Lateness()
    outbox = CompleteOutbox(order.outbox)
    await outbox.open()
    async with aiohttp.ClientSession() as session:
        client = AsyncSensorVisionClient(
            order.url,
            username=order.username,
            password=order.password,
            session=session,
            rate_limit=RateLimit.off(),
            breaker=CircuitBreaker.off(),
        )
        drained, begun_at = asyncio.Event(), array("d")

        def look() -> None:
            if delivery.status.delivered and not begun_at:
                begun_at.append(time.perf_counter())
            if delivery.status.delivered >= len(readings):
                drained.set()

        delivery = BulkDelivery(
            client,
            outbox,
            "proof",
            on_change=look,
            on_replayed=lambda _device_ids: None,
            pace=_PACE,
        )
        tasks = [
            asyncio.ensure_future(delivery.run()),
            asyncio.ensure_future(lateness.watch()),
        ]
        for some in batched(readings, _COMMIT_EVERY, strict=False):
            outbox.append(some)
            await outbox.commit()
        size = sum(part.stat().st_size for part in _parts(order.outbox))
        memory = _memory_bytes()
        _print(
            outbox_bytes=size,
            outbox_bytes_per_reading=round(size / len(readings), 1),
        )
        lateness.clear()
        meter.clear()
        cpu_s = time.process_time()
        await drained.wait()
        took_s = time.perf_counter() - begun_at[0]
        _print(
            drain_s=round(took_s, 1),
            readings_per_s=round(len(readings) / took_s),
            drain_cpu_s=round(time.process_time() - cpu_s, 1),
            process_s=round(time.process_time(), 1),
            late_ms_max=lateness.most(),
            late_ms_p99=lateness.p99(),
            busy_ms_max=round(meter.busy_s * 1000, 1),
            memory_growth_mib=round((_memory_bytes() - memory) / _MIB, 1),
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await outbox.close()


def _readings(order: Order) -> list[Reading]:
    return [
        Reading(f"proof.device-{number % order.entities}", "value", number, at)
        for number, at in json.loads(Path(order.log).read_text())
    ]


def _parts(outbox: str) -> list[Path]:
    path = Path(outbox)
    return list(path.parent.glob(f"{path.name}*"))


def _memory_bytes() -> int:
    """Return how much memory the process has in use now."""
    [_, resident, *_] = Path("/proc/self/statm").read_text().split()
    return int(resident) * _PAGE_BYTES


def _print(**figures: float) -> None:
    print(json.dumps(figures), flush=True)


def main() -> int:
    """Deliver as ordered."""
    parser = argparse.ArgumentParser(prog="python -m proofs.waiting")
    parser.add_argument("order", type=Path)
    order = Order(**json.loads(parser.parse_args().order.read_text()))
    meter = Meter()
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(meter)
    ) as runner:
        runner.run(_deliver(order, meter))
    return 0


if __name__ == "__main__":
    sys.exit(main())
