"""Turn a part of a house upside down."""

import asyncio
from collections.abc import Iterator, Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum, auto

from homeassistant.helpers import entity_registry as er

from benchmarks.house import House


class _Fate(IntEnum):
    """What happens to an entity."""

    RENAMED = 0
    MOVED = auto()
    RELABELLED = auto()
    DISABLED = auto()
    DELETED = auto()


@dataclass(frozen=True)
class Storm:
    """Changes of some entities, which meet the five fates in turn.

    Attributes:
        entity_ids: the entities that it hits.
    """

    entity_ids: tuple[str, ...]

    async def blow_one_by_one(self, house: House) -> None:
        """Change an entity at a time, as a selection in Home Assistant's list is."""
        for _ in self._blow(house):
            await asyncio.sleep(0)

    async def blow_at_once(self, house: House) -> None:
        """Change all without a pause, as when an integration is removed."""
        for _ in self._blow(house):
            pass

    def followed_after(
        self, before: AbstractSet[str], choice_name: str, *, with_disabled: bool
    ) -> AbstractSet[str]:
        """Return what is to be followed after the storm.

        Args:
            before: what was followed before it.
            choice_name: by what all was chosen.
            with_disabled: whether what is disabled is followed on.
        """
        gone = {_Fate.DELETED}
        if not with_disabled:
            gone.add(_Fate.DISABLED)
        if choice_name == "label":
            gone.add(_Fate.RELABELLED)
        if choice_name == "area":
            gone.add(_Fate.MOVED)
        after = set(before)
        for entity_id, fate in self._fates():
            if fate in gone:
                after.remove(entity_id)
            elif fate is _Fate.RENAMED:
                after.remove(entity_id)
                after.add(_new_id(entity_id))
        return after

    def _fates(self) -> Iterator[tuple[str, _Fate]]:
        for index, entity_id in enumerate(self.entity_ids):
            yield entity_id, _Fate(index % len(_Fate))

    def _blow(self, house: House) -> Iterator[None]:
        """Change one entity a step, and its state as its integration would."""
        registry = er.async_get(house.hass)
        states = house.hass.states
        for entity_id, fate in self._fates():
            match fate:
                case _Fate.RENAMED:
                    state = states.get(entity_id)
                    registry.async_update_entity(
                        entity_id, new_entity_id=_new_id(entity_id)
                    )
                    states.async_remove(entity_id)
                    if state:
                        states.async_set(
                            _new_id(entity_id), state.state, state.attributes
                        )
                case _Fate.MOVED:
                    registry.async_update_entity(entity_id, area_id=house.other_area_id)
                case _Fate.RELABELLED:
                    registry.async_update_entity(
                        entity_id, labels={house.other_label_id}
                    )
                case _Fate.DISABLED:
                    registry.async_update_entity(
                        entity_id, disabled_by=er.RegistryEntryDisabler.USER
                    )
                    states.async_remove(entity_id)
                case _Fate.DELETED:
                    registry.async_remove(entity_id)
                    states.async_remove(entity_id)
            yield


def _new_id(entity_id: str) -> str:
    return f"{entity_id}_renamed"
