"""Tables for people, that fit a terminal."""

from __future__ import annotations

from typing import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def console(*, is_for_trouble: bool = False) -> Console:
    """Return where to print to: a device's name is no markup, and no emoji either."""
    return Console(stderr=is_for_trouble, markup=False, emoji=False, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table that fits a terminal; without columns it has no head."""
    made = Table(
        box=None, pad_edge=False, header_style="bold", show_header=bool(columns)
    )
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to a person."""
    console().print(table(columns, rows))
