"""Read from Home Assistant's recorder what an entity has shown."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from homeassistant.components.recorder import get_instance, history
from homeassistant.components.recorder.statistics import (
    STATISTIC_UNIT_TO_UNIT_CONVERTER,
    UNIT_CLASS_TO_UNIT_CONVERTER,
    get_metadata,
    statistics_during_period,
)
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers.recorder import async_migration_in_progress
from homeassistant.util import dt as dt_util

from .selection import describe

_RECORDER = "recorder"
_MIGRATION_S = 60
_INSTANT_S = 1e-6
_HOUR_S = 3600


class Shown(NamedTuple):
    """What an entity has shown, and for what time that stands.

    Attributes:
        state: the state, last updated when it is to be taken as true.
        since: the first instant of that time, in seconds since 1970 (UTC).
        until: its last one, the same unless it is an hour.
    """

    state: State
    since: float
    until: float

    @property
    def is_hour(self) -> bool:
        """Whether it sums an hour up."""
        return self.since != self.until


@callback
def has_recorder(hass: HomeAssistant) -> bool:
    """Tell whether Home Assistant records at all."""
    return _RECORDER in hass.config.components


async def wait_for_recorder(hass: HomeAssistant) -> None:
    """Wait until everything up to now can be read."""
    while async_migration_in_progress(hass):  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(_MIGRATION_S)
    await get_instance(hass).async_block_till_done()


async def first_state(
    hass: HomeAssistant, entity_id: str, start: float, end: float
) -> float:
    """Return since when the states of an entity are recorded in a period.

    Args:
        hass: Home Assistant.
        entity_id: the entity.
        start: of the period, in seconds since 1970 (UTC), as all times here.
        end: of the period.

    Returns:
        The time, which is the start if they reach further back, and the end if there
        are none.
    """

    def read() -> float:
        found = history.state_changes_during_period(
            hass,
            _time(start - _INSTANT_S),
            _time(end),
            entity_id,
            no_attributes=True,
            limit=1,
            include_start_time_state=True,
        )
        states = found.get(entity_id, ())
        times = [state.last_updated_timestamp for state in states]
        return max(start, min(times, default=end))

    return await _in_executor(hass, read)


async def states(
    hass: HomeAssistant, entity_id: str, start: float, end: float
) -> list[Shown]:
    """Return all states of a period, without its end, the oldest first."""

    def read() -> list[Shown]:
        found = history.get_significant_states(
            hass,
            _time(start - _INSTANT_S),
            _time(end),
            [entity_id],
            include_start_time_state=False,
            significant_changes_only=False,
        )
        return [
            _moment(state)
            for state in found.get(entity_id, ())
            if isinstance(state, State)
        ]

    return await _in_executor(hass, read)


async def statistics(
    hass: HomeAssistant, entity_id: str, start: float, end: float
) -> list[Shown]:
    """Return the whole hours of a period, as states in the entity's present unit.

    A measurement's mean is true at the half of its hour, a total at its end.
    """
    present_unit = describe(hass, entity_id).unit

    def read() -> list[Shown]:
        known = get_metadata(hass, statistic_ids={entity_id}).get(entity_id)
        if known is None:
            return []
        metadata = known[1]
        unit = metadata["unit_of_measurement"]
        units: dict[str, str] = {}
        converter = UNIT_CLASS_TO_UNIT_CONVERTER.get(
            metadata["unit_class"]
        ) or STATISTIC_UNIT_TO_UNIT_CONVERTER.get(unit)
        if converter and present_unit in converter.VALID_UNITS:
            unit = present_unit
        if converter and unit is not None:
            units[converter.UNIT_CLASS] = unit
        found = statistics_during_period(
            hass,
            _time(start),
            _time(end),
            {entity_id},
            "hour",
            units,
            {"mean", "state"},
        )
        rows = found.get(entity_id, ())
        is_total = metadata["has_sum"]
        return [
            _hour(entity_id, row["start"], value, unit, is_total=is_total)
            for row in rows
            if (value := row.get("state") if is_total else row.get("mean")) is not None
            and start <= row["start"] <= end - _HOUR_S
        ]

    return await _in_executor(hass, read)


def _moment(lazy: State) -> Shown:
    # The recorder's own states lack their domain, and read their attributes late.
    state = State(
        lazy.entity_id,
        lazy.state,
        lazy.attributes,
        lazy.last_changed,
        last_updated=lazy.last_updated,
    )
    return Shown(state, state.last_updated_timestamp, state.last_updated_timestamp)


def _hour(
    entity_id: str,
    start: float,
    value: float,
    unit: str | None,
    *,
    is_total: bool,
) -> Shown:
    end = start + _HOUR_S
    time = end if is_total else start + _HOUR_S / 2
    attributes = {} if unit is None else {ATTR_UNIT_OF_MEASUREMENT: unit}
    state = State(entity_id, str(value), attributes, last_updated=_time(time))
    # The end of one hour is the start of the next.
    if is_total:
        return Shown(state, start + _INSTANT_S, end)
    return Shown(state, start, end - _INSTANT_S)


async def _in_executor[T](hass: HomeAssistant, read: Callable[[], T]) -> T:
    return await get_instance(hass).async_add_executor_job(read)


def _time(seconds: float) -> datetime:
    return dt_util.utc_from_timestamp(seconds)
