"""Give Home Assistant's things names that are safe on the server, once and for good."""

from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
import re
from typing import NamedTuple, NotRequired, Self, TypedDict

from homeassistant.util import slugify

from .client.protocol import (
    MAX_DEVICE_ID_CHARS,
    MAX_VARIABLE_NAME_CHARS,
    RESERVED_VARIABLE_LIMITS,
)
from .mends import Mend, Mends, mend_of

_UNIT_SLUGS = {"%": "pct", "°": "deg", "°C": "c", "°F": "f"}

# An entity's key, then what ends it for a group, an attribute, and a further unit.
_KEY = re.compile(r"([^@#|]+)(@[^#|]*)?(?:#([^|]*))?(?:\|(.*))?", re.DOTALL)

# What Home Assistant makes of a text that nothing is left of.
_SLUG_OF_NOTHING = slugify("-")


@dataclass(frozen=True)
class Described:
    """What is known of an entity when it is named.

    Attributes:
        key: what stays when the entity is renamed: its registry id, else its entity id.
        device_key: likewise for its device, or None if it has none.
        device_name: the device's name, or None.
        name: the entity's own name, without its device's, or None.
        device_class: what it measures, or None.
        entity_id: what Home Assistant knows it by at present.
        unit: unit of measurement, or None.
        group: ends its keys where its SensorVision device is not its own one.
    """

    key: str
    device_key: str | None
    device_name: str | None
    name: str | None
    device_class: str | None
    entity_id: str
    unit: str | None
    group: str = ""

    @property
    def object_id(self) -> str:
        """Return the entity id without its domain."""
        return self.entity_id.partition(".")[2]

    @property
    def own_slug(self) -> str:
        """Return the slug of its own name, without its device's, empty if it has none."""
        slug = _slug(self.name)
        if self.device_name:
            # Integrations of the old kind repeat the device's name in the entity's.
            slug = slug.removeprefix(f"{_slug(self.device_name)}_")
        return slug

    def within(self, group_id: str, group_name: str) -> Self:
        """Return it as a part of something that holds several devices."""
        own = self.own_slug or (_slug(self.device_class) if self.device_name else "")
        parts = (_slug(self.device_name), own)
        return replace(
            self,
            device_key=group_id,
            device_name=group_name,
            name=" ".join(filter(None, parts)) or self.object_id,
            group=f"@{group_id}",
        )


class Address(NamedTuple):
    """Where an entity's numbers go."""

    device_id: str
    variable: str


class UnitChange(NamedTuple):
    """That an entity's numbers go elsewhere because they are in another unit."""

    entity_id: str
    old_unit: str
    new_unit: str
    old: Address
    new: Address


class Given(NamedTuple):
    """What a name was given to.

    Attributes:
        key: the entity's, as in `Described`.
        group: what ends its keys where its SensorVision device is not its own one.
        attribute: which of its attributes, or "" for its state.
        unit: what the numbers are in, or "" if they have no unit.
        address: where the numbers go.
    """

    key: str
    group: str
    attribute: str
    unit: str
    address: Address


class StoredNames(TypedDict):
    """The names that were given, as they are kept on disk."""

    devices: dict[str, str]
    variables: dict[str, list[str]]
    units: NotRequired[dict[str, str]]


class Names:
    """The names that an installation has given, which never change again.

    Args:
        prefix: begins every device id, because ids are unique over the whole server.
        stored: what was given before, or None.
    """

    def __init__(self, prefix: str, stored: StoredNames | None) -> None:
        """Remember what was given before."""
        stored = stored or StoredNames(devices={}, variables={})
        self._prefix = prefix
        self._devices = dict(stored["devices"])
        self._addresses = {
            key: Address(*address) for key, address in stored["variables"].items()
        }
        self._units = dict(stored.get("units", {}))
        self._unit_changes: list[UnitChange] = []
        self._taken_devices = set(self._devices.values())
        self._taken_addresses = set(self._addresses.values())

    def __len__(self) -> int:
        """Return how much is to be kept on disk."""
        return len(self._addresses) + len(self._units)

    def copy(self) -> Self:
        """Return names that go on from these and of which these will not know."""
        twin = copy(self)
        vars(twin).update({key: copy(value) for key, value in vars(self).items()})
        return twin

    def as_stored(self) -> StoredNames:
        """Return what is to be kept on disk."""
        return StoredNames(
            devices=dict(self._devices),
            variables={key: list(address) for key, address in self._addresses.items()},
            units=dict(self._units),
        )

    def take_unit_changes(self) -> list[UnitChange]:
        """Return which entities have got another variable for their unit, this once."""
        changes, self._unit_changes = self._unit_changes, []
        return changes

    def keys_by_device(self) -> dict[str, list[str]]:
        """Return the keys of the names that were given, by the devices they are in."""
        keys: dict[str, list[str]] = {}
        for key, address in self._addresses.items():
            keys.setdefault(address.device_id, []).append(key)
        return keys

    def given(self, key: str) -> Given | None:
        """Return what a name was given to, or None if it is kept by another key now."""
        address = self._addresses.get(key)
        parts = _KEY.fullmatch(key)
        if address is None or parts is None:
            return None
        entity_key, group, attribute, unit = parts.groups(default="")
        unit = unit or self._units.get(key, "")
        return Given(entity_key, group, attribute, unit, address)

    def forget(self, device_ids: Collection[str]) -> None:
        """Give no heed any more to devices that are gone, so that they begin anew."""
        self._devices = {
            key: device_id
            for key, device_id in self._devices.items()
            if device_id not in device_ids
        }
        self._addresses = {
            key: address
            for key, address in self._addresses.items()
            if address.device_id not in device_ids
        }
        self._units = {
            key: unit for key, unit in self._units.items() if key in self._addresses
        }
        self._taken_devices = set(self._devices.values())
        self._taken_addresses = set(self._addresses.values())

    def address(self, entity: Described) -> Address:
        """Return where an entity's numbers go, chosen at its first use with its unit."""
        address = self._address(entity)
        return self._address_in_unit(entity, "", entity.unit, address)

    def attribute_address(
        self, entity: Described, attribute: str, unit: str | None
    ) -> Address:
        """Return where an attribute's numbers go: beside those of its entity."""
        part = f"#{attribute}"
        address = self._known(entity, part)
        if address is None:
            device_id, variable = self._address(entity)
            key = _key(entity, part)
            address = self._give(key, device_id, f"{variable}_{attribute}")
        return self._address_in_unit(entity, part, unit, address)

    def mends(
        self, entity: Described, address: Address, attribute: str | None = None
    ) -> Mends:
        """Tell how the address that an entity or its attribute was given was mended."""
        device_id, first_variable = self._address(entity)
        of_device = mend_of(
            self._wanted_device_id(entity), device_id, MAX_DEVICE_ID_CHARS
        )
        part = f"#{attribute}" if attribute else ""
        if address != self._known(entity, part):
            return Mends(of_device, Mend.NEW_UNIT)
        wanted = f"{first_variable}_{attribute}" if part else _variable_name(entity)
        if not part and address.variable == wanted != _variable_slug(entity):
            return Mends(of_device, Mend.RESERVED)
        of_variable = mend_of(wanted, address.variable, MAX_VARIABLE_NAME_CHARS)
        return Mends(of_device, of_variable)

    def _address(self, entity: Described) -> Address:
        if known := self._known(entity):
            return known
        variable = _variable_name(entity)
        return self._give(_key(entity), self._device_id(entity), variable)

    def _address_in_unit(
        self, entity: Described, part: str, unit: str | None, first: Address
    ) -> Address:
        """Return another address than the first where the unit is not the first any more.

        Numbers of two units in one variable would make a false history.
        """
        if not unit:
            return first
        first_unit = self._units.setdefault(_key(entity, part), unit)
        if unit == first_unit:
            return first
        in_unit = f"{part}|{unit}"
        if known := self._known(entity, in_unit):
            return known
        wanted = f"{first.variable}_{_unit_slug(unit)}"
        address = self._give(_key(entity, in_unit), first.device_id, wanted)
        self._unit_changes.append(
            UnitChange(entity.entity_id, first_unit, unit, first, address)
        )
        return address

    def _known(self, entity: Described, part: str = "") -> Address | None:
        """Return the address that was given before, if any."""
        key = _key(entity, part)
        if known := self._addresses.get(key):
            return known
        # It had no registry entry before, and no other key.
        unregistered_key = f"{entity.entity_id}{entity.group}{part}"
        if known := self._addresses.pop(unregistered_key, None):
            self._addresses[key] = known
            if unit := self._units.pop(unregistered_key, None):
                self._units[key] = unit
        return known

    def _give(self, key: str, device_id: str, wanted: str) -> Address:
        """Give a variable a name that no other one of its device has."""
        variable = next(
            name
            for name in _with_suffixes(wanted, MAX_VARIABLE_NAME_CHARS)
            if Address(device_id, name) not in self._taken_addresses
        )
        address = Address(device_id, variable)
        self._addresses[key] = address
        self._taken_addresses.add(address)
        return address

    def _device_id(self, entity: Described) -> str:
        key = entity.device_key or entity.key
        if known := self._devices.get(key):
            return known
        wanted = self._wanted_device_id(entity)
        device_id = next(
            candidate
            for candidate in _with_suffixes(wanted, MAX_DEVICE_ID_CHARS)
            if candidate not in self._taken_devices
        )
        self._devices[key] = device_id
        self._taken_devices.add(device_id)
        return device_id

    def _wanted_device_id(self, entity: Described) -> str:
        name = _slug(entity.device_name) or _slug(entity.name)
        return f"{self._prefix}.{name or slugify(entity.object_id)}"


def _key(entity: Described, part: str = "") -> str:
    """Return by which key an entity's address is kept, or that of a part of it."""
    return f"{entity.key}{entity.group}{part}"


def _variable_slug(entity: Described) -> str:
    """Return the slug of the entity's own name, else device class, else object id."""
    return entity.own_slug or _slug(entity.device_class) or slugify(entity.object_id)


def _variable_name(entity: Described) -> str:
    """Return the slug, with the unit behind it where the server has a use for it."""
    slug = _variable_slug(entity)
    if slug in RESERVED_VARIABLE_LIMITS:
        return f"{slug}_{_unit_slug(entity.unit)}"
    return slug


def _unit_slug(unit: str | None) -> str:
    return _UNIT_SLUGS.get(unit or "", _slug(unit)) or "value"


# The same few names are asked for again and again, and making a slug takes long.
@lru_cache(maxsize=1024)
def _slug(text: str | None) -> str:
    """Return a slug, empty if there is no letter or digit in the text."""
    slug = slugify(text)
    return "" if slug == _SLUG_OF_NOTHING else slug


def _with_suffixes(name: str, max_chars: int) -> Iterator[str]:
    """Yield the name, then the name with _2, _3 and so on, none too long."""
    yield name[:max_chars]
    number = 2
    while True:
        suffix = f"_{number}"
        yield f"{name[: max_chars - len(suffix)]}{suffix}"
        number += 1
