"""What a mirror would send now, said before anything is sent."""

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.choice import Choice
from custom_components.sensorvision.client.protocol import (
    MAX_DEVICE_ID_CHARS,
    MAX_VARIABLE_NAME_CHARS,
)
from custom_components.sensorvision.mapping import SkipReason
from custom_components.sensorvision.mends import Mend
from custom_components.sensorvision.preview import (
    Preview,
    Skipped,
    preview,
    preview_mirrors,
)
from sandbox import Sandbox

from .conftest import ALICE, SetUp
from .house import House, add_mirror, mirror, mirror_of, numbers, until

_ALL: dict[str, Any] = {"more": {"domains": ["sensor", "light", "climate", "cover"]}}


async def _preview(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    data: dict[str, Any] | None = None,
    **of: str,
) -> Preview:
    return await preview(hass, entry, Choice.of(data or _ALL), **of)


async def test_preview_is_what_is_sent_on_saving(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Name by name and value by value, and it gives no name away before."""
    one, two = house.device("Plug"), house.device("Other", name_by_user="Plug")
    for number, device in enumerate((two, one)):
        for name in ("voltage", "power", "Power!"):
            entity_id = f"sensor.{'ab'[number]}_{name.lower().rstrip('!')}"
            entity_id += "_2" if name.endswith("!") else ""
            house.entity(entity_id, f"{number}", device=device, original_name=name)
    house.entity("sensor.pending", "unknown", device=one, original_name="Power")
    hass.states.async_set("light.lamp", "on", {"brightness": 180})
    data = _ALL | {"values": {"attributes": ["light-brightness"]}}
    entry = await set_up()
    stored = entry.runtime_data.stored_names()
    found = await _preview(hass, entry, data)
    assert found == await _preview(hass, entry, data)
    assert entry.runtime_data.stored_names() == stored
    assert sandbox.store.values("home.plug", "power") == []

    add_mirror(hass, entry, mirror_of(data))
    await until(lambda: len(entry.runtime_data.outbox) == 0)
    await until(lambda: entry.runtime_data.status.delivered == len(found.rows) == 8)
    for row in found.rows:
        assert numbers(sandbox, row.device_id, row.variable) == [row.value]
    assert {row.device_id for row in found.rows} == {
        "home.plug",
        "home.plug_2",
        "home.lamp",
    }


async def test_mended_names_are_told(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Also when they were given long ago; a name from before a renaming is whole."""
    plug = house.device("Plug")
    house.entity("sensor.a", "1", device=plug, original_name="Power")
    house.entity("sensor.b", "2", device=plug, original_name="Power")
    house.entity("sensor.c", "3", device=plug, original_name="Voltage")
    house.entity("sensor.d", "4", device=plug, original_name="x" * 300)
    house.entity("sensor.e", "5", device=house.device("Plug."), original_name="Power")
    house.entity("sensor.f", "6", device=house.device("y" * 300), original_name="Z")
    house.entity("sensor.g", "7", device=plug, original_name="Was")
    house.entity("light.h", "on", device=plug, original_name="x" * 299)
    hass.states.async_set("light.h", "on", {"brightness": 9})
    data = _ALL | {"values": {"attributes": ["light-brightness"]}}
    entry = await set_up(mirror_of(data))
    await until(lambda: len(entry.runtime_data.stored_names()["variables"]) == 9)
    er.async_get(hass).async_update_entity("sensor.g", name="Power")
    found = await _preview(hass, entry, data, subentry_id=next(iter(entry.subentries)))
    assert {(row.entity_id, row.attribute): tuple(row.mends) for row in found.rows} == {
        ("light.h", None): (None, Mend.TOO_LONG),
        ("light.h", "brightness"): (None, Mend.TAKEN),
        ("sensor.a", None): (None, None),
        ("sensor.b", None): (None, Mend.TAKEN),
        ("sensor.c", None): (None, Mend.RESERVED),
        ("sensor.d", None): (None, Mend.TAKEN),
        ("sensor.e", None): (Mend.TAKEN, None),
        ("sensor.f", None): (Mend.TOO_LONG, None),
        ("sensor.g", None): (None, None),
    }
    assert max(len(row.device_id) for row in found.rows) == MAX_DEVICE_ID_CHARS
    assert max(len(row.variable) for row in found.rows) == MAX_VARIABLE_NAME_CHARS


async def test_number_in_another_unit_has_a_variable_of_its_own(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Which is told, and not given."""
    house.entity("sensor.a", "1", original_name="Power")
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    entry = await set_up(mirror(entity_id=["sensor.a"]))
    await until(lambda: entry.runtime_data.stored_names()["units"])
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "kW"})
    [found] = (await preview_mirrors(hass, entry)).values()
    [row] = found.rows
    assert (row.variable, row.unit) == ("power_kw", "kW")
    assert row.mends == (None, Mend.NEW_UNIT)
    assert not found.is_mirroring
    assert len(entry.runtime_data.stored_names()["variables"]) == 1


@pytest.mark.parametrize(
    ("by", "device_ids"),
    [
        ("device", {"home.plug", "home.lamp"}),
        ("area", {"home.kitchen"}),
        ("mirror", {"home.ground_floor"}),
    ],
)
async def test_devices_are_formed_as_they_will_be(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    by: str,
    device_ids: set[str],
) -> None:
    area = ar.async_get(hass).async_create("Kitchen")
    plug = house.device("Plug", area_id=area.id)
    house.entity("sensor.a", "1", device=plug, original_name="Power")
    house.entity("sensor.b", "2", device=plug, original_name="Power")
    house.entity("light.c", "on", original_name="Lamp", area_id=area.id)
    data = _ALL | {"sending": {"formed_by": by}}
    entry = await set_up()
    found = await preview(hass, entry, Choice.of(data), title="Ground floor")
    assert {row.device_id for row in found.rows} == device_ids
    add_mirror(hass, entry, mirror_of(data, "Ground floor"))
    await until(lambda: entry.runtime_data.status.delivered == 3)
    for row in found.rows:
        assert numbers(sandbox, row.device_id, row.variable) == [row.value]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("unknown", SkipReason.UNKNOWN),
        ("unavailable", SkipReason.UNAVAILABLE),
        ("raining", SkipReason.TEXT),
        ("1e15", SkipReason.OUT_OF_RANGE),
    ],
)
async def test_what_is_not_sent_is_told_with_its_reason(
    hass: HomeAssistant, set_up: SetUp, house: House, state: str, reason: SkipReason
) -> None:
    house.entity("sensor.rain", state, original_name="Rain")
    found = await _preview(hass, await set_up())
    assert found == Preview(1, (), (Skipped("sensor.rain", "rain", None, reason),), ())


async def test_entity_without_a_state_is_told_by_its_name(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """It has not come up yet; one of no registry that is not there is missing."""
    house.entity("sensor.a", "1", original_name="Rain", name="My rain")
    house.entity("sensor.b", "1", original_name="Rain")
    house.entity("sensor.c", "1")
    for entity_id in ("sensor.a", "sensor.b", "sensor.c"):
        hass.states.async_remove(entity_id)
    found = await _preview(
        hass,
        await set_up(),
        {
            "target": {
                "entity_id": ["sensor.a", "sensor.b", "sensor.c", "sensor.gone"],
                "area_id": ["nowhere"],
            }
        },
    )
    assert {(skipped.name, skipped.reason) for skipped in found.skipped} == {
        ("My rain", SkipReason.NO_STATE),
        ("Rain", SkipReason.NO_STATE),
        ("sensor.c", SkipReason.NO_STATE),
    }
    assert found.missing == ("nowhere", "sensor.gone")
    assert found.entities == 3


async def test_attributes_are_told_like_states(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """Those that are there and hold no number are told too, others are not missed."""
    hass.states.async_set(
        "climate.hall",
        "heat",
        {"friendly_name": "Hall", "current_temperature": 19.5, "temperature": None},
    )
    hass.states.async_set("climate.attic", "unavailable", {"temperature": None})
    hass.states.async_set("cover.door", "open", {"friendly_name": 7})
    found = await _preview(
        hass,
        await set_up(),
        _ALL
        | {
            "values": {
                "attributes": [
                    "climate-current_temperature",
                    "climate-temperature",
                    "climate-humidity",
                    "cover-current_position",
                ]
            }
        },
    )
    assert [(row.name, row.attribute, row.value, row.unit) for row in found.rows] == [
        ("Hall", "current_temperature", 19.5, "°C"),
        ("7", None, 1, None),
    ]
    assert found.rows[0].variable == "hall_current_temperature"
    assert found.skipped == (
        Skipped("climate.attic", "attic", None, SkipReason.UNAVAILABLE),
        Skipped("climate.hall", "Hall", None, SkipReason.TEXT),
        Skipped("climate.hall", "Hall", "temperature", SkipReason.NO_NUMBER),
    )
    assert (found.entities, found.devices) == (3, 2)


async def test_entity_of_an_earlier_mirror_is_told_with_that_mirror(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """As it is on saving: the first mirror has it, itself and later ones don't count."""
    for entity_id in ("sensor.a", "sensor.b", "sensor.c"):
        hass.states.async_set(entity_id, "1")
    entry = await set_up(
        mirror("First", entity_id=["sensor.a"]),
        mirror("Second", entity_id=["sensor.a", "sensor.b"]),
        mirror("", entity_id=["sensor.c", "sensor.b"]),
    )
    first, second, third = entry.subentries
    new = await _preview(hass, entry)
    assert new.rows == ()
    assert [(skipped.reason, skipped.mirror) for skipped in new.skipped] == [
        (SkipReason.OTHER_MIRROR, "First"),
        (SkipReason.OTHER_MIRROR, "Second"),
        (SkipReason.OTHER_MIRROR, ""),
    ]
    changed = await _preview(hass, entry, subentry_id=second)
    assert [row.entity_id for row in changed.rows] == ["sensor.b", "sensor.c"]
    assert [skipped.mirror for skipped in changed.skipped] == ["First"]
    saved = await preview_mirrors(hass, entry)
    assert {
        subentry_id: [row.entity_id for row in found.rows]
        for subentry_id, found in saved.items()
    } == {first: ["sensor.a"], second: ["sensor.b"], third: ["sensor.c"]}


@pytest.mark.usefixtures("sandbox")
async def test_names_are_the_stored_ones_while_the_entry_is_not_loaded(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    house.entity("sensor.tank", "70", original_name="Tank")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.stored_names()["variables"])
    er.async_get(hass).async_update_entity("sensor.tank", name="Well")
    assert await hass.config_entries.async_unload(entry.entry_id)
    [found] = (await preview_mirrors(hass, entry)).values()
    [row] = found.rows
    assert (row.device_id, row.variable) == ("home.tank", "tank")


async def test_big_choice_holds_nobody_up(hass: HomeAssistant, set_up: SetUp) -> None:
    """Others have their turn after each hundred entities."""
    for number in range(2000):
        hass.states.async_set(f"sensor.s{number}", "1")
    entry = await set_up()
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    found = await _preview(hass, entry)
    other.cancel()
    assert (len(found.rows), found.devices) == (2000, 2000)
    assert turns >= 20
    # A tenth of a second for each post, and a little to be on the safe side.
    assert 200 <= found.round_s <= 220


async def test_many_devices_are_one_request_for_a_user(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(**ALICE)
    choice = Choice.of({"target": {"entity_id": ["sensor.tank"]}})
    found = await preview(hass, entry, choice)
    assert (found.devices, found.round_s) == (1, 0)
