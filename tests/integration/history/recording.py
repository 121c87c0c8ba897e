"""A past for a house, in Home Assistant's own recorder."""

from collections.abc import Mapping
from datetime import UTC, datetime
import time
from typing import Any

from homeassistant.components.recorder.models import StatisticData, StatisticMeanType
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox
from tests.integration.house import until

HOUR_S = 3600
DAY_S = 24 * HOUR_S


async def record(
    hass: HomeAssistant,
    entity_id: str,
    states: Mapping[float, str],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Let an entity have shown states at times, in seconds since 1970, and wait for it."""
    for at, state in states.items():
        hass.states.async_set(entity_id, state, attributes, timestamp=at)
    await async_wait_recording_done(hass)


async def record_hours(
    hass: HomeAssistant,
    entity_id: str,
    hours: Mapping[float, float],
    *,
    unit: str | None,
    unit_class: str | None,
    is_total: bool = False,
) -> None:
    """Let an entity have long-term statistics of hours that begin at times."""
    async_import_statistics(
        hass,
        {
            "has_sum": is_total,
            "mean_type": StatisticMeanType.NONE
            if is_total
            else StatisticMeanType.ARITHMETIC,
            "name": None,
            "source": "recorder",
            "statistic_id": entity_id,
            "unit_class": unit_class,
            "unit_of_measurement": unit,
        },
        [
            StatisticData(start=start, state=value, sum=value)
            if is_total
            else StatisticData(start=start, mean=value)
            for start, value in (
                (datetime.fromtimestamp(at, UTC), value) for at, value in hours.items()
            )
        ],
    )
    await async_wait_recording_done(hass)


async def backfill(
    hass: HomeAssistant, entry: MockConfigEntry, start: float, **more: str
) -> list[dict[str, Any]]:
    """Call the action as a person does, from a time in seconds since 1970."""
    data = {"start": datetime.fromtimestamp(start, UTC).isoformat(), **more}
    response = await act(hass, entry, "backfill", data)
    jobs: list[dict[str, Any]] = response["jobs"]
    return jobs


async def act(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    action: str,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Call an action of an entry, and return what it says if it says something."""
    says = action in {"backfill", "status"}
    response = await hass.services.async_call(
        DOMAIN,
        action,
        {"config_entry_id": entry.entry_id, **(data or {})},
        blocking=True,
        return_response=says,
    )
    return dict(response or {})


def jobs(entry: MockConfigEntry) -> list[dict[str, Any]]:
    """Return how the jobs of an entry go."""
    shown: list[dict[str, Any]] = entry.runtime_data.backfill.as_shown()
    return shown


async def finished(entry: MockConfigEntry) -> list[dict[str, Any]]:
    """Wait until all jobs are done and the server has it all, and return how they went."""
    runtime = entry.runtime_data
    await until(
        lambda: (
            all(job["state"] not in {"waiting", "running"} for job in jobs(entry))
            and not runtime.outbox
        )
    )
    return jobs(entry)


def stored(
    sandbox: Sandbox, device_id: str, variable: str, before: float | None = None
) -> list[tuple[float, float]]:
    """Return times and values that the server has, by their times.

    Args:
        sandbox: the server.
        device_id: of the device.
        variable: its variable.
        before: only what was true before this time, a minute ago by default.
    """
    end = time.time() - 60 if before is None else before
    return sorted(
        (row.timestamp.timestamp(), float(row.value))
        for row in sandbox.store.values(device_id, variable)
        if row.timestamp.timestamp() < end
    )
