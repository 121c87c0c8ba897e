"""Kill one node of a RabbitMQ cluster while readings are published, and see that none is lost.

Three nodes mirror what waits for subscribers. A process with the outbox and the delivery of
the integration publishes what a driver process reports, through a forwarder that stands for
a load balancer: it leads to the first node, and to the second once that is killed.

Two listen. A subscriber with a session that outlives it has subscribed at the first node and
is away when that is killed, so what waits for it waits there. The sandbox listens at the
third node. A reading is delivered if either has it: the server itself keeps a clean session,
for which no broker keeps anything while it is away, and that costs it readings which the
cluster has not lost. The subscriber alone must have every one all the same, or the mirrored
queue has lost it.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
import tempfile
import time

from rich.console import Console

from demo.processes import StartError
from demo.server import Server, server

from .arrivals import read_points
from .changes import Change, Plan
from .crew import Crew, Stand
from .rabbitmq import NODES, Cluster, Queue
from .subject import BrokerSubject
from .subscriber import CLIENT_ID, Point, read_received, subscribed, told
from .tap import Tap
from .verdict import Verdict

_KILLED, _SURVIVOR, _SERVERS_NODE = NODES
_VARIABLES = 50
_CHANGES_PER_S = 200
_SECONDS = 10
# The machine may be busy, and two nodes less may be what it can do.
_LEAST_SENT_PER_S = 100

_START_TIMEOUT_S = 60
_RECOVERY_TIMEOUT_S = 60
_QUIET_S = 10
_LOOK_EVERY_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        help="how long to publish before the kill, and again after it (%(default)s)",
    )


@dataclass(frozen=True)
class Failover:
    """What was seen when the node was killed.

    Attributes:
        queue: what waited for the subscriber just before, or None if it had no session.
        acknowledged: how many messages the broker had acknowledged until then.
        recovery_s: how long it took until a reading that came after the kill was
            acknowledged, or None if none was.
    """

    queue: Queue | None
    acknowledged: int
    recovery_s: float | None


async def run(options: argparse.Namespace) -> Verdict:
    """Kill a node, and judge."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="sensorvision-cluster-") as name:
        folder = Path(name)
        (folder / "rabbitmq").mkdir()
        cluster = Cluster(folder / "rabbitmq")
        console.print("Starting three nodes")
        async with cluster.running():
            tap = Tap(cluster.ports[_KILLED])
            broker = f"mqtt://127.0.0.1:{cluster.ports[_SERVERS_NODE]}"
            async with tap.listening(), server(folder, broker=broker) as sensorvision:
                return await _prove(
                    folder, cluster, tap, sensorvision, options.seconds, console
                )


async def _prove(
    folder: Path,
    cluster: Cluster,
    tap: Tap,
    sensorvision: Server,
    seconds: float,
    console: Console,
) -> Verdict:
    log = folder / "subscriber.jsonl"
    plan = Plan((sensorvision.device_id,), _VARIABLES, _CHANGES_PER_S)
    subject = BrokerSubject(tap.port, folder / "outbox", sensorvision.token)
    async with subscribed(tap.port, log):
        console.print("The subscriber has a session, and goes")
    async with Crew(plan, folder, lambda: subject) as crew:
        failover = await _fail_over(crew, cluster, tap, seconds, console)
        async with subscribed(tap.port, log):
            await crew.run_on(seconds)
            await crew.end_changes()
            await crew.until(
                lambda report: report.is_fed and not report.waiting,
                _RECOVERY_TIMEOUT_S,
            )
            sent = _points(crew.changes()[0])

            def arrived() -> int:
                stored, received = _stored(sensorvision.database), read_received(log)
                return len(set(stored)) + len(set(received))

            await _settle(arrived, 2 * len(sent))
        stand = await crew.end()
    stored = _stored(sensorvision.database)
    return judge(
        sent,
        stored,
        read_received(log),
        failover,
        stand,
        least_sent=int(2 * seconds * _LEAST_SENT_PER_S),
    )


async def _fail_over(
    crew: Crew, cluster: Cluster, tap: Tap, seconds: float, console: Console
) -> Failover:
    """Publish for a while, kill the node that takes it, and lead to another one.

    Raises:
        StartError: nothing was published.
    """
    begun = await crew.until(lambda report: report.delivered > 0, _START_TIMEOUT_S)
    if begun is None:
        raise StartError("The cluster acknowledges nothing")
    await crew.run_on(seconds)
    queue = await cluster.queue_of(CLIENT_ID, _SURVIVOR)
    acknowledged = len(tap.acknowledged)
    if queue:
        console.print(
            f"{queue.messages} messages wait on {queue.node}. Killing {_KILLED}"
        )
    await cluster.kill(_KILLED)
    tap.broker_port = cluster.ports[_SURVIVOR]
    killed_at_us = time.time_ns() // 1000
    recovery_s = await crew.until(
        # What was acknowledged before may still be on its way.
        lambda _: any(
            at_us > killed_at_us for *_, at_us in told(tap.acknowledged[acknowledged:])
        ),
        _RECOVERY_TIMEOUT_S,
    )
    return Failover(queue, acknowledged, recovery_s)


async def _settle(arrived: Callable[[], int], everything: int) -> None:
    """Wait until everything has arrived, or nothing more comes."""
    count, changed_at = -1, time.monotonic()
    while count < everything and time.monotonic() < changed_at + _QUIET_S:
        if (now := await asyncio.to_thread(arrived)) != count:
            count, changed_at = now, time.monotonic()
        await asyncio.sleep(_LOOK_EVERY_S)


def judge(
    sent: Sequence[Point],
    stored: Sequence[Point],
    received: Sequence[Point],
    failover: Failover,
    stand: Stand,
    *,
    least_sent: int,
) -> Verdict:
    """Say what became of readings.

    Args:
        sent: those in the driver's log.
        stored: those in the server's database.
        received: those in the subscriber's log.
        failover: what was seen when the node was killed.
        stand: what the process under test has told.
        least_sent: with fewer readings it shows nothing.
    """
    due = set(sent)
    delivered = due & {*stored, *received}
    missing = len(due - set(received))
    strange = len({*stored, *received} - due)
    queue = failover.queue
    waited = queue.messages if queue and queue.node == _KILLED else 0
    checks = {
        f"{missing} readings were lost by the mirrored queue.": missing,
        f"{strange} readings have come that nobody has sent.": strange,
        f"{stand.dropped} readings were dropped.": stand.dropped,
        f"{stand.refused} readings were set aside.": stand.refused,
        "Nothing waited on the node that was killed, so it shows nothing.": not waited,
        "No node acknowledged anything after the kill.": failover.recovery_s is None,
    }
    return Verdict(
        sent=len(due),
        delivered=len(delivered),
        superseded=stand.superseded,
        lost=len(due - delivered),
        duplicated=len(stored) - len(set(stored)),
        faults=1,
        least_sent=least_sent,
        least_faults=1,
        flaws=[flaw for flaw, is_so in checks.items() if is_so],
        extra={
            "stored": len(due & set(stored)),
            "received": len(due & set(received)),
            "received_twice": len(received) - len(set(received)),
            "possible_duplicates": stand.possible_duplicates,
            "acknowledged_before_the_kill": failover.acknowledged,
            "waited_on_the_killed_node": waited,
            "mirrors": queue.mirrors if queue else 0,
            "acknowledged_again_after_s": failover.recovery_s
            and round(failover.recovery_s, 2),
            "most_waiting": stand.waiting,
        },
    )


def _stored(database: Path) -> list[Point]:
    """Return the readings in the server's database, as often as they are there."""
    return [
        (device_id, variable, value, time_us)
        for (device_id, variable), points in read_points(database).items()
        for value, time_us in points
    ]


def _points(changes: Iterable[Change]) -> list[Point]:
    return [(c.device_id, c.variable, c.value, c.time_us) for c in changes]
