"""Work off one job: from the recorder into the outbox, entity by entity."""

import asyncio
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from math import floor
from typing import NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .backfill_job import Job
from .capture import Capture
from .choice import Rhythm, When
from .client.outbox import CompleteOutbox
from .client.readings import Reading
from .mirror import Mirror
from .names import Address, Names
from .recorded import Shown, first_state, states, statistics, wait_for_recorder
from .stored_times import StoredTimes

_SENSORS = "sensor."

# A day of an entity that changes each second can still be held.
_DAY_S = 24 * 3600

# As long as the server has little of them, more days are filled at once.
_MAX_DAYS_OF_HOURS = 4
_FEW = 1000

# So many are done with in a few milliseconds.
_STATES_AT_ONCE = 100
_SENT_AT_ONCE = 100
_ASKED_AT_ONCE = 1000

_INSTANT_S = 1e-6
_LEEWAY = timedelta(seconds=1)


class Past(NamedTuple):
    """A reading, and what of the past it stands for."""

    reading: Reading
    shown: Shown


class Filling:
    """One run of a job.

    Args:
        hass: Home Assistant.
        names: where each entity's numbers go.
        outbox: where readings wait.
        stored: what the server has.
        accept: puts readings into the outbox, in the event loop and at once.
        make_room: returns when there is room for more in the outbox.
        on_progress: called when a piece of the job is done.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        names: Names,
        outbox: CompleteOutbox,
        stored: StoredTimes,
        *,
        accept: Callable[[Iterable[Reading]], None],
        make_room: Callable[[], Awaitable[None]],
        on_progress: Callable[[], Awaitable[None]],
    ) -> None:
        """Begin nothing yet."""
        self._hass = hass
        self._names = names
        self._outbox = outbox
        self._stored = stored
        self._accept = accept
        self._make_room = make_room
        self._on_progress = on_progress

    async def run(self, job: Job, mirror: Mirror) -> None:
        """Go on with a job where it was left, to its end.

        It may be cancelled at any time: what the job says to be done is in the outbox.
        """
        await wait_for_recorder(self._hass)
        self._stored.forget()
        entity_ids = sorted(mirror.entity_ids)
        job.entities = len(entity_ids)
        job.entities_done = bisect_left(entity_ids, job.entity_id)
        for entity_id in entity_ids[job.entities_done :]:
            if entity_id != job.entity_id:
                job.entity_id, job.until = entity_id, job.start
            # A registry or the mirror may have changed since the last one.
            capture = Capture(
                self._hass, self._names, mirror.choice, mirror.formation, Counter()
            )
            await self._fill(job, capture, mirror.choice.rhythm)
            job.entities_done += 1

    async def _fill(self, job: Job, capture: Capture, rhythm: Rhythm) -> None:
        """Fill an entity: by the hour before its states are recorded, then by them."""
        since = await first_state(self._hass, job.entity_id, job.until, job.end)
        days = 1
        while job.entity_id.startswith(_SENSORS) and job.until < since:
            end = min(_end_of_day(job.until) + (days - 1) * _DAY_S, since)
            hours = await statistics(self._hass, job.entity_id, job.until, end)
            known = await self._send(job, capture, rhythm, hours)
            days = min(2 * days, _MAX_DAYS_OF_HOURS) if known < _FEW else 1
            await self._done_until(job, end)
        job.until = max(job.until, since)
        while job.until < job.end:
            end = min(_end_of_day(job.until), job.end)
            shown = await states(self._hass, job.entity_id, job.until, end)
            await self._send(job, capture, rhythm, shown)
            await self._done_until(job, end)

    async def _done_until(self, job: Job, end: float) -> None:
        job.until = end
        await self._on_progress()

    async def _send(
        self, job: Job, capture: Capture, rhythm: Rhythm, shown: list[Shown]
    ) -> int:
        """Send what an entity has shown; return how many values the server had then."""
        known = 0
        for asked in _pieces(await _read(capture, shown, rhythm), _ASKED_AT_ONCE):
            fresh, more_known = await self._left_over(asked)
            known += more_known
            job.known += len(asked) - len(fresh)
            for sent in _pieces(fresh, _SENT_AT_ONCE):
                await self._make_room()
                self._accept(reading for reading, _ in sent)
                job.sent += len(sent)
                job.from_statistics += sum(shown.is_hour for _, shown in sent)
                last = sent[-1].shown
                job.until = max(last.until, last.since + _INSTANT_S)
                await asyncio.sleep(0)
        return known

    async def _left_over(self, past: list[Past]) -> tuple[list[Past], int]:
        """Return what is neither at the server nor waits, and how much is there."""
        times: dict[Address, list[datetime]] = {}
        start = _time(past[0].shown.since) - _LEEWAY
        end = _time(past[-1].shown.until) + _LEEWAY
        for address in {_address(reading) for reading, _ in past}:
            # In this order, so that none is missed that is just being sent.
            waiting = await self._outbox.times_waiting(*address)
            stored = await self._stored.between(*address, start, end)
            times[address] = sorted({*map(_time, waiting), *stored})
        fresh = [
            one for one in past if not _has_any(times[_address(one.reading)], one.shown)
        ]
        return fresh, sum(map(len, times.values()))


async def _read(capture: Capture, shown: list[Shown], rhythm: Rhythm) -> list[Past]:
    """Return what the states of an entity say in numbers, the oldest first.

    Unless every change is to be sent, that is no more than the newest number of each
    interval. They begin where they always do, so that another run comes to the same.
    """
    newest: dict[tuple[Address, float], Past] = {}
    old = None
    for count, moment in enumerate(shown, 1):
        readings: list[Reading] = []
        capture.add_changes(readings, old, moment.state)
        for reading in readings:
            when = reading.time
            if rhythm.when is not When.CHANGE:
                when = floor(when / rhythm.interval_s)
            newest[_address(reading), when] = Past(reading, moment)
        old = moment.state
        if count % _STATES_AT_ONCE == 0:
            await asyncio.sleep(0)
    return sorted(newest.values(), key=lambda one: one.reading.time)


def _pieces(past: list[Past], size: int) -> Iterator[list[Past]]:
    """Yield some at a time; what was true at one time is never torn apart."""
    some: list[Past] = []
    for one in past:
        is_full = len(some) >= size
        if is_full and one.reading.time > some[-1].reading.time:
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _has_any(times: list[datetime], shown: Shown) -> bool:
    """Tell whether one of the times, which are in order, is what a state stands for."""
    first = bisect_left(times, _time(shown.since))
    return first < bisect_right(times, _time(shown.until))


def _address(reading: Reading) -> Address:
    return Address(reading.device_id, reading.variable)


def _end_of_day(time: float) -> float:
    return (floor(time / _DAY_S) + 1) * _DAY_S


def _time(seconds: float) -> datetime:
    """Return a time as it is sent, in microseconds."""
    return dt_util.utc_from_timestamp(seconds)
