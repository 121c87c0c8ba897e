"""Give Home Assistant's things names that are safe on the server, once and for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from homeassistant.util import slugify

from .client.protocol import (
    MAX_DEVICE_ID_CHARS,
    MAX_VARIABLE_NAME_CHARS,
    RESERVED_VARIABLE_LIMITS,
)

_UNIT_SLUGS = {"%": "pct"}

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
    """

    key: str
    device_key: str | None
    device_name: str | None
    name: str | None
    device_class: str | None
    entity_id: str
    unit: str | None

    @property
    def object_id(self) -> str:
        """Return the entity id without its domain."""
        return self.entity_id.partition(".")[2]


class Address(NamedTuple):
    """Where an entity's numbers go."""

    device_id: str
    variable: str


class StoredNames(TypedDict):
    """The names that were given, as they are kept on disk."""

    devices: dict[str, str]
    variables: dict[str, list[str]]


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
        self._taken_devices = set(self._devices.values())
        self._taken_addresses = set(self._addresses.values())

    def __len__(self) -> int:
        """Return how many entities have got a name."""
        return len(self._addresses)

    def as_stored(self) -> StoredNames:
        """Return what is to be kept on disk."""
        return StoredNames(
            devices=dict(self._devices),
            variables={key: list(address) for key, address in self._addresses.items()},
        )

    def address(self, entity: Described) -> Address:
        """Return where an entity's numbers go, chosen at its first use."""
        if known := self._known(entity.key, entity.entity_id):
            return known
        return self._give(entity.key, self._device_id(entity), _variable_name(entity))

    def attribute_address(self, entity: Described, attribute: str) -> Address:
        """Return where an attribute's numbers go: beside those of its entity."""
        key = f"{entity.key}#{attribute}"
        if known := self._known(key, f"{entity.entity_id}#{attribute}"):
            return known
        device_id, variable = self.address(entity)
        return self._give(key, device_id, f"{variable}_{attribute}")

    def _known(self, key: str, unregistered_key: str) -> Address | None:
        """Return the address that was given before, if any."""
        if known := self._addresses.get(key):
            return known
        # It had no registry entry before, and no other key.
        if known := self._addresses.pop(unregistered_key, None):
            self._addresses[key] = known
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
        name = _slug(entity.device_name) or _slug(entity.name)
        wanted = f"{self._prefix}.{name or slugify(entity.object_id)}"
        device_id = next(
            candidate
            for candidate in _with_suffixes(wanted, MAX_DEVICE_ID_CHARS)
            if candidate not in self._taken_devices
        )
        self._devices[key] = device_id
        self._taken_devices.add(device_id)
        return device_id


def _variable_name(entity: Described) -> str:
    """Return the slug of the entity's own name, else device class, else object id."""
    slug = _slug(entity.name)
    if entity.device_name:
        # Integrations of the old kind repeat the device's name in the entity's.
        slug = slug.removeprefix(f"{slugify(entity.device_name)}_")
    slug = slug or _slug(entity.device_class) or slugify(entity.object_id)
    if slug in RESERVED_VARIABLE_LIMITS:
        unit = _UNIT_SLUGS.get(entity.unit or "", _slug(entity.unit))
        return f"{slug}_{unit or 'value'}"
    return slug


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
