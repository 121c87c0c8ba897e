"""A board: what this port costs there, beside what else sends readings from one.

Bytecode, heap, garbage, writes and time of one reading, measured on the unix port of
MicroPython against servers on this machine that cost next to nothing.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import shutil
import ssl
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.table import Table
import trustme

from benchmarks.loopback import loopback
from benchmarks.mosquitto import Mosquitto

from .client import Client, MeasureError
from .costs import TOKEN, compile_to, http_client, mqtt_client, requests_client
from .peers import EARLIER, Subject, fetched_subjects

_WIDTH = 132

_HTTP_MODULES = ("__init__", "connection", "http", "protocol", "url")
_MQTT_MODULES = ("__init__", "connection", "mqtt", "protocol", "url")

_COLUMNS = {
    "mpy_bytes": ".mpy",
    "import_heap": "heap, import",
    "smallest_heap": "heap, one send",
    "tls_heap": "the same, TLS",
    "allocated": "garbage / send",
    "writes": "writes / send",
    "kept_us": "kept, us",
    "fresh_us": "new, us",
}


@dataclass(frozen=True)
class Costs:
    """What one subject costs; None is what it can't do or what was not measured.

    Attributes:
        mpy_bytes: of its modules as bytecode.
        import_heap: bytes of heap that its modules hold, without asyncio.
        smallest_heap: bytes of the smallest heap in which it sends one reading.
        tls_heap: the same over TLS, without what the TLS library takes elsewhere.
        allocated: bytes of heap that one more send takes until they are collected.
        writes: calls of the system that write, for each reading.
        kept_us: microseconds for a reading over a connection that is there.
        fresh_us: microseconds for a reading with a connection of its own.
    """

    mpy_bytes: int | None = None
    import_heap: int | None = None
    smallest_heap: int | None = None
    tls_heap: int | None = None
    allocated: int | None = None
    writes: float | None = None
    kept_us: int | None = None
    fresh_us: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--sends", type=int, default=200, help="to take medians of (%(default)s)"
    )
    parser.add_argument(
        "--alone", action="store_true", help="fetch no peers from the registry"
    )


def run(options: argparse.Namespace) -> int:
    """Run the bench; return 1 if this port or a peer that is there did not send."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    console = Console(stderr=True, width=_WIDTH)
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        await broker.start()
        try:
            async with loopback() as plain, loopback(_context(authority)) as secure:
                costs, missing = await _measure_all(
                    folder, plain.port, secure.port, broker, authority, options
                )
        finally:
            await broker.kill()
    is_good = all(isinstance(found, Costs) for found in costs.values())
    for subject, found in costs.items():
        if isinstance(found, MeasureError):
            console.print(f"[red]{subject} did not send: {found}")
    measured = {
        subject: asdict(found)
        for subject, found in costs.items()
        if isinstance(found, Costs)
    }
    console.print(_table("board", measured))
    console.print(_table("board, not measured here", EARLIER))
    for subject, why in missing.items():
        console.print(f"{subject} is not here: {why}")
    _print(
        sends=options.sends,
        micropython=_firmware(),
        is_good=is_good,
        missing=missing,
        measured=measured,
        not_measured_here=EARLIER,
    )
    return 0 if is_good else 1


async def _measure_all(
    folder: Path,
    plain_port: int,
    secure_port: int,
    broker: Mosquitto,
    authority: trustme.CA,
    options: argparse.Namespace,
) -> tuple[dict[str, Costs | MeasureError], dict[str, str]]:
    port = folder / "port"
    port.mkdir()
    sizes = compile_to(port)
    ca = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    url, tls_url = f"http://127.0.0.1:{plain_port}", f"https://localhost:{secure_port}"
    http_bytes = _bytes_of(sizes, _HTTP_MODULES)
    mqtt_bytes = _bytes_of(sizes, _MQTT_MODULES)
    subjects: list[tuple[Subject, Client | None]] = [
        (
            Subject("this port, HTTP", http_client(port, url, TOKEN), http_bytes),
            http_client(port, tls_url, TOKEN, ca),
        ),
        (
            Subject("requests (frozen)", requests_client(port, url, TOKEN), None),
            requests_client(port, tls_url, TOKEN),
        ),
        (
            Subject("this port, MQTT QoS 1", mqtt_client(port, broker.url), mqtt_bytes),
            None,
        ),
    ]
    missing: dict[str, str] = {}
    if not options.alone:
        fetched, missing = await asyncio.to_thread(
            fetched_subjects, folder, broker.port
        )
        subjects += [(subject, None) for subject in fetched]
    costs: dict[str, Costs | MeasureError] = {}
    for subject, over_tls in subjects:
        try:
            found = await asyncio.to_thread(_measure, subject, over_tls, options.sends)
        except MeasureError as err:
            costs[subject.name] = err
        else:
            costs[subject.name] = found
            _print(subject=subject.name, **asdict(found))
    return costs, missing


def _measure(subject: Subject, over_tls: Client | None, sends: int) -> Costs:
    client = subject.client
    # Without a connection that is kept, each send makes one, and counts as such.
    can_keep = bool(client.close)
    without = client.kept_us(sends)
    return Costs(
        mpy_bytes=subject.mpy_bytes,
        import_heap=client.import_heap_bytes(),
        smallest_heap=client.smallest_heap_bytes(),
        tls_heap=over_tls.smallest_heap_bytes() if over_tls else None,
        allocated=client.allocated_bytes(),
        writes=client.writes_per_send() if shutil.which("strace") else None,
        kept_us=without if can_keep else None,
        fresh_us=client.fresh_us(min(sends, 50)) if can_keep else without,
    )


def _bytes_of(sizes: Mapping[str, int], modules: Sequence[str]) -> int:
    return sum(sizes[f"sensorvision/{module}.py"] for module in modules)


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def _firmware() -> str:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("micropython"),
            *("-c", "import sys; print(sys.version)"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _table(title: str, rows: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = Table(title=title)
    table.add_column("subject", no_wrap=True)
    for column in _COLUMNS.values():
        table.add_column(column, justify="right")
    for subject, costs in rows.items():
        table.add_row(subject, *(_figure(costs.get(key)) for key in _COLUMNS))
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def _print(**facts: object) -> None:
    print(json.dumps({"bench": "board", **facts}), flush=True)
