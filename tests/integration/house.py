"""A house full of devices, and what arrives of it at the server."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentry,
    ConfigSubentryData,
    SubentryFlowResult,
)
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.const import CONF_TARGET, SUBENTRY_TYPE_MIRROR
from sandbox import Sandbox

_PLATFORM = "some_platform"
_DEADLINE_S = 20
_POLL_S = 0.01


class House:
    """The devices and entities of another integration."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start with an empty house."""
        self._hass = hass
        self._entry = MockConfigEntry(domain=_PLATFORM)
        self._entry.add_to_hass(hass)

    def device(
        self,
        name: str,
        *,
        area_id: str | None = None,
        name_by_user: str | None = None,
        model: str | None = None,
        sw_version: str | None = None,
    ) -> dr.DeviceEntry:
        """Add a device, placed and called as a person would."""
        registry = dr.async_get(self._hass)
        device = registry.async_get_or_create(
            config_entry_id=self._entry.entry_id,
            identifiers={(_PLATFORM, name)},
            name=name,
            model=model,
            sw_version=sw_version,
        )
        changed = registry.async_update_device(
            device.id, area_id=area_id, name_by_user=name_by_user
        )
        return changed or device

    def entity(
        self,
        entity_id: str,
        state: str,
        *,
        device: dr.DeviceEntry | None = None,
        original_name: str | None = None,
        original_device_class: str | None = None,
        entity_category: EntityCategory | None = None,
        hidden_by: er.RegistryEntryHider | None = None,
        name: str | None = None,
        area_id: str | None = None,
        labels: Iterable[str] = (),
        unit: str | None = None,
        precision: int | None = None,
    ) -> None:
        """Add an entity with its state, named, placed and shown as a person would."""
        registry = er.async_get(self._hass)
        domain, _, object_id = entity_id.partition(".")
        entry = registry.async_get_or_create(
            domain,
            _PLATFORM,
            object_id,
            suggested_object_id=object_id,
            config_entry=self._entry,
            device_id=device.id if device else None,
            original_name=original_name,
            original_device_class=original_device_class,
            entity_category=entity_category,
            hidden_by=hidden_by,
        )
        assert entry.entity_id == entity_id
        registry.async_update_entity(
            entity_id, name=name, area_id=area_id, labels=set(labels)
        )
        if precision is not None:
            registry.async_update_entity_options(
                entity_id, "sensor", {"display_precision": precision}
            )
        attributes = {} if unit is None else {ATTR_UNIT_OF_MEASUREMENT: unit}
        self._hass.states.async_set(entity_id, state, attributes)


def mirror(title: str = "All", /, **target: list[str]) -> ConfigSubentryData:
    """Return a mirror of a target, such as `entity_id=["sensor.x"]`."""
    return mirror_of({CONF_TARGET: target}, title)


def mirror_of(data: Mapping[str, Any], title: str = "All") -> ConfigSubentryData:
    """Return a mirror with all that its form can ask for."""
    return ConfigSubentryData(
        data=data,
        subentry_type=SUBENTRY_TYPE_MIRROR,
        title=title,
        unique_id=None,
    )


def numbers(sandbox: Sandbox, device_id: str, variable: str) -> list[float]:
    """Return the numbers that a variable has at the server, oldest first."""
    return [float(stored.value) for stored in sandbox.store.values(device_id, variable)]


async def read_on(hass: HomeAssistant, result: ConfigFlowResult) -> ConfigFlowResult:
    """Go on where a flow only says what a credential can do."""
    if not (result.get("step_id") or "").startswith("connected_"):
        return result
    return await hass.config_entries.flow.async_configure(result["flow_id"], {})


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition; that it never comes true fails the test."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the other side has no event for it
            await asyncio.sleep(_POLL_S)


async def begun(path: Path) -> None:
    """Wait until a file is about to be made, at the very moment."""
    async with asyncio.timeout(_DEADLINE_S):
        while not any(path.parent.glob(f"{path.name}*")):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def choose(
    hass: HomeAssistant, flow_id: str, choice: dict[str, Any]
) -> SubentryFlowResult:
    """Fill in a mirror's form, look at the preview and save."""
    preview = await hass.config_entries.subentries.async_configure(flow_id, choice)
    assert preview["step_id"].startswith("preview")
    return await hass.config_entries.subentries.async_configure(
        flow_id, {"next_step_id": "save"}
    )


def add_mirror(
    hass: HomeAssistant, entry: ConfigEntry, mirror: ConfigSubentryData
) -> None:
    """Add a mirror to an entry that runs."""
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType(mirror["data"]),
            subentry_type=mirror["subentry_type"],
            title=mirror["title"],
            unique_id=None,
        ),
    )
