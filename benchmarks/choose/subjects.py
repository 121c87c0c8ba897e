"""Who chooses entities and follows the choice: this integration, and what else there is."""

import asyncio
from collections.abc import Callable, Mapping, Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import (
    CONF_API_KEY,
    CONF_URL,
    CONF_VERIFY_SSL,
    EVENT_HOMEASSISTANT_STARTED,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import (
    CALLBACK_TYPE,
    CoreState,
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers.entityfilter import FILTER_SCHEMA
from homeassistant.helpers.target import (
    TargetStateChangedData,
    async_track_target_selector_state_change_event,
)

from benchmarks.house import House, config_entry, save_registries
from benchmarks.server import Server
from custom_components.sensorvision.const import (
    CONF_PREFIX,
    CONF_TEXTS,
    CONF_VALUES,
    DOMAIN,
    SUBENTRY_TYPE_MIRROR,
)
from custom_components.sensorvision.runtime import Runtime

PREFIX = "bench"


@dataclass(frozen=True)
class Choice:
    """A way to choose all entities of a house.

    Attributes:
        name: what it chooses by.
        data: as a mirror's form gives it.
    """

    name: str
    data: Mapping[str, Any]

    @property
    def target(self) -> dict[str, list[str]]:
        """Return its target as Home Assistant has it."""
        return dict(self.data["target"])


def choices_of(house: House) -> dict[str, Choice]:
    """Return ways to mean every entity of the house, by their names."""
    choices = (
        Choice("label", {"target": {"label_id": [house.label_id]}}),
        Choice(
            "area",
            {"target": {"area_id": list(house.area_ids)}, "diagnostics": True},
        ),
        Choice(
            "pattern",
            {
                "target": {},
                "more": {"domains": ["binary_sensor"], "globs": ["sensor.t*"]},
                "diagnostics": True,
            },
        ),
    )
    return {choice.name: choice for choice in choices}


class Subject(Protocol):
    """One that follows a choice."""

    # Whether it also follows what is disabled and has no state any more.
    follows_disabled: bool

    async def add(self, choice: Choice) -> None:
        """Begin to follow."""

    def followed(self) -> AbstractSet[str] | None:
        """Return what is followed, or None if it is not known ahead."""

    def is_caught_up(self) -> bool:
        """Tell whether nothing is left to be done for what is followed."""

    async def remove(self) -> None:
        """Follow nothing any more."""


class Nobody:
    """The floor: what the core needs by itself."""

    follows_disabled = False

    async def add(self, choice: Choice) -> None:
        """Do nothing."""

    def followed(self) -> AbstractSet[str] | None:
        """Return that nothing is known."""
        return None

    def is_caught_up(self) -> bool:
        """Return that there is nothing to do."""
        return True

    async def remove(self) -> None:
        """Do nothing."""


class TargetTracker(Nobody):
    """Home Assistant's own helper, which follows a target through the registries."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Follow nothing yet."""
        self._hass = hass
        self._followed: set[str] = set()
        self._stop: CALLBACK_TYPE | None = None

    async def add(self, choice: Choice) -> None:
        """Follow its target; nothing is sent."""
        # It leaves out what is disabled elsewhere, but not what bears a label.
        self.follows_disabled = "label_id" in choice.target
        self._stop = await async_track_target_selector_state_change_event(
            self._hass,
            choice.target,
            self._state_changed,
            on_entities_update=self._updated,
            primary_entities_only=False,
        )

    def followed(self) -> AbstractSet[str]:
        """Return what it says that it follows."""
        return self._followed

    async def remove(self) -> None:
        """Follow nothing any more."""
        if self._stop:
            self._stop()
        self._followed.clear()

    @callback
    def _updated(
        self,
        added: set[str],
        removed: set[str],
        _states: Mapping[str, State | None],
    ) -> None:
        self._followed |= added
        self._followed -= removed

    @callback
    def _state_changed(self, _data: TargetStateChangedData) -> None:
        """Take a new state, and do nothing with it."""


class EntityFilter(Nobody):
    """Home Assistant's filter by domain and glob, asked for each new state.

    So do its exporters, such as influxdb.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Follow nothing yet."""
        self._hass = hass
        self._stop: CALLBACK_TYPE | None = None

    async def add(self, choice: Choice) -> None:
        """Listen to new states; nothing is sent of those that there are."""
        is_chosen = filter_of(choice)

        @callback
        def state_changed(event: Event[EventStateChangedData]) -> None:
            is_chosen(event.data["entity_id"])

        self._stop = self._hass.bus.async_listen(EVENT_STATE_CHANGED, state_changed)

    async def remove(self) -> None:
        """Listen no more."""
        if self._stop:
            self._stop()


def filter_of(choice: Choice) -> Callable[[str], bool]:
    """Return the filter that an exporter's configuration would give, nothing cached."""
    more = choice.data["more"]
    made: Callable[[str], bool] = FILTER_SCHEMA(
        {"include_domains": more["domains"], "include_entity_globs": more["globs"]}
    )
    return made


class Mirror(Nobody):
    """A mirror of this integration, which sends to a server."""

    def __init__(self, house: House, server: Server) -> None:
        """Connect nothing yet."""
        self._hass = house.hass
        self._entities = len(house.entity_ids)
        self._entry = config_entry(
            DOMAIN,
            {
                CONF_URL: server.url,
                CONF_API_KEY: server.token,
                CONF_PREFIX: PREFIX,
                CONF_VERIFY_SSL: True,
            },
        )
        self._owed = 0

    @property
    def runtime(self) -> Runtime:
        """Return what the entry runs."""
        runtime: Runtime = self._entry.runtime_data
        return runtime

    async def prepare(self) -> None:
        """Connect the server.

        Raises:
            RuntimeError: the entry could not be set up.
        """
        await self._hass.config_entries.async_add(self._entry)
        await self._hass.async_block_till_done()
        if self._entry.state is not ConfigEntryState.LOADED:
            raise RuntimeError(f"The entry was not set up: {self._entry.reason}")
        await save_registries(self._hass)
        # It takes that for the end of Home Assistant.
        await self._hass.config_entries.async_reload(self._entry.entry_id)

    async def add(self, choice: Choice) -> None:
        """Save a new mirror."""
        self._owe(self._entities)
        self._hass.config_entries.async_add_subentry(
            self._entry,
            ConfigSubentry(
                data=MappingProxyType(dict(choice.data)),
                subentry_type=SUBENTRY_TYPE_MIRROR,
                title=choice.name,
                unique_id=None,
            ),
        )

    async def change(self) -> None:
        """Save the mirror with another text's number, so that all is sent anew."""
        [subentry] = self._entry.subentries.values()
        self._owe(len(self.followed()))
        self._hass.config_entries.async_update_subentry(
            self._entry,
            subentry,
            data={**subentry.data, CONF_VALUES: {CONF_TEXTS: ["ajar = 2"]}},
        )

    async def unload(self) -> None:
        """Let go of everything, as before a restart."""
        await self._hass.config_entries.async_unload(self._entry.entry_id)
        self._hass.set_state(CoreState.starting)

    async def start(self) -> None:
        """Set the entry up as a start of Home Assistant does, and end the start."""
        await self._hass.config_entries.async_setup(self._entry.entry_id)
        self._owed = len(self.followed())
        # Others are set up before the start ends.
        await asyncio.sleep(0)
        self._hass.set_state(CoreState.running)
        self._hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)

    def followed(self) -> AbstractSet[str]:
        """Return what the mirror follows, if there is one."""
        mirrors = self.runtime.mirrors.values()
        return next((mirror.entity_ids for mirror in mirrors), frozenset())

    def is_caught_up(self) -> bool:
        """Tell whether a reading of each one that joined waits or was sent."""
        return self.captured() >= self._owed

    def captured(self) -> int:
        """Return how many readings were captured since the entry was loaded."""
        outbox, status = self.runtime.outbox, self.runtime.status
        return len(outbox) + outbox.superseded + status.delivered + status.refused

    def is_delivered(self) -> bool:
        """Tell whether the server has said yes to all that was captured."""
        return not len(self.runtime.outbox)

    async def remove(self) -> None:
        """Delete the mirror."""
        [subentry_id] = self._entry.subentries
        self._hass.config_entries.async_remove_subentry(self._entry, subentry_id)

    def _owe(self, readings: int) -> None:
        """Expect so many more readings than there are now."""
        self._owed = self.captured() + readings
