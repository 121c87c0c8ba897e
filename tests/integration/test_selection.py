"""What a mirror's target means, and who joins and leaves it."""

from collections.abc import Callable

from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
import pytest

from custom_components.sensorvision import PLATFORMS
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, add_mirror, mirror, numbers, until

type Target = dict[str, list[str]]


@pytest.fixture
def kitchen(hass: HomeAssistant, house: House) -> ar.AreaEntry:
    """Add a thermometer in the kitchen, on the ground floor.

    The label is on the entity, the area is its device's.
    """
    ground = fr.async_get(hass).async_create("Ground")
    kitchen = ar.async_get(hass).async_create("Kitchen", floor_id=ground.floor_id)
    climate = lr.async_get(hass).async_create("Climate")
    device = house.device("Thermometer", area_id=kitchen.id)
    house.entity(
        "sensor.temperature",
        "21.5",
        device=device,
        original_name="Temperature",
        labels={climate.label_id},
    )
    return kitchen


def _by_device(hass: HomeAssistant) -> Target:
    entry = er.async_get(hass).async_get("sensor.temperature")
    assert entry
    assert entry.device_id
    return {"device_id": [entry.device_id]}


def _by_label_of_device(hass: HomeAssistant) -> Target:
    label = lr.async_get(hass).async_create("Devices")
    [device_id] = _by_device(hass)["device_id"]
    dr.async_get(hass).async_update_device(device_id, labels={label.label_id})
    return {"label_id": [label.label_id]}


def _by_label_of_area(hass: HomeAssistant) -> Target:
    label = lr.async_get(hass).async_create("Areas")
    ar.async_get(hass).async_update("kitchen", labels={label.label_id})
    return {"label_id": [label.label_id]}


@pytest.mark.usefixtures("kitchen")
@pytest.mark.parametrize(
    "target_of",
    [
        pytest.param(lambda _: {"entity_id": ["sensor.temperature"]}, id="entity"),
        pytest.param(_by_device, id="device"),
        pytest.param(lambda _: {"area_id": ["kitchen"]}, id="area of its device"),
        pytest.param(lambda _: {"floor_id": ["ground"]}, id="floor"),
        pytest.param(lambda _: {"label_id": ["climate"]}, id="label of the entity"),
        pytest.param(_by_label_of_device, id="label of the device"),
        pytest.param(_by_label_of_area, id="label of the area"),
    ],
)
async def test_state_change_reaches_the_server(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    target_of: Callable[[HomeAssistant], Target],
) -> None:
    """It arrives under the device's name and the entity's own, as a number."""
    await set_up(mirror(**target_of(hass)))
    await until(lambda: numbers(sandbox, "home.thermometer", "temperature") == [21.5])
    hass.states.async_set("sensor.temperature", "-3")
    await until(
        lambda: numbers(sandbox, "home.thermometer", "temperature") == [21.5, -3]
    )


@pytest.mark.usefixtures("kitchen")
async def test_own_area_of_an_entity_outweighs_the_area_of_its_device(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """A probe that was put into the garden is no longer in the kitchen."""
    garden = ar.async_get(hass).async_create("Garden")
    er.async_get(hass).async_update_entity("sensor.temperature", area_id=garden.id)
    entry = await set_up(
        mirror("Kitchen", area_id=["kitchen"]), mirror("Garden", area_id=["garden"])
    )
    kitchen, garden_mirror = entry.runtime_data.mirrors.values()
    assert kitchen.entity_ids == frozenset()
    assert garden_mirror.entity_ids == {"sensor.temperature"}


@pytest.mark.usefixtures("kitchen")
@pytest.mark.parametrize(
    ("category", "hidden_by", "is_in_area", "is_in_label"),
    [
        (None, None, True, True),
        (EntityCategory.DIAGNOSTIC, None, False, True),
        (EntityCategory.CONFIG, None, False, True),
        (None, er.RegistryEntryHider.USER, False, False),
    ],
)
async def test_hidden_and_diagnostic_entities_follow_the_rules_of_home_assistant(
    hass: HomeAssistant,
    set_up: SetUp,
    house: House,
    category: EntityCategory | None,
    hidden_by: er.RegistryEntryHider | None,
    is_in_area: bool,
    is_in_label: bool,
) -> None:
    """An area means what a person sees in it; a label of the entity itself says more."""
    house.entity(
        "sensor.battery",
        "90",
        entity_category=category,
        hidden_by=hidden_by,
        area_id="kitchen",
        labels={"climate"},
    )
    entry = await set_up(mirror(area_id=["kitchen"]))
    [area_mirror] = entry.runtime_data.mirrors.values()
    assert ("sensor.battery" in area_mirror.entity_ids) is is_in_area

    add_mirror(hass, entry, mirror("Label", label_id=["climate"]))
    await hass.async_block_till_done()
    _, label_mirror = entry.runtime_data.mirrors.values()
    followed = area_mirror.entity_ids | label_mirror.entity_ids
    assert ("sensor.battery" in followed) is is_in_label


async def test_hidden_entity_that_is_chosen_itself_is_mirrored(
    sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Who names it wants it."""
    house.entity("sensor.raw", "5", hidden_by=er.RegistryEntryHider.INTEGRATION)
    await set_up(mirror(entity_id=["sensor.raw"]))
    await until(lambda: numbers(sandbox, "home.raw", "raw") == [5])


async def test_entity_without_a_registry_entry_is_mirrored(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Template sensors without a unique id are named after themselves."""
    hass.states.async_set("sensor.plain", "1", {"friendly_name": "Plain one"})
    await set_up(mirror(entity_id=["sensor.plain"]))
    await until(lambda: numbers(sandbox, "home.plain_one", "plain_one") == [1])


@pytest.mark.usefixtures("kitchen")
async def test_newcomers_join_and_leavers_leave(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Membership of an area and of a label is followed while it runs."""
    entry = await set_up(mirror(area_id=["kitchen"], label_id=["climate"]))
    [followed] = entry.runtime_data.mirrors.values()
    registry = er.async_get(hass)

    house.entity("sensor.humidity", "40", area_id="kitchen")
    house.entity("sensor.dew_point", "9", labels={"climate"})
    await until(lambda: numbers(sandbox, "home.humidity", "humidity") == [40])
    await until(lambda: numbers(sandbox, "home.dew_point", "dew_point") == [9])

    registry.async_update_entity("sensor.humidity", area_id=None)
    registry.async_update_entity("sensor.dew_point", labels=set())
    await until(lambda: followed.entity_ids == {"sensor.temperature"})
    hass.states.async_set("sensor.humidity", "41")
    hass.states.async_set("sensor.temperature", "22")
    await until(
        lambda: numbers(sandbox, "home.thermometer", "temperature") == [21.5, 22]
    )
    assert numbers(sandbox, "home.humidity", "humidity") == [40]


async def test_device_moved_into_the_area_brings_its_entities(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The entities' own registry entries do not change at all."""
    area = ar.async_get(hass).async_create("Attic")
    device = house.device("Hygrometer")
    house.entity("sensor.humidity", "55", device=device, original_name="Humidity")
    entry = await set_up(mirror(area_id=[area.id]))
    [followed] = entry.runtime_data.mirrors.values()
    assert not followed.entity_ids

    dr.async_get(hass).async_update_device(device.id, area_id=area.id)
    await until(lambda: numbers(sandbox, "home.hygrometer", "humidity") == [55])
    dr.async_get(hass).async_update_device(device.id, area_id=None)
    await until(lambda: not followed.entity_ids)


async def test_area_moved_to_the_floor_brings_its_entities(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A floor is followed through its areas."""
    floor = fr.async_get(hass).async_create("Upper")
    area = ar.async_get(hass).async_create("Attic")
    house.entity("sensor.humidity", "55", area_id=area.id)
    await set_up(mirror(floor_id=[floor.floor_id]))
    ar.async_get(hass).async_update(area.id, floor_id=floor.floor_id)
    await until(lambda: numbers(sandbox, "home.humidity", "humidity") == [55])


async def test_renamed_entity_stays_chosen_and_keeps_its_variable(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Its history at the server goes on, and other choices stay as they are."""
    house.entity("sensor.one", "1")
    house.entity("sensor.two", "2")
    entry = await set_up(
        mirror("Other", entity_id=["sensor.two"]),
        mirror(entity_id=["sensor.one", "sensor.two"]),
    )
    await until(lambda: numbers(sandbox, "home.one", "one") == [1])

    er.async_get(hass).async_update_entity("sensor.one", new_entity_id="sensor.uno")
    hass.states.async_remove("sensor.one")
    hass.states.async_set("sensor.uno", "11")
    await until(lambda: numbers(sandbox, "home.one", "one")[-1:] == [11])
    hass.states.async_set("sensor.uno", "12")
    await until(lambda: numbers(sandbox, "home.one", "one")[-1:] == [12])
    assert [dict(sub.data["target"]) for sub in entry.subentries.values()] == [
        {"entity_id": ["sensor.two"]},
        {"entity_id": ["sensor.uno", "sensor.two"]},
    ]
    assert not [d for d in sandbox.store.devices() if "uno" in d.external_id]


async def test_own_entities_are_never_mirrored(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Each delivery changes them, so that they would go round for ever."""
    house.entity("sensor.other", "1")
    entry = await set_up()
    registry = er.async_get(hass)
    own = er.async_entries_for_config_entry(registry, entry.entry_id)
    assert {entity.domain for entity in own} == {
        str(platform) for platform in PLATFORMS
    }
    for entity in own:
        registry.async_update_entity(entity.entity_id, labels={"everything"})

    chosen = [entity.entity_id for entity in own]
    add_mirror(
        hass,
        entry,
        mirror(
            entity_id=[*chosen, "sensor.other"],
            device_id=[str(own[0].device_id)],
            label_id=["everything"],
        ),
    )
    await hass.async_block_till_done()
    [followed] = entry.runtime_data.mirrors.values()
    assert followed.entity_ids == {"sensor.other"}


async def test_entity_in_two_mirrors_is_sent_once_and_handed_over(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """The first mirror has it, and when that goes the second takes over."""
    house.entity("sensor.shared", "1")
    entry = await set_up(
        mirror("First", entity_id=["sensor.shared"]),
        mirror("Second", entity_id=["sensor.shared"]),
    )
    first, second = entry.runtime_data.mirrors.values()
    assert (first.entity_ids, second.entity_ids) == ({"sensor.shared"}, frozenset())
    await until(lambda: numbers(sandbox, "home.shared", "shared") == [1])
    hass.states.async_set("sensor.shared", "2")
    await until(lambda: numbers(sandbox, "home.shared", "shared")[-1:] == [2])
    assert numbers(sandbox, "home.shared", "shared") == [1, 2]
    assert entry.runtime_data.outbox.superseded == 0

    hass.config_entries.async_remove_subentry(entry, next(iter(entry.subentries)))
    await hass.async_block_till_done()
    assert second.entity_ids == {"sensor.shared"}
    hass.states.async_set("sensor.shared", "3")
    await until(lambda: numbers(sandbox, "home.shared", "shared")[-1:] == [3])


async def test_removed_mirror_stops(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Its entities are not followed any more, those of another mirror are."""
    house.entity("sensor.gone", "1")
    house.entity("sensor.kept", "1")
    entry = await set_up(
        mirror("Gone", entity_id=["sensor.gone"]),
        mirror("Kept", entity_id=["sensor.kept"]),
    )
    await until(lambda: numbers(sandbox, "home.gone", "gone") == [1])
    hass.config_entries.async_remove_subentry(entry, next(iter(entry.subentries)))
    await hass.async_block_till_done()
    hass.states.async_set("sensor.gone", "2")
    hass.states.async_set("sensor.kept", "2")
    await until(lambda: numbers(sandbox, "home.kept", "kept")[-1:] == [2])
    assert numbers(sandbox, "home.gone", "gone") == [1]
    assert len(entry.runtime_data.mirrors) == 1


async def test_changed_mirror_follows_its_new_target(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Only what is new is sent at once; what stays is not sent again."""
    house.entity("sensor.left", "1")
    house.entity("sensor.stays", "2")
    house.entity("sensor.joins", "3")
    entry = await set_up(mirror(entity_id=["sensor.left", "sensor.stays"]))
    await until(lambda: numbers(sandbox, "home.stays", "stays") == [2])
    [subentry] = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry,
        subentry,
        data={"target": {"entity_id": ["sensor.stays", "sensor.joins"]}},
    )
    await until(lambda: numbers(sandbox, "home.joins", "joins") == [3])
    assert numbers(sandbox, "home.stays", "stays") == [2]
    [followed] = entry.runtime_data.mirrors.values()
    assert followed.entity_ids == {"sensor.stays", "sensor.joins"}
