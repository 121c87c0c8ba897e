"""Domains, globs and what is left out; and that no storm of changes confuses it."""

import asyncio
from collections.abc import Mapping
from random import Random
import time
from typing import Any

from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)
import pytest

from custom_components.sensorvision.choice import Choice
from custom_components.sensorvision.const import DOMAIN
from custom_components.sensorvision.names import Names
from custom_components.sensorvision.selection import Formation, Registry, describe
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror_of, numbers, until

_STORM_ENTITIES = 1000


@pytest.fixture
def home(hass: HomeAssistant, house: House) -> ar.AreaEntry:
    """Furnish a kitchen with one entity of each kind that matters here."""
    kitchen = ar.async_get(hass).async_create("Kitchen")
    house.entity("sensor.oven", "180", area_id=kitchen.id)
    house.entity("sensor.fridge", "5", area_id=kitchen.id)
    house.entity("light.stove", "on", area_id=kitchen.id)
    house.entity("light.door", "off")
    house.entity(
        "sensor.battery",
        "90",
        area_id=kitchen.id,
        entity_category=EntityCategory.DIAGNOSTIC,
    )
    house.entity("sensor.raw", "1", hidden_by=er.RegistryEntryHider.USER)
    house.entity("sensor.off", "1", area_id=kitchen.id)
    er.async_get(hass).async_update_entity(
        "sensor.off", disabled_by=er.RegistryEntryDisabler.USER
    )
    hass.states.async_set("sensor.template", "7")
    return kitchen


_KITCHEN = {"area_id": ["kitchen"]}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("data", "chosen"),
    [
        ({"target": _KITCHEN}, "sensor.oven sensor.fridge light.stove"),
        (
            {"target": _KITCHEN, "diagnostics": True},
            "sensor.oven sensor.fridge light.stove sensor.battery",
        ),
        ({"more": {"domains": ["light"]}}, "light.stove light.door"),
        (
            {"more": {"domains": ["sensor"]}},
            "sensor.oven sensor.fridge sensor.template",
        ),
        (
            {"more": {"domains": ["sensor"]}, "diagnostics": True},
            "sensor.oven sensor.fridge sensor.template sensor.battery",
        ),
        ({"more": {"globs": ["*.d*", "sensor.ove?"]}}, "light.door sensor.oven"),
        ({"more": {"globs": ["sensor.[!o]*"]}}, "sensor.fridge sensor.template"),
        ({"more": {"globs": ["sensor.raw"]}}, ""),
        ({"target": {"entity_id": ["sensor.raw"]}}, "sensor.raw"),
        (
            {"target": {}, "more": {"domains": ["light"], "globs": ["sensor.t*"]}},
            "light.stove light.door sensor.template",
        ),
        (
            {"target": _KITCHEN, "leave_out": {"domains": ["sensor"]}},
            "light.stove",
        ),
        (
            {"target": _KITCHEN, "leave_out": {"globs": ["*.*o?e*"]}},
            "sensor.fridge",
        ),
        (
            {
                "more": {"domains": ["light", "sensor"]},
                "diagnostics": True,
                "leave_out": {"target": _KITCHEN},
            },
            "light.door sensor.template",
        ),
        (
            {
                "more": {"domains": ["light"]},
                "leave_out": {"target": {"entity_id": ["light.door"]}},
            },
            "light.stove",
        ),
        ({"target": {}, "leave_out": {"domains": ["sensor"]}}, ""),
    ],
)
def test_choice_means_what_its_form_says(
    hass: HomeAssistant, data: dict[str, Any], chosen: str
) -> None:
    """Hidden entities are chosen by their ids alone, disabled ones never."""
    selection = Registry(hass).select(Choice.of(data))
    assert selection.entity_ids == set(chosen.split())
    assert selection.missing == ()


@pytest.mark.parametrize("more", [{"domains": ["sensor"]}, {"globs": ["*.rain*"]}])
async def test_unregistered_newcomers_join_and_leave(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, more: dict[str, Any]
) -> None:
    """No registry says that they came, so the state machine has to."""
    entry = await set_up(mirror_of({"target": {}, "more": more}))
    [followed] = entry.runtime_data.mirrors.values()
    hass.states.async_set("light.other", "on")
    hass.states.async_set("sensor.rain", "3")
    await until(lambda: numbers(sandbox, "home.rain", "rain") == [3])
    hass.states.async_set("sensor.rain", "4")
    await until(lambda: numbers(sandbox, "home.rain", "rain")[-1:] == [4])
    assert followed.entity_ids == {"sensor.rain"}
    hass.states.async_remove("sensor.rain")
    await until(lambda: not followed.entity_ids)


async def test_left_out_entity_stays_left_out_after_a_rename(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Its new id is written where its old one was."""
    house.entity("sensor.secret", "1")
    house.entity("sensor.public", "1")
    entry = await set_up(
        mirror_of(
            {
                "target": {},
                "more": {"domains": ["sensor"]},
                "leave_out": {"target": {"entity_id": ["sensor.secret"]}},
            }
        )
    )
    er.async_get(hass).async_update_entity(
        "sensor.secret", new_entity_id="sensor.confidential"
    )
    hass.states.async_remove("sensor.secret")
    await hass.async_block_till_done()
    [subentry] = entry.subentries.values()
    assert subentry.data["leave_out"]["target"] == {
        "entity_id": ["sensor.confidential"]
    }
    [followed] = entry.runtime_data.mirrors.values()
    await until(lambda: followed.entity_ids == {"sensor.public"})


async def test_many_join_in_slices_and_none_is_lost(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """More may join meanwhile, and a change in between is sent once."""
    for number in range(250):
        hass.states.async_set(f"sensor.e{number:03}", str(number))
    entry = await set_up(mirror_of({"more": {"domains": ["sensor"]}}))
    runtime = entry.runtime_data
    [followed] = runtime.mirrors.values()
    everything = followed.entity_ids
    choice = Choice.of({})
    await until(lambda: runtime.status.delivered == 250)

    followed.stop()
    followed.follow(everything, choice, Formation())
    hass.states.async_set("sensor.e249", "-1")
    hass.states.async_set("sensor.late", "5")
    followed.follow(everything | {"sensor.late"}, choice, Formation())
    await until(lambda: numbers(sandbox, "home.late", "late") == [5])
    await until(lambda: numbers(sandbox, "home.e249", "e249") == [249, -1])
    assert len(runtime.stored_names()["variables"]) == 251
    await until(lambda: numbers(sandbox, "home.e248", "e248") == [248, 248])


async def test_mirror_can_be_stopped_while_entities_join(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Those that have not been sent yet are not sent any more."""
    for number in range(250):
        hass.states.async_set(f"sensor.e{number:03}", "1")
    entry = await set_up(mirror_of({"more": {"domains": ["sensor"]}}))
    runtime = entry.runtime_data
    await until(lambda: runtime.status.delivered == 250)
    [followed] = runtime.mirrors.values()
    everything = followed.entity_ids
    choice = Choice.of({})
    followed.stop()
    followed.follow(everything, choice, Formation())
    await asyncio.sleep(0)
    followed.stop()
    await until(lambda: runtime.status.delivered == 350)
    assert not runtime.outbox
    assert numbers(sandbox, "home.e000", "e000") == [1, 1]
    assert numbers(sandbox, "home.e249", "e249") == [1]


class _Storm:
    """A house of many entities that somebody turns upside down."""

    def __init__(self, hass: HomeAssistant, house: House, random: Random) -> None:
        self._hass = hass
        self.entities = er.async_get(hass)
        self.devices = dr.async_get(hass)
        self.areas = ar.async_get(hass)
        self._random = random
        floors = fr.async_get(hass)
        labels = lr.async_get(hass)
        self._floor_ids = [floors.async_create(f"Floor {n}").floor_id for n in range(3)]
        self._label_ids = [labels.async_create(f"Label {n}").label_id for n in range(5)]
        self._area_ids = [self.areas.async_create(f"Area {n}").id for n in range(12)]
        devices = [house.device(f"Device {n}") for n in range(150)]
        self._device_ids = [device.id for device in devices]
        self._keys = []
        for number in range(_STORM_ENTITIES):
            entity_id = f"{random.choice(['sensor', 'switch'])}.e{number}"
            house.entity(
                entity_id,
                str(number),
                device=random.choice([None, *devices]),
                original_name=f"Thing {number}",
                entity_category=random.choice([None, EntityCategory.DIAGNOSTIC]),
                hidden_by=random.choice([None, None, er.RegistryEntryHider.USER]),
            )
            self._keys.append(self.entities.async_get(entity_id).id)  # type: ignore[union-attr]

    def blow(self, changes: int) -> None:
        """Change so many things."""
        for _ in range(changes):
            self._random.choice(
                [
                    self._move_area,
                    self._move_device,
                    self._relabel_device,
                    *[self._change_entity] * 7,
                ]
            )()

    def _labels(self) -> set[str]:
        return set(self._random.sample(self._label_ids, self._random.choice([0, 0, 1])))

    def _move_area(self) -> None:
        self.areas.async_update(
            self._random.choice(self._area_ids),
            floor_id=self._random.choice([None, *self._floor_ids]),
            labels=self._labels(),
        )

    def _move_device(self) -> None:
        self.devices.async_update_device(
            self._random.choice(self._device_ids),
            area_id=self._random.choice([None, *self._area_ids]),
        )

    def _relabel_device(self) -> None:
        self.devices.async_update_device(
            self._random.choice(self._device_ids), labels=self._labels()
        )

    def _change_entity(self) -> None:
        entry = self.entities.entities.get_entry(self._random.choice(self._keys))
        if entry is None:
            return
        entity_id = entry.entity_id
        match self._random.randrange(6):
            case 0:
                new = f"{entity_id.split('_')[0]}_{self._random.randrange(10**9)}"
                self.entities.async_update_entity(entity_id, new_entity_id=new)
                self._hass.states.async_remove(entity_id)
                self._hass.states.async_set(new, "1")
            case 1 | 2:
                self.entities.async_update_entity(
                    entity_id,
                    area_id=self._random.choice([None, *self._area_ids]),
                )
            case 3:
                self.entities.async_update_entity(entity_id, labels=self._labels())
            case 4:
                self.entities.async_update_entity(
                    entity_id,
                    disabled_by=self._random.choice(
                        [None, er.RegistryEntryDisabler.USER]
                    ),
                )
            case 5 if self._random.random() < 0.3:
                self.entities.async_remove(entity_id)
                self._hass.states.async_remove(entity_id)

    def means(self, choice: Choice, target: Mapping[str, list[str]]) -> set[str]:
        """Find what a target means by looking at each entity by itself."""
        return {
            entry.entity_id
            for entry in self.entities.entities.values()
            if entry.disabled_by is None
            and entry.platform != DOMAIN
            and self._is_meant(entry, target, choice.with_diagnostics)
        } | {
            # Chosen by its id, so that it is followed as soon as it exists.
            entity_id
            for entity_id in target.get("entity_id", ())
            if entity_id not in self.entities.entities
        }

    def _is_meant(
        self,
        entry: er.RegistryEntry,
        target: Mapping[str, list[str]],
        with_diagnostics: bool,
    ) -> bool:
        wanted = {key: set(ids) for key, ids in target.items()}
        if entry.entity_id in wanted.get("entity_id", ()):
            return True
        if entry.hidden_by:
            return False
        labels = wanted.get("label_id", set())
        if entry.labels & labels:
            return True
        if entry.entity_category and not with_diagnostics:
            return False
        device = self.devices.async_get(entry.device_id) if entry.device_id else None
        if device and (
            device.id in wanted.get("device_id", ()) or device.labels & labels
        ):
            return True
        area_id = entry.area_id or (device.area_id if device else None)
        area = self.areas.async_get_area(area_id) if area_id else None
        return bool(
            area
            and (
                area.id in wanted.get("area_id", ())
                or area.floor_id in wanted.get("floor_id", ())
                or area.labels & labels
            )
        )


@pytest.mark.parametrize("seed", range(3))
async def test_mapping_after_a_storm_is_that_of_a_fresh_start(
    hass: HomeAssistant, set_up: SetUp, house: House, seed: int
) -> None:
    """Whatever was renamed, moved, relabelled, disabled and deleted at once."""
    storm = _Storm(hass, house, Random(seed))  # noqa: S311
    storm.blow(500)
    targets: list[dict[str, list[str]]] = [
        {"area_id": ["area_0", "area_1"], "label_id": ["label_0"]},
        {"floor_id": ["floor_0"], "device_id": storm._device_ids[:9]},
        {"entity_id": ["sensor.e7", "switch.e8"], "label_id": ["label_1", "label_2"]},
    ]
    entry = await set_up(
        *(
            mirror_of({"target": target, "diagnostics": number == 1}, str(number))
            for number, target in enumerate(targets)
        ),
        mirror_of(
            {"more": {"globs": ["*_?[0-8]*"]}, "leave_out": {"target": targets[0]}},
            "glob",
        ),
    )
    lateness_s = 0.0
    for _ in range(20):
        storm.blow(_STORM_ENTITIES // 20)
        begun = time.perf_counter()
        await asyncio.sleep(0)
        lateness_s = max(lateness_s, time.perf_counter() - begun)

    def followed() -> list[frozenset[str]]:
        mirrors = entry.runtime_data.mirrors
        return [mirrors[subentry_id].entity_ids for subentry_id in entry.subentries]

    expected = [
        storm.means(choice, choice.include.target)
        for choice in map(Choice.of, (sub.data for sub in entry.subentries.values()))
    ]
    expected[-1] = {
        item.entity_id
        for item in storm.entities.entities.values()
        if item.entity_id.partition("_")[2][1:2] in set("012345678")
        and not (item.hidden_by or item.entity_category or item.disabled_by)
    } - storm.means(Choice.of({"diagnostics": True}), targets[0])
    for number in range(len(expected)):
        expected[number] -= set().union(*expected[:number])
        assert expected[number]
    await until(lambda: followed() == expected)

    names = entry.runtime_data._names
    fresh = Names("home", names.as_stored())
    known = names.as_stored()["variables"]
    for entity_id in set().union(*expected):
        described = describe(hass, entity_id)
        if described.key in known:
            assert names.address(described) == fresh.address(described)
    assert lateness_s < 1


def test_targets_mean_what_home_assistant_means_by_them(
    hass: HomeAssistant, house: House
) -> None:
    """The helper behind every target selector agrees, except that disabled ones leave."""
    random = Random(4)  # noqa: S311
    storm = _Storm(hass, house, random)
    storm.blow(1500)
    for _ in range(30):
        target = {
            "area_id": random.sample(storm._area_ids, random.randrange(2)),
            "floor_id": random.sample(storm._floor_ids, random.randrange(2)),
            "label_id": random.sample(storm._label_ids, random.randrange(2)),
            "device_id": random.sample(storm._device_ids, random.randrange(5)),
        }
        with_diagnostics = random.choice([True, False])
        choice = Choice.of({"target": target, "diagnostics": with_diagnostics})
        found = async_extract_referenced_entity_ids(
            hass,
            TargetSelection(target),
            expand_group=False,
            primary_entities_only=not with_diagnostics,
        )
        expected = {
            entity_id
            for entity_id in found.referenced | found.indirectly_referenced
            if not storm.entities.entities[entity_id].disabled
        }
        assert Registry(hass).select(choice).entity_ids == expected
        assert storm.means(choice, target) == expected
