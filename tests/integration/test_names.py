"""Which device id and variable an entity gets, once and for good."""

from dataclasses import asdict, replace
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import given, strategies as st
import pytest

from custom_components.sensorvision.client.protocol import (
    RESERVED_VARIABLE_LIMITS,
    check_device_id,
    check_variables,
)
from custom_components.sensorvision.const import MAX_PREFIX_CHARS
from custom_components.sensorvision.names import Address, Described, Names
from sandbox import Sandbox

from .conftest import SetUp
from .house import House, mirror, numbers, until

_PLAIN = Described(
    key="1",
    device_key=None,
    device_name=None,
    name=None,
    device_class=None,
    entity_id="sensor.x",
    unit=None,
)


def _address(**described: str | None) -> Address:
    device_key = "d" if "device_name" in described else None
    entity = Described(**{**asdict(_PLAIN), "device_key": device_key, **described})
    return Names("home", None).address(entity)


@pytest.mark.parametrize(
    ("described", "device_id", "variable"),
    [
        (
            {"device_name": "Living room", "name": "Room temperature"},
            "home.living_room",
            "room_temperature",
        ),
        (
            {"device_name": "Living room", "device_class": "humidity"},
            "home.living_room",
            "humidity",
        ),
        (
            {"device_name": "Plug", "entity_id": "sensor.plug_led"},
            "home.plug",
            "plug_led",
        ),
        ({"name": "Front door"}, "home.front_door", "front_door"),
        ({"entity_id": "sensor.rain_today"}, "home.rain_today", "rain_today"),
        (
            {"device_class": "temperature", "entity_id": "sensor.outside"},
            "home.outside",
            "temperature",
        ),
        (
            {"device_name": "Plug", "name": "Plug Power"},
            "home.plug",
            "power",
        ),
        ({"device_name": "Plug", "name": "Plug"}, "home.plug", "plug"),
        ({"device_name": "Plug", "name": "Plugin"}, "home.plug", "plugin"),
        (
            {"device_name": "Küche", "name": "Größe des Öltanks"},
            "home.kuche",
            "grosse_des_oltanks",
        ),
        ({"device_name": "温度計", "name": "温度"}, "home.wen_du_ji", "wen_du"),
        (
            {"device_name": "🌡️", "name": "🌡️", "device_class": "temperature"},
            "home.x",
            "temperature",
        ),
        ({"device_name": "a/b;c%2F..", "name": "d e"}, "home.a_b_c_2f", "d_e"),
    ],
)
def test_name_is_a_slug_of_what_a_person_reads(
    described: dict[str, str], device_id: str, variable: str
) -> None:
    """The entity's own name comes first, then its class, then its object id."""
    assert _address(**described) == (device_id, variable)


@pytest.mark.parametrize(
    ("name", "unit", "variable"),
    [
        ("Voltage", "V", "voltage_v"),
        ("Current", "mA", "current_ma"),
        ("Power factor", "%", "power_factor_pct"),
        ("Power factor", None, "power_factor_value"),
        ("Power factor", "", "power_factor_value"),
        ("Frequency", "Hz", "frequency_hz"),
        ("kW consumption", "kW", "kw_consumption_kw"),
        ("Current", "-", "current_value"),
        ("Voltage L1", "V", "voltage_l1"),
    ],
)
def test_reserved_name_is_told_apart_by_its_unit(
    name: str, unit: str | None, variable: str
) -> None:
    """The server gives five names smaller ranges and side effects."""
    assert _address(device_name="Meter", name=name, unit=unit).variable == variable


@pytest.mark.parametrize(
    "described", [{"device_class": "voltage"}, {"entity_id": "sensor.voltage"}]
)
def test_reserved_name_is_avoided_wherever_it_comes_from(
    described: dict[str, str],
) -> None:
    """A device class or an object id can be `voltage` just as well."""
    address = _address(device_name="Meter", unit="V", **described)
    assert address.variable == "voltage_v"


def test_long_names_are_cut_to_what_the_server_takes() -> None:
    """A device id has 64 characters and a variable 100."""
    device_id, variable = _address(device_name="d" * 255, name="v" * 255)
    assert (len(device_id), len(variable)) == (64, 100)
    assert device_id == "home." + "d" * 59


def test_equal_names_are_told_apart_by_a_number() -> None:
    """The number fits into the limit, too."""
    names = Names("home", None)
    kitchens = [
        replace(_PLAIN, key=key, device_key=key, device_name=name, name="v" * 200)
        for key, name in (("1", "Kitchen"), ("2", "Kitchen"), ("3", "Küche"))
    ]
    assert [names.address(entity).device_id for entity in kitchens] == [
        "home.kitchen",
        "home.kitchen_2",
        "home.kuche",
    ]
    twins = [replace(kitchens[0], key=key) for key in ("4", "5")]
    assert [names.address(entity).variable for entity in twins] == [
        "v" * 98 + "_2",
        "v" * 98 + "_3",
    ]


def test_entities_of_one_device_share_its_id() -> None:
    """They arrive together, in one request."""
    names = Names("home", None)
    meter = replace(_PLAIN, device_key="d", device_name="Meter")
    power = names.address(replace(meter, key="1", name="Power"))
    energy = names.address(replace(meter, key="2", name="Energy"))
    assert (power, energy) == (("home.meter", "power"), ("home.meter", "energy"))


def test_names_are_remembered_over_a_restart() -> None:
    """They come back as they went to disk, whatever has been renamed meanwhile."""
    names = Names("home", None)
    meter = replace(_PLAIN, key="1", device_key="d", device_name="Meter", name="Power")
    before = names.address(meter)
    stored = json.loads(json.dumps(names.as_stored()))

    again = Names("home", stored)
    renamed = replace(
        meter, device_name="Main meter", name="Load", entity_id="sensor.load"
    )
    assert again.address(renamed) == before
    # Nobody else gets a name that was given.
    other = replace(meter, key="2", device_key="e")
    assert again.address(other) == ("home.meter_2", "power")
    newcomer = replace(renamed, key="3", name="Energy")
    assert again.address(newcomer) == ("home.meter", "energy")


def test_what_a_name_was_given_to_is_known() -> None:
    """The entity, its group, its attribute and its unit are read from the key."""
    names = Names("home", None)
    entity = replace(_PLAIN, name="Heater", unit="°C")
    names.address(entity)
    names.address(replace(entity, unit="°F"))
    names.attribute_address(entity.within("hall", "Hall"), "humidity", "%")
    assert [
        (device_id, [tuple(names.given(key) or ())[:4] for key in keys])
        for device_id, keys in names.keys_by_device().items()
    ] == [
        ("home.heater", [("1", "", "", "°C"), ("1", "", "", "°F")]),
        ("home.hall", [("1", "@hall", "", ""), ("1", "@hall", "humidity", "%")]),
    ]
    assert names.given("2") is None


def test_forgotten_device_begins_anew() -> None:
    """With its variables and their units; the others stay."""
    names = Names("home", None)
    heat, tank = (replace(_PLAIN, key=name, name=name) for name in ("heat", "tank"))
    address = names.address(replace(heat, unit="°C"))
    other = names.address(tank)
    names.forget([address.device_id])
    assert [*names.keys_by_device()] == [other.device_id]
    assert names.as_stored().get("units") == {}
    assert names.address(replace(heat, name="Warmth", unit="°F")) == (
        "home.warmth",
        "warmth",
    )
    assert names.address(replace(tank, name="Tub")) == other


async def test_entity_that_gets_a_registry_entry_keeps_its_variable(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """So it is when a person gives their template sensor a unique id."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_remove("sensor.tank")
    house.entity("sensor.tank", "71", original_name="Rain water")
    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [71])
    homes = [d.external_id for d in sandbox.store.devices() if "home" in d.external_id]
    assert homes == ["home.tank"]


_NAMES = st.none() | st.text(max_size=120) | st.sampled_from(["Voltage", "A", "a", "Ä"])
_DESCRIBED = st.builds(
    Described,
    key=st.uuids().map(str),
    device_key=st.none() | st.sampled_from(["d1", "d2", "d3"]),
    device_name=_NAMES,
    name=_NAMES,
    device_class=st.none() | st.sampled_from(["voltage", "frequency", "temperature"]),
    entity_id=st.from_regex(
        r"sensor\.[a-z0-9]([a-z0-9_]{0,80}[a-z0-9])?", fullmatch=True
    ),
    unit=st.none() | st.sampled_from(["V", "%", "°C", "µg/m³", "", "kW"]),
)


@given(
    prefix=st.from_regex(rf"[A-Za-z0-9_-]{{1,{MAX_PREFIX_CHARS}}}", fullmatch=True),
    entities=st.lists(_DESCRIBED, max_size=20, unique_by=lambda entity: entity.key),
)
def test_every_name_is_valid_and_nobody_elses(
    prefix: str, entities: list[Described]
) -> None:
    """Whatever things are called, the server takes the names and keeps them apart."""
    names = Names(prefix, None)
    addresses = [names.address(entity) for entity in entities]
    for device_id, variable in addresses:
        assert check_device_id(device_id).startswith(f"{prefix}.")
        check_variables({variable: 1})
        assert variable not in RESERVED_VARIABLE_LIMITS
    assert len(set(addresses)) == len(entities)
    again = Names(prefix, json.loads(json.dumps(names.as_stored())))
    assert [again.address(entity) for entity in reversed(entities)] == addresses[::-1]


async def test_names_survive_renaming_and_a_restart(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
) -> None:
    """No history at the server is split."""
    device = house.device("Boiler")
    house.entity("sensor.boiler_flow", "40", device=device, original_name="Flow")
    entry = await set_up(mirror(entity_id=["sensor.boiler_flow"]))
    await until(lambda: numbers(sandbox, "home.boiler", "flow") == [40])
    assert await hass.config_entries.async_unload(entry.entry_id)
    stored = hass_storage[f"sensorvision.{entry.entry_id}.names"]["data"]
    assert stored["devices"] == {device.id: "home.boiler"}

    dr.async_get(hass).async_update_device(device.id, name_by_user="Heating")
    er.async_get(hass).async_update_entity("sensor.boiler_flow", name="Supply")
    assert await hass.config_entries.async_setup(entry.entry_id)
    hass.states.async_set("sensor.boiler_flow", "45")
    await until(lambda: numbers(sandbox, "home.boiler", "flow")[-1:] == [45])


async def test_name_that_a_person_gave_outweighs_the_integrations(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """It is what they will look for at the server."""
    device = house.device("TH-2047", name_by_user="Nursery")
    house.entity(
        "sensor.th_2047",
        "20",
        device=device,
        original_name="Sensor 1",
        original_device_class="temperature",
        name="Bedside",
    )
    await set_up(mirror(entity_id=["sensor.th_2047"]))
    await until(lambda: numbers(sandbox, "home.nursery", "bedside") == [20])


@pytest.mark.parametrize(
    "attributes",
    [
        {"friendly_name": 5},
        {"friendly_name": ["a"]},
        {"device_class": ["a"], "friendly_name": ""},
        {"friendly_name": "Voltage", "unit_of_measurement": ["V"]},
        {"friendly_name": "Voltage", "unit_of_measurement": 5},
    ],
)
async def test_odd_attributes_of_an_unregistered_entity_do_no_harm(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, attributes: dict[str, Any]
) -> None:
    """Anything can be put there through Home Assistant's API."""
    hass.states.async_set("sensor.odd", "1", attributes)
    await set_up(mirror(entity_id=["sensor.odd"]))
    await until(
        lambda: [d for d in sandbox.store.devices() if d.external_id.startswith("home")]
    )
