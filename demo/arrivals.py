"""What has arrived, read from the server's database rather than from who sent it."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
import sqlite3


@dataclass(frozen=True)
class Arrived:
    """What the server has stored of one variable.

    Attributes:
        count: how many values.
        last_value: the one stored last.
        last_at: the time that the server gave it, in seconds since 1970 (UTC).
    """

    count: int
    last_value: Decimal
    last_at: float


def arrivals(database: Path) -> dict[tuple[str, str], Arrived]:
    """Return what has arrived, by device id and variable."""
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            """
            SELECT external_id, variables.name, count(*), value, timestamp,
                   max(variable_values.id)
            FROM variable_values
            JOIN variables ON variables.id = variable_id
            JOIN devices ON devices.id = device_id
            GROUP BY variable_id
            """
        ).fetchall()
    finally:
        connection.close()
    return {
        (device_id, variable): Arrived(count, Decimal(value), microseconds / 1e6)
        for device_id, variable, count, value, microseconds, _ in rows
    }
