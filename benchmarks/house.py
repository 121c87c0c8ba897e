"""A Home Assistant core with a large house in its registries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import ThreadedResolver
from homeassistant import bootstrap, loader
from homeassistant.config import YAML_CONFIG_FILE, async_hass_config_yaml
from homeassistant.config_entries import SOURCE_IGNORE, ConfigEntries, ConfigEntry
from homeassistant.const import (
    ATTR_FRIENDLY_NAME,
    ATTR_UNIT_OF_MEASUREMENT,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EntityCategory,
)
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.aiohttp_client import DATA_RESOLVER

# Devices need an owner, and one that does nothing if it is ignored.
_PLATFORM = "season"
_FLOORS = 4
_AREAS = 20
_LABELS = 5
_ENTITIES_PER_DEVICE = 20


@dataclass(frozen=True)
class House:
    """A running core, and what its registries hold.

    Attributes:
        hass: the core.
        entity_ids: all its entities, each with a state that has a number.
        label_id: the label that all of them bear.
        other_label_id: a label that none of them bears.
        area_ids: the areas that all of them are in.
        other_area_id: an area that none of them is in.
    """

    hass: HomeAssistant
    entity_ids: tuple[str, ...]
    label_id: str
    other_label_id: str
    area_ids: tuple[str, ...]
    other_area_id: str


@asynccontextmanager
async def running_house(folder: Path, entities: int) -> AsyncIterator[House]:
    """Run a core until the block ends.

    Args:
        folder: an empty one, which becomes its configuration directory.
        entities: how many the house has.
    """
    hass = await start_core(folder)
    try:
        house = await _furnish(hass, entities)
        await save_registries(hass)
        # Else now and then somebody has to wait until Python has looked for garbage in
        # the whole house, which takes longer than all that is measured.
        gc.collect()
        gc.freeze()
        yield house
    finally:
        await hass.async_stop(force=True)
        gc.unfreeze()


async def start_core(folder: Path) -> HomeAssistant:
    """Start a core that runs no integrations yet.

    Args:
        folder: its configuration directory, with whatever an earlier one has left.
    """
    hass = HomeAssistant(str(folder))
    loader.async_setup(hass)
    hass.config.skip_pip = True
    # The core's own also asks the local network, for which nothing is set up here.
    hass.data[DATA_RESOLVER] = ThreadedResolver()  # type: ignore[misc]
    path = hass.config.path(YAML_CONFIG_FILE)
    is_told = await asyncio.to_thread(Path(path).exists)
    said = await async_hass_config_yaml(hass) if is_told else {}
    hass.config_entries = ConfigEntries(hass, said)
    await bootstrap.async_load_base_functionality(hass)
    hass.set_state(CoreState.running)
    return hass


async def save_registries(hass: HomeAssistant) -> None:
    """Write what waits to be written, so that it is not written while measuring."""
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done()


def config_entry(domain: str, data: dict[str, Any], **changes: Any) -> ConfigEntry:
    """Return a config entry as a flow would make it."""
    facts: dict[str, Any] = {
        "source": "user",
        "version": 1,
        "minor_version": 1,
        "subentries_data": (),
    }
    return ConfigEntry(
        domain=domain,
        title=domain,
        data=data,
        options={},
        unique_id=None,
        discovery_keys=MappingProxyType({}),
        **(facts | changes),
    )


async def _furnish(hass: HomeAssistant, entities: int) -> House:
    entry = config_entry(_PLATFORM, {}, source=SOURCE_IGNORE)
    await hass.config_entries.async_add(entry)
    floors = [
        fr.async_get(hass).async_create(f"Floor {number}").floor_id
        for number in range(_FLOORS)
    ]
    areas = [
        ar.async_get(hass)
        .async_create(f"Area {number}", floor_id=floors[number % _FLOORS])
        .id
        for number in range(_AREAS)
    ]
    labels = [
        lr.async_get(hass).async_create(f"Label {number}").label_id
        for number in range(_LABELS)
    ]
    everything = lr.async_get(hass).async_create("Mirrored").label_id
    devices: list[dr.DeviceEntry] = []
    for number in range(-(-entities // _ENTITIES_PER_DEVICE)):
        device = dr.async_get(hass).async_get_or_create(
            config_entry_id=entry.entry_id,
            identifiers={(_PLATFORM, str(number))},
            name=f"Device {number}",
        )
        dr.async_get(hass).async_update_device(
            device.id, area_id=areas[number % _AREAS]
        )
        devices.append(device)
    entity_ids = tuple(
        _add_entity(
            hass,
            entry,
            devices[number // _ENTITIES_PER_DEVICE],
            number,
            {everything, labels[number % _LABELS]},
        )
        for number in range(entities)
    )
    return House(
        hass,
        entity_ids,
        label_id=everything,
        other_label_id=lr.async_get(hass).async_create("Other").label_id,
        area_ids=tuple(areas),
        other_area_id=ar.async_get(hass).async_create("Elsewhere").id,
    )


def _add_entity(
    hass: HomeAssistant,
    entry: ConfigEntry,
    device: dr.DeviceEntry,
    number: int,
    labels: set[str],
) -> str:
    """Add an entity: every fifth is a binary sensor, every tenth diagnostic."""
    is_binary = number % 5 == 0
    registered = er.async_get(hass).async_get_or_create(
        "binary_sensor" if is_binary else "sensor",
        _PLATFORM,
        str(number),
        suggested_object_id=f"thing_{number}",
        config_entry=entry,
        device_id=device.id,
        original_name=f"Thing {number}",
        entity_category=EntityCategory.DIAGNOSTIC if number % 10 == 3 else None,
        has_entity_name=True,
    )
    entity_id = registered.entity_id
    er.async_get(hass).async_update_entity(entity_id, labels=labels)
    hass.states.async_set(
        entity_id,
        "on" if is_binary else str(number),
        {
            ATTR_FRIENDLY_NAME: f"{device.name} Thing {number}",
            **({} if is_binary else {ATTR_UNIT_OF_MEASUREMENT: "W"}),
        },
    )
    return entity_id
