"""Say what a mirror would send now, and give nothing away by it."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er

from .attributes import chosen_attributes, number_of_attribute, unit_of_attribute
from .choice import Choice
from .client.pace import Pace
from .const import CONF_PREFIX, SUBENTRY_TYPE_MIRROR
from .delivering import keeps_times
from .mapping import SkipReason, number_of
from .mends import Mends
from .names import Names
from .runtime import SensorVisionConfigEntry, is_mirroring, names_store
from .selection import Formation, Registry, describe

# So many are looked at in a few milliseconds.
_ENTITIES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One reading that would be sent now.

    Attributes:
        entity_id: what it is of.
        name: the entity's friendly name.
        attribute: whose number it is, or None if it is the state's.
        device_id: of the SensorVision device.
        variable: of that device.
        value: the number.
        unit: of measurement, or None if it isn't known.
        mends: why device id and variable aren't plainly made from the names.
    """

    entity_id: str
    name: str
    attribute: str | None
    device_id: str
    variable: str
    value: int | float
    unit: str | None
    mends: Mends


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was chosen and would not be sent now.

    Attributes:
        entity_id: what was chosen.
        name: the entity's friendly name.
        attribute: which one isn't sent, or None if it is the state.
        reason: why.
        mirror: the title of the mirror that sends it, or None if none does.
    """

    entity_id: str
    name: str
    attribute: str | None
    reason: SkipReason
    mirror: str | None = None


@dataclass(frozen=True)
class Preview:
    """What one mirror would send now.

    Attributes:
        entities: how many are chosen and exist.
        rows: the readings, in the order in which they would be sent.
        skipped: what is chosen and would not be sent.
        missing: chosen things that do not exist.
        is_mirroring: whether mirroring is switched on, or nothing is sent before it is.
        is_in_bulk: whether many devices are sent to without a pause, as with a user's
            credential and over a broker.
        devices: how many SensorVision devices the readings are of.
    """

    entities: int
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    missing: tuple[str, ...]
    is_mirroring: bool = True
    is_in_bulk: bool = False
    devices: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the devices once."""
        devices = len({row.device_id for row in self.rows})
        object.__setattr__(self, "devices", devices)

    @property
    def round_s(self) -> float:
        """Return how long it takes to post to each device once, in seconds.

        It is 0 where nothing is posted to each by itself.
        """
        return 0 if self.is_in_bulk else self.devices * Pace().spacing_s


async def preview(
    hass: HomeAssistant,
    entry: SensorVisionConfigEntry,
    choice: Choice,
    *,
    title: str = "",
    subentry_id: str | None = None,
) -> Preview:
    """Say what a mirror would send now if it had a choice.

    Args:
        hass: Home Assistant.
        entry: the server that it is a mirror of.
        choice: which does not have to be saved.
        title: of the mirror; the device is called so if there is one for the mirror.
        subentry_id: whose choice it would be, or None if it would be a new mirror's.
    """
    mirrors: list[_Mirror] = []
    for mirror in _mirrors_of(entry):
        if mirror.subentry_id == subentry_id:
            break
        mirrors.append(mirror)
    *_, last = await _preview_all(
        hass, entry, [*mirrors, _Mirror(subentry_id or "new", title, choice)]
    )
    return last


async def preview_mirrors(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> dict[str, Preview]:
    """Say what each mirror of an entry would send now, by the id of its subentry."""
    mirrors = _mirrors_of(entry)
    previews = await _preview_all(hass, entry, mirrors)
    return {
        mirror.subentry_id: each for mirror, each in zip(mirrors, previews, strict=True)
    }


@dataclass(frozen=True)
class _Mirror:
    """A mirror as it is or might be."""

    subentry_id: str
    title: str
    choice: Choice

    @property
    def formation(self) -> Formation:
        """Return which device each of its entities belongs to."""
        return Formation(self.choice.formed_by, self.subentry_id, self.title)


def _mirrors_of(entry: SensorVisionConfigEntry) -> list[_Mirror]:
    return [
        _Mirror(subentry.subentry_id, subentry.title, Choice.of(subentry.data))
        for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_MIRROR)
    ]


async def _preview_all(
    hass: HomeAssistant, entry: SensorVisionConfigEntry, mirrors: Iterable[_Mirror]
) -> list[Preview]:
    """Look at mirrors in their order; an entity is the first one's that chose it.

    It lets others go on between slices, so what changes meanwhile may show or not.
    """
    names = await _throwaway_names(hass, entry)
    previews: list[Preview] = []
    mirror_of: dict[str, str] = {}
    for mirror in mirrors:
        await asyncio.sleep(0)
        # It is good for one pass only.
        selection = Registry(hass).select(mirror.choice)
        await asyncio.sleep(0)
        entity_ids = selection.entity_ids.difference(selection.missing)
        rows: list[Row] = []
        skipped: list[Skipped] = []
        for index, entity_id in enumerate(sorted(entity_ids)):
            if index % _ENTITIES_AT_ONCE == 0:
                await asyncio.sleep(0)
            other = mirror_of.get(entity_id)
            for found in _look_at(hass, names, mirror, entity_id, other):
                if isinstance(found, Row):
                    rows.append(found)
                else:
                    skipped.append(found)
        previews.append(
            Preview(
                len(entity_ids),
                tuple(rows),
                tuple(skipped),
                selection.missing,
                is_mirroring(entry),
                keeps_times(entry.data) or mirror.choice.broker_id in entry.subentries,
            )
        )
        mirror_of = dict.fromkeys(entity_ids, mirror.title) | mirror_of
    return previews


async def _throwaway_names(
    hass: HomeAssistant, entry: SensorVisionConfigEntry
) -> Names:
    """Return names that go on from those that were given, and that nobody keeps."""
    if entry.state is ConfigEntryState.LOADED:
        return entry.runtime_data.copy_names()
    stored = await names_store(hass, entry.entry_id).async_load()
    return Names(entry.data[CONF_PREFIX], stored)


@callback
def _look_at(
    hass: HomeAssistant,
    names: Names,
    mirror: _Mirror,
    entity_id: str,
    other: str | None,
) -> Iterator[Row | Skipped]:
    """Yield what an entity would send and what not, as a mirror does when it joins.

    If another mirror has it, that sends it.
    """
    state = hass.states.get(entity_id)
    name = _name(hass, entity_id, state)
    if other is not None:
        yield Skipped(entity_id, name, None, SkipReason.OTHER_MIRROR, other)
        return
    if state is None:
        yield Skipped(entity_id, name, None, SkipReason.NO_STATE)
        return
    number = number_of(state, mirror.choice.number_by_text)
    if isinstance(number, SkipReason):
        yield Skipped(entity_id, name, None, number)
    else:
        entity = describe(hass, entity_id, mirror.formation)
        address = names.address(entity)
        mends = names.mends(entity, address)
        yield Row(entity_id, name, None, *address, number, entity.unit, mends)
    yield from _look_at_attributes(hass, names, mirror, state, name)


def _look_at_attributes(
    hass: HomeAssistant, names: Names, mirror: _Mirror, state: State, name: str
) -> Iterator[Row | Skipped]:
    """Yield those that there are: few states have all that their domain can have."""
    entity_id = state.entity_id
    for attribute in chosen_attributes(state.domain, mirror.choice.attributes):
        number = number_of_attribute(state, attribute)
        if number is not None:
            entity = describe(hass, entity_id, mirror.formation)
            home_unit = hass.config.units.temperature_unit
            unit = unit_of_attribute(state, attribute, home_unit)
            address = names.attribute_address(entity, attribute, unit)
            mends = names.mends(entity, address, attribute)
            yield Row(entity_id, name, attribute, *address, number, unit, mends)
        elif attribute in state.attributes and state.state != STATE_UNAVAILABLE:
            yield Skipped(entity_id, name, attribute, SkipReason.NO_NUMBER)


def _name(hass: HomeAssistant, entity_id: str, state: State | None) -> str:
    """Return what a person knows an entity by."""
    if state:
        return str(state.name)
    entry = er.async_get(hass).async_get(entity_id)
    return (entry and (entry.name or entry.original_name)) or entity_id
