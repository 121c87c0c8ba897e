"""Fill gaps and send history: the jobs of an entry, one at a time."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
import logging
import time

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util.json import JsonObjectType

from .backfill_job import UNFINISHED, Job, JobState, StoredJobs, as_stored, jobs_store
from .client.outbox import CompleteOutbox
from .client.readings import Reading
from .const import (
    CONF_FILL_GAPS,
    CONF_HISTORY,
    CONF_HISTORY_DAYS,
    DOMAIN,
    SUBENTRY_TYPE_MIRROR,
)
from .filling import Filling
from .mirror import Mirror
from .names import Names
from .recorded import has_recorder
from .routes import Route
from .stored_times import StoredTimes

_LOGGER = logging.getLogger(__name__)

_DAY_S = 24 * 3600

# What is shorter is how long a reload takes.
_MIN_GAP_S = 5
_INSTANT_S = 1e-6

# What is live waits behind no more than a few requests, and while a device is refused,
# what it is to get does not fill the outbox.
_MAX_AHEAD = 500
_MAX_WAITING = 5000

_SAVE_AFTER_S = 1
_KEEP_EVERY_S = 10
_MAX_FINISHED = 20


class Backfill:
    """The jobs of an entry, which outlive Home Assistant.

    A job works from the recorder into the outbox, as the mirror that it is for captures
    what is live, and behind it.

    Args:
        hass: Home Assistant.
        entry: to whose life the work is bound.
        mirrors: those that run now, by the ids of their subentries.
        names: where each entity's numbers go.
        route_of: returns the way that leads over a broker, or over HTTP.
        stored_times: what the server has.
        stored: the jobs that were kept, or None.
        accept: puts readings of the past into the outbox of a way, at once.
        on_change: called when the jobs have come further.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        mirrors: Mapping[str, Mirror],
        names: Names,
        route_of: Callable[[str | None], Route],
        stored_times: StoredTimes,
        stored: StoredJobs | None,
        *,
        accept: Callable[[Iterable[Reading], str | None], None],
        on_change: Callable[[], None],
    ) -> None:
        """Take up the jobs that were kept, and start nothing yet."""
        self._hass = hass
        self._entry = entry
        self._mirrors = mirrors
        self._names = names
        self._route_of = route_of
        self._stored_times = stored_times
        self._accept = accept
        self._on_change = on_change
        self._store = jobs_store(hass, entry.entry_id)
        self._jobs = [Job.of(job) for job in stored["jobs"]] if stored else []
        self._kept = as_stored(self._jobs)
        self._kept_at = 0.0
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop_waiting: CALLBACK_TYPE | None = None
        self._is_started = False

    def is_possible(self, mirror_id: str) -> bool:
        """Tell whether a mirror's readings are taken with their times."""
        return mirror_id in self._mirrors and self._outbox_of(mirror_id) is not None

    def _outbox_of(self, mirror_id: str) -> CompleteOutbox | None:
        """Return where a mirror's readings wait, if they do so with their times."""
        outbox = self._route_of(self._mirrors[mirror_id].choice.broker_id).outbox
        return outbox if isinstance(outbox, CompleteOutbox) else None

    @property
    def percent(self) -> int | None:
        """Return how much of the job is done that runs or ran last, if there is one."""
        unfinished = self._unfinished()
        last = unfinished[:1] or self._jobs[-1:]
        return last[0].percent if last else None

    def as_shown(self) -> list[JsonObjectType]:
        """Return how the jobs go, the oldest first."""
        shown = []
        for job in self._jobs:
            shown.append(job.as_shown())
            if job.state is JobState.RUNNING:
                shown[-1]["problem"] = self._stored_times.problem
        return shown

    @callback
    def start(self) -> None:
        """Work off what is to be done, once Home Assistant has started."""
        self.mirrors_changed()
        self._stop_waiting = async_at_started(self._hass, self._started)

    @callback
    def stop(self) -> None:
        """Work no more for now; nothing is forgotten."""
        if self._stop_waiting:
            self._stop_waiting()
            self._stop_waiting = None
        self._is_started = False
        self._interrupt()

    async def save(self) -> None:
        """Keep the jobs on disk; the outbox is closed by now, and holds what they say."""
        await self._store.async_save(as_stored(self._jobs))

    @callback
    def add(self, mirror_ids: Collection[str], start: float, end: float) -> list[Job]:
        """Fill a period of some mirrors behind what is to be done already.

        Args:
            mirror_ids: ids of their subentries.
            start: of the period, in seconds since 1970 (UTC).
            end: of the period.
        """
        added = [
            Job(mirror_id, self._entry.subentries[mirror_id].title, start, end)
            for mirror_id in mirror_ids
        ]
        self._jobs += added
        self._changed()
        return added

    @callback
    def fill_gaps(self, captured_until: Mapping[str | None, float | None]) -> None:
        """Fill the time in which nothing was captured, unless that is not wished.

        Args:
            captured_until: when it began for each way, by its broker or None, in seconds
                since 1970, or None if nobody knows.
        """
        if not self._entry.options.get(CONF_FILL_GAPS, True) or not has_recorder(
            self._hass
        ):
            return
        now = time.time()
        for mirror_id, mirror in self._mirrors.items():
            since = captured_until.get(
                self._route_of(mirror.choice.broker_id).broker_id
            )
            # It may lie in the future if a clock was wrong.
            if (
                since is not None
                and now - since >= _MIN_GAP_S
                and self.is_possible(mirror_id)
            ):
                self.add([mirror_id], since + _INSTANT_S, now)

    @callback
    def mirrors_changed(self) -> None:
        """Do what new mirrors were made with, and nothing more for those removed."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR):
            if CONF_HISTORY not in subentry.data:
                continue
            data = {**subentry.data}
            days = data.pop(CONF_HISTORY)[CONF_HISTORY_DAYS]
            self._hass.config_entries.async_update_subentry(
                self._entry, subentry, data=data
            )
            now = time.time()
            self.add([subentry.subentry_id], now - days * _DAY_S, now)
        self._end_jobs(
            [job for job in self._unfinished() if job.mirror_id not in self._mirrors],
            "The mirror was removed",
        )

    @callback
    def pause(self) -> None:
        """Let all jobs rest until they are resumed, over restarts too."""
        self._interrupt()
        for job in self._unfinished():
            job.state = JobState.PAUSED
        self._changed()

    @callback
    def resume(self) -> None:
        """Go on with the jobs that were paused."""
        for job in self._unfinished():
            if job.state is JobState.PAUSED:
                job.state = JobState.WAITING
        self._changed()

    @callback
    def cancel(self) -> None:
        """Give all jobs up; what was sent stays."""
        self._end_jobs(self._unfinished(), None)

    @callback
    def server_changed(self) -> None:
        """Ask another server anew what it has."""
        self._stored_times.forget()

    @callback
    def status_changed(self) -> None:
        """Look whether there is room for more."""
        self._room.set()

    def _unfinished(self) -> list[Job]:
        return [job for job in self._jobs if job.state in UNFINISHED]

    def _end_jobs(self, jobs: list[Job], problem: str | None) -> None:
        if not jobs:
            return
        self._interrupt()
        for job in jobs:
            job.state, job.problem = JobState.CANCELLED, problem
        self._changed()

    def _interrupt(self) -> None:
        """End the work; the job that it was at waits to be taken up."""
        if self._task:
            self._task.cancel()
            self._task = None
        for job in self._jobs:
            if job.state is JobState.RUNNING:
                job.state = JobState.WAITING

    def _changed(self) -> None:
        """Keep and show the jobs, and see that they are worked off."""
        finished = [job for job in self._jobs if job.state not in UNFINISHED]
        for job in finished[:-_MAX_FINISHED]:
            self._jobs.remove(job)
        self._keep(as_stored(self._jobs))
        self._work_soon()
        self._on_change()

    @callback
    def _started(self, _hass: HomeAssistant) -> None:
        self._is_started = True
        self._work_soon()

    def _work_soon(self) -> None:
        is_at_work = self._task is not None and not self._task.done()
        if self._is_started and not is_at_work and self._next():
            # Not at once: the mirrors may just be about to find their entities.
            self._task = self._entry.async_create_background_task(
                self._hass, self._work(), f"{DOMAIN} backfill", eager_start=False
            )

    def _next(self) -> Job | None:
        waiting = (job for job in self._jobs if job.state is JobState.WAITING)
        return next(waiting, None)

    async def _work(self) -> None:
        while job := self._next():
            job.state, job.problem = JobState.RUNNING, None
            _LOGGER.info("Sending what the recorder has begins: %s", job)
            try:
                await self._fill(job)
            except Exception as err:
                # It would end unseen, and so would all that come after it.
                job.state = JobState.FAILED
                job.problem = f"An unexpected {type(err).__name__}. See the log"
                _LOGGER.error("What the recorder has can't be sent", exc_info=err)
            _LOGGER.info("Sending what the recorder has ends: %s", job)
            self._changed()

    async def _fill(self, job: Job) -> None:
        if not has_recorder(self._hass):
            job.state = JobState.FAILED
            job.problem = "Home Assistant runs without its recorder. Set it up first"
            return
        mirror, outbox = self._mirrors[job.mirror_id], self._outbox_of(job.mirror_id)
        if outbox is None:
            job.state = JobState.FAILED
            job.problem = "With a device token the server takes only what is true now"
            return
        broker_id = mirror.choice.broker_id
        filling = Filling(
            self._hass,
            self._names,
            outbox,
            self._stored_times,
            accept=lambda readings: self._accept(readings, broker_id),
            make_room=lambda: self._make_room(outbox),
            on_progress=lambda: self._progressed(outbox),
        )
        await filling.run(job, mirror)
        await outbox.commit()
        job.state = JobState.DONE
        if job.sent:
            # The server takes a device for as old as its last reading.
            mirror.show_all()

    async def _make_room(self, outbox: CompleteOutbox) -> None:
        """Wait until what is live would not wait long behind more of the past."""
        while outbox.ahead >= _MAX_AHEAD or len(outbox) >= _MAX_WAITING:
            self._room.clear()
            await self._room.wait()

    async def _progressed(self, outbox: CompleteOutbox) -> None:
        """Show how far the job has come, and keep that now and then."""
        self._on_change()
        if time.monotonic() - self._kept_at >= _KEEP_EVERY_S:
            self._kept_at = time.monotonic()
            done = as_stored(self._jobs)
            # What is said to be done survives a crash.
            await outbox.commit()
            self._keep(done)

    def _keep(self, jobs: StoredJobs) -> None:
        self._kept = jobs
        self._store.async_delay_save(lambda: self._kept, _SAVE_AFTER_S)
