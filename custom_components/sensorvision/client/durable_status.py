"""What became of the readings of a durable sender."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DurableStatus:
    """What became of the readings, counted by variable and since the sender was opened.

    Attributes:
        waiting: how many are in the outbox, those of earlier runs among them.
        delivered: how many the server has stored.
        superseded: how many a newer one has replaced before they could be sent, which
            happens under a device token alone.
        refused: how many the server does not want; they are kept in the file, and tried
            again by another version of this software.
        dropped: how many there was no room for, or that were too old.
        possible_duplicates: how many were sent again although the server may have stored
            them, because its answer was lost, or the process that sent them.
        is_connected: whether the last exchange found server and credential good, or
            None before the first.
        problem: why it did not, a sentence for a person, or None.
        file_problem: why the file can't be written now, or None. Readings are in memory
            alone as long as it can't.
    """

    waiting: int
    delivered: int
    superseded: int
    refused: int
    dropped: int
    possible_duplicates: int
    is_connected: bool | None
    problem: str | None
    file_problem: str | None
