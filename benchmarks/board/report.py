"""What sending a reading costs a board, as figures, tables and lines of JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
import json
from statistics import median

from rich.console import Console
from rich.table import Table

from .earlier import EARLIER

_WIDTH = 150

_COLUMNS = {
    "mpy_bytes": ".mpy",
    "import_heap": "heap, import",
    "smallest_heap": "heap, one send",
    "allocated": "garbage / send",
    "writes": "writes / send",
    "kept_us": "kept, us",
    "fresh_us": "new, us",
    "arrived": "arrived",
    "sent": "of",
}
_TLS_COLUMNS = {
    "tls_heap": "heap, one send",
    "tls_kept_us": "kept, us",
    "tls_fresh_us": "new, us",
    "is_checking": "checks the server",
}
_HEAP_COLUMNS = {
    f"{what}_{form}_{bits}": f"{what}, .{form}, {bits} bit"
    for what in ("import", "heap")
    for form in ("mpy", "py")
    for bits in (64, 32)
}
_OTHER_COLUMNS = {
    "mpy_bytes": ".mpy",
    "allocated_32": "garbage / send, 32 bit",
    "writes": "writes / send",
    "kept_us": "kept, us",
    "fresh_us": "new, us",
    "here": "measured here",
}


@dataclass(frozen=True)
class Weight:
    """What no clock measures of one subject; None is what it can't do or has not.

    Attributes:
        mpy_bytes: of the modules that one send loads, as bytecode.
        import_heap: bytes of heap that its modules hold, without asyncio.
        smallest_heap: bytes of the smallest heap in which it sends one reading.
        allocated: bytes of heap that one more send takes until they are collected.
        writes: calls of the system that write, for each reading.
        tls_heap: as `smallest_heap`, over TLS.
        is_checking: whether it refuses a server that another authority vouches for.
    """

    mpy_bytes: int | None = None
    import_heap: int | None = None
    smallest_heap: int | None = None
    allocated: int | None = None
    writes: float | None = None
    tls_heap: int | None = None
    is_checking: bool | None = None


@dataclass(frozen=True)
class Turn:
    """One turn of one subject, with the clock.

    Attributes:
        sent: how many readings its programs say that they sent.
        arrived: how many did.
        kept_us: microseconds for a reading over a connection that is there.
        fresh_us: microseconds for a reading with a connection of its own.
        tls_kept_us: as `kept_us`, over TLS.
        tls_fresh_us: as `fresh_us`, over TLS.
    """

    sent: int
    arrived: int
    kept_us: int | None = None
    fresh_us: int | None = None
    tls_kept_us: int | None = None
    tls_fresh_us: int | None = None


def summed_up(weight: Weight, turns: Sequence[Turn]) -> dict[str, float | bool | None]:
    """Return a subject's figures: sums of readings, medians of times."""
    figures: dict[str, float | bool | None] = asdict(weight)
    for name in (field.name for field in fields(Turn)):
        values = [value for turn in turns if (value := getattr(turn, name)) is not None]
        if name in ("sent", "arrived"):
            figures[name] = sum(values)
        else:
            figures[name] = median(values) if values else None
    return figures


def faults(subject: str, figures: Mapping[str, float | bool | None]) -> Iterable[str]:
    """Tell what makes a run of the project's own subjects void."""
    lost = (figures["sent"] or 0) - (figures["arrived"] or 0)
    if lost > 0:
        yield f"{subject} lost {lost} readings"
    if lost < 0:
        yield f"{subject} sent {-lost} readings twice"
    if figures["is_checking"] is False:
        yield f"{subject} sends to a stranger over TLS"


def print_line(**facts: object) -> None:
    """Print a line of JSON."""
    print(json.dumps({"bench": "board", **facts}), flush=True)


def print_tables(
    measured: Mapping[str, Mapping[str, float | bool | None]],
    failures: Mapping[str, str],
) -> None:
    """Print everything for people, to standard error.

    Args:
        measured: the figures of each subject.
        failures: what went wrong or was not to be had, by subject.
    """
    console = Console(stderr=True, width=_WIDTH)
    console.print(_table("board", measured, _COLUMNS))
    over_tls = {
        name: figures
        for name, figures in measured.items()
        if figures["tls_heap"] is not None
    }
    console.print(_table("board, over TLS", over_tls, _TLS_COLUMNS))
    title = "not measured here: of another day and machine"
    console.print(_table(f"{title}, heap in bytes", EARLIER, _HEAP_COLUMNS))
    console.print(_table(title, EARLIER, _OTHER_COLUMNS))
    for subject, why in failures.items():
        console.print(f"[red]{subject}:[/red] {why}", highlight=False)


def _table(
    title: str,
    rows: Mapping[str, Mapping[str, float | str | None]],
    columns: Mapping[str, str],
) -> Table:
    table = Table(title=title)
    table.add_column("subject", no_wrap=True)
    for column in columns.values():
        table.add_column(column, justify="right")
    for subject, costs in rows.items():
        table.add_row(subject, *(_figure(costs.get(key)) for key in columns))
    return table


def _figure(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}"
