"""What is to be filled from the recorder, and how far that has come."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, TypedDict

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store
from homeassistant.util.json import JsonObjectType

from .const import DOMAIN

_STORAGE_VERSION = 1


class JobState(StrEnum):
    """What becomes of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = frozenset({JobState.WAITING, JobState.RUNNING, JobState.PAUSED})


@dataclass
class Job:
    """What one mirror is to send of a period, entity by entity.

    Attributes:
        mirror_id: the id of the mirror's subentry.
        mirror: its title.
        start: of the period, in seconds since 1970 (UTC).
        end: of the period.
        state: whether it runs.
        problem: why it failed or waits, a sentence for a person, or None.
        entity_id: the entity that it is at; those that sort before it are done.
        until: up to when that entity is done.
        entities: how many entities there are.
        entities_done: how many of them are done.
        sent: how many readings went into the outbox.
        known: how many were left out, because the server has them or they wait.
        from_statistics: how many of those sent stand for an hour.
    """

    mirror_id: str
    mirror: str
    start: float
    end: float
    state: JobState = JobState.WAITING
    problem: str | None = None
    entity_id: str = ""
    until: float = 0
    entities: int = 0
    entities_done: int = 0
    sent: int = 0
    known: int = 0
    from_statistics: int = 0

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """Read a job that was kept on disk."""
        return cls(**{**stored, "state": JobState(stored["state"])})

    @property
    def percent(self) -> int:
        """Return how much of it is done."""
        if self.state is JobState.DONE:
            return 100
        if not self.entities:
            return 0
        is_within = self.start < self.until < self.end
        part = (self.until - self.start) / (self.end - self.start) if is_within else 0
        return int(100 * (self.entities_done + part) / self.entities)

    def as_shown(self) -> JsonObjectType:
        """Return how it goes, for people and automations."""
        return {
            "mirror": self.mirror,
            "start": datetime.fromtimestamp(self.start, UTC).isoformat(),
            "end": datetime.fromtimestamp(self.end, UTC).isoformat(),
            "state": self.state.value,
            "problem": self.problem,
            "percent": self.percent,
            "entities": self.entities,
            "entities_done": self.entities_done,
            "sent": self.sent,
            "known": self.known,
            "from_statistics": self.from_statistics,
        }


class StoredJobs(TypedDict):
    """Jobs as they are kept on disk."""

    jobs: list[dict[str, Any]]


def jobs_store(hass: HomeAssistant, entry_id: str) -> Store[StoredJobs]:
    """Return where an entry keeps its jobs."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.{entry_id}.backfill")


def as_stored(jobs: list[Job]) -> StoredJobs:
    """Return jobs as they are kept on disk, untouched by what becomes of them."""
    return StoredJobs(jobs=[asdict(job) for job in jobs])
