"""How much an outbox may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much an outbox may hold, and how soon it is written down.

    Attributes:
        commit_interval_s: how long a reading may be in memory alone; a crash or a power
            cut loses no more than this. 0 writes each as it comes.
        max_bytes: how much of the file may be in use before the oldest readings are
            dropped.
        max_age_s: how long a reading may wait before it is dropped. Only time in which
            this software runs counts, so that no wrong clock can make it look older.
    """

    commit_interval_s: float = 1
    max_bytes: int = 100 * 1024 * 1024
    max_age_s: float = 30 * 24 * 3600
