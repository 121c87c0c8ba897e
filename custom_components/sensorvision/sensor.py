"""Show what became of the readings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .entity import SensorVisionEntity
from .figures import Figures
from .routes import Route
from .runtime import SensorVisionConfigEntry
from .throttle import Throttle

PARALLEL_UPDATES = 0

# A new state for every post would fill the recorder.
_INTERVAL_S = 30

# A time has neither unit nor state class, so the logbook lists each of its states.
_SELDOM_S = 5 * 60

# A broker says that it has a reading, not that the server has it.
_AS_OF_BROKER = {"delivered": "acknowledged", "last_delivered": "last_acknowledged"}
_NOT_OF_BROKER = frozenset({"round_trip_time", "superseded"})


@dataclass(frozen=True, kw_only=True)
class FigureDescription(SensorEntityDescription):
    """A sensor and the figure that it shows."""

    value_of: Callable[[Figures], float | datetime | None]
    interval_s: int = _INTERVAL_S
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


def _last_delivered(figures: Figures) -> datetime | None:
    if figures.last_delivered is None:
        return None
    return dt_util.utc_from_timestamp(figures.last_delivered)


def _counter(key: str, *, is_enabled: bool) -> FigureDescription:
    """Return a sensor that counts readings."""
    return FigureDescription(
        key=key,
        translation_key=key,
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_registry_enabled_default=is_enabled,
        value_of=attrgetter(key),
    )


_DESCRIPTIONS = (
    FigureDescription(
        key="last_delivered",
        translation_key="last_delivered",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_of=_last_delivered,
        interval_s=_SELDOM_S,
    ),
    FigureDescription(
        key="waiting",
        translation_key="waiting",
        state_class=SensorStateClass.MEASUREMENT,
        value_of=lambda figures: figures.waiting,
    ),
    _counter("refused", is_enabled=True),
    _counter("dropped", is_enabled=True),
    _counter("possible_duplicates", is_enabled=False),
    _counter("delivered", is_enabled=False),
    _counter("superseded", is_enabled=False),
    FigureDescription(
        key="oldest_waiting",
        translation_key="oldest_waiting",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_of=lambda figures: figures.oldest_waiting_s,
    ),
    FigureDescription(
        key="round_trip_time",
        translation_key="round_trip_time",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_of=lambda figures: figures.round_trip_s,
    ),
)

_BACKFILL = SensorEntityDescription(
    key="backfill",
    translation_key="backfill",
    state_class=SensorStateClass.MEASUREMENT,
    native_unit_of_measurement=PERCENTAGE,
    entity_category=EntityCategory.DIAGNOSTIC,
)

# What can be said of a broker, for which every reading waits in its turn.
_DESCRIPTIONS_OF_BROKER = tuple(
    replace(
        description,
        key=_AS_OF_BROKER.get(description.key, description.key),
        translation_key=_AS_OF_BROKER.get(description.key, description.key),
        entity_registry_enabled_default=description.entity_registry_enabled_default
        or description.key in _AS_OF_BROKER,
    )
    for description in _DESCRIPTIONS
    if description.key not in _NOT_OF_BROKER
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a sensor for each figure of the server and of each broker."""
    for route in entry.runtime_data.ways:
        throttles = {
            interval_s: Throttle(hass, entry, route, interval_s)
            for interval_s in (_INTERVAL_S, _SELDOM_S)
        }
        async_add_entities(
            [
                FigureSensor(
                    entry, description, route, throttles[description.interval_s]
                )
                for description in (
                    _DESCRIPTIONS_OF_BROKER if route.broker else _DESCRIPTIONS
                )
            ],
            config_subentry_id=route.broker_id,
        )
        if not route.broker:
            async_add_entities(
                [BackfillSensor(entry, _BACKFILL, route, throttles[_INTERVAL_S])]
            )


class ThrottledSensor(SensorVisionEntity, SensorEntity):
    """A sensor that follows the status, no faster than people look."""

    def __init__(
        self,
        entry: SensorVisionConfigEntry,
        description: SensorEntityDescription,
        route: Route,
        throttle: Throttle,
    ) -> None:
        """Know whom to follow."""
        super().__init__(entry, description, route)
        self._throttle = throttle

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the status, no faster than people look."""
        self.async_on_remove(self._throttle.add_listener(self.async_write_ha_state))


class FigureSensor(ThrottledSensor):
    """What became of the readings, in one figure."""

    entity_description: FigureDescription

    @property
    @override
    def native_value(self) -> float | datetime | None:
        """Return the figure as it is now."""
        return self.entity_description.value_of(self._route.figures)


class BackfillSensor(ThrottledSensor):
    """How much is done of what is filled from the recorder."""

    @property
    @override
    def native_value(self) -> int | None:
        """Return it in percent, or None if there is nothing to fill."""
        return self._runtime.backfill.percent
