"""What people call things in Home Assistant is what the server's users see."""

from collections.abc import Callable
from dataclasses import replace
import logging
from typing import Any

from homeassistant.const import CONF_PASSWORD, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client import USER_KEY
from custom_components.sensorvision.const import (
    CONF_ATTRIBUTES,
    CONF_FORMED_BY,
    CONF_SENDING,
    CONF_TARGET,
    CONF_VALUES,
)
from sandbox import Sandbox
from sandbox.settings import BEFORE_RENAMING, Mode

from .conftest import ALICE, ALICE_KEY, ALICE_PASSWORD, SETTINGS, SetUp
from .house import House, add_mirror, mirror, mirror_of, numbers, until

TOLD = ("Window", "Kitchen", "TH-3", "1.4")
TOLD_OF_VARIABLES = {"room_heat": ("Room heat", "°C", 1)}


def _device(sandbox: Sandbox, device_id: str) -> tuple[str | None, ...]:
    """Return name, location, model and firmware as the server has them."""
    device = sandbox.store.device(device_id)
    assert device
    return (device.name, device.location, device.sensor_type, device.firmware_version)


def _variables(sandbox: Sandbox, device_id: str) -> dict[str, tuple[Any, ...]]:
    """Return display name, unit and decimals of each variable as the server has them."""
    return {
        row["name"]: (row["display_name"], row["unit"], row["decimal_places"])
        for row in sandbox.store.rows(
            "SELECT variables.name, display_name, unit, decimal_places FROM variables"
            " JOIN devices ON devices.id = device_id WHERE external_id = ?",
            device_id,
        )
    }


def _rename_variable(sandbox: Sandbox, variable: str, **columns: object) -> None:
    """Let a person change a variable on the server."""
    for column, value in columns.items():
        sandbox.store.connection.execute(
            f"UPDATE variables SET {column} = ? WHERE name = ?", (value, variable)
        )


def _asked(sandbox: Sandbox, *, since: int = 0) -> list[str]:
    """Return what was asked for of devices and variables, without the probes."""
    return [
        f"{request.method} {request.path}"
        for request in list(sandbox.requests)[since:]
        if request.path.startswith("/api/v1/devices")
        and not request.path.endswith("/devices/home")
    ]


def _is_done(entry: MockConfigEntry) -> Callable[[], bool]:
    """Return a condition: everything is told, and nothing more is to be looked at."""
    registration = entry.runtime_data.registration
    return lambda: not registration.due and not registration._wake.is_set()


@pytest.fixture
def kitchen(hass: HomeAssistant, house: House) -> dr.DeviceEntry:
    """Put a thermometer into a kitchen."""
    area = ar.async_get(hass).async_create("Kitchen")
    device = house.device(
        "Thermo 3",
        area_id=area.id,
        model="TH-3",
        sw_version="1.4",
        name_by_user="Window",
    )
    house.entity(
        "sensor.heat",
        "21.46",
        device=device,
        original_name="Room heat",
        unit="°C",
        precision=1,
    )
    return device


async def test_new_device_has_name_place_and_model_from_its_first_reading_on(
    sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """Nobody sees the bare id, and it costs no request more."""
    await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: numbers(sandbox, "home.window", "room_heat") == [21.46])
    assert _device(sandbox, "home.window") == TOLD
    made = [asked for asked in _asked(sandbox) if asked.startswith("POST")]
    assert made == ["POST /api/v1/devices"]


async def test_variable_gets_display_name_unit_and_decimals(
    sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """As soon as the server has its first number."""
    await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)


async def test_entity_without_a_device_names_its_own(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Registered or not, in an area of its own or in none."""
    area = ar.async_get(hass).async_create("Cellar")
    house.entity("sensor.tank", "70", name="Big tank", area_id=area.id, unit="l")
    hass.states.async_set("sensor.plain", "1", {"friendly_name": "A template"})
    chosen = ["sensor.tank", "sensor.plain"]
    entry = await set_up(mirror(entity_id=chosen), **ALICE)
    await until(lambda: entry.runtime_data.status.delivered == 2)
    assert _device(sandbox, "home.big_tank") == ("Big tank", "Cellar", None, None)
    assert _device(sandbox, "home.a_template")[0] == "A template"
    await until(
        lambda: (
            _variables(sandbox, "home.big_tank") == {"big_tank": ("Big tank", "l", 2)}
        )
    )
    await until(
        lambda: (
            _variables(sandbox, "home.a_template")
            == {"a_template": ("A template", None, 2)}
        )
    )


async def test_attribute_is_called_after_its_entity_and_itself(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """An entity that has no name beside its device's leaves its own name to it."""
    heater = house.device("Heater")
    house.entity("climate.heater", "heat", device=heater)
    house.entity("climate.floor", "heat", device=heater, original_name="Floor")
    for entity_id in ("climate.heater", "climate.floor"):
        hass.states.async_set(entity_id, "heat", {"current_temperature": 20})
    chosen = {CONF_VALUES: {CONF_ATTRIBUTES: ["climate-current_temperature"]}}
    target = {CONF_TARGET: {"device_id": [heater.id]}}
    await set_up(mirror_of(target | chosen), **ALICE)
    await until(
        lambda: (
            {*_variables(sandbox, "home.heater").values()}
            == {
                ("Current temperature", "°C", 2),
                ("Floor current temperature", "°C", 2),
            }
        )
    )


@pytest.mark.parametrize(
    ("formed_by", "device_id", "told"),
    [
        ("area", "home.kitchen", ("Kitchen", "Kitchen", None, None)),
        ("mirror", "home.climate", ("Climate", None, None, None)),
    ],
)
async def test_device_of_an_area_or_a_mirror_is_called_after_it(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    kitchen: dr.DeviceEntry,
    formed_by: str,
    device_id: str,
    told: tuple[str | None, ...],
) -> None:
    """It has no model, and its variables are called after their devices too."""
    oven = house.device("Oven", area_id=kitchen.area_id, model="O-1")
    house.entity("sensor.oven", "180", device=oven)
    for entity_id, name in (("sensor.heat", "Window Heat"), ("sensor.oven", "Oven")):
        shown = {"friendly_name": name, "unit_of_measurement": "°C"}
        hass.states.async_set(entity_id, "20", shown)
    target = {CONF_TARGET: {"area_id": [kitchen.area_id]}}
    how = {CONF_SENDING: {CONF_FORMED_BY: formed_by}}
    await set_up(mirror_of(target | how, "Climate"), **ALICE)
    await until(
        lambda: (
            {*_variables(sandbox, device_id).values()}
            == {("Window Heat", "°C", 1), ("Oven", "°C", 2)}
        )
    )
    assert _device(sandbox, device_id) == told


async def test_texts_are_no_longer_than_the_server_stores(
    sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A reading is not refused for a name."""
    device = house.device("N" * 300, model="M" * 150, sw_version=" ")
    house.entity(
        "sensor.heat", "1", device=device, original_name="Heat " * 60, unit="u" * 60
    )
    await set_up(mirror(device_id=[device.id]), **ALICE)
    [device_id] = [f"home.{'n' * 59}"]
    await until(lambda: numbers(sandbox, device_id, "heat_" * 19 + "heat_") == [1])
    assert _device(sandbox, device_id) == ("N" * 255, None, "M" * 100, None)
    await until(
        lambda: (
            [*_variables(sandbox, device_id).values()]
            == [(("Heat " * 60)[:255], "u" * 50, 2)]
        )
    )


@pytest.mark.parametrize(("precision", "decimals"), [(0, 0), (12, 10), (-2, 0)])
async def test_decimals_are_those_that_the_server_can_show(
    sandbox: Sandbox, set_up: SetUp, house: House, precision: int, decimals: int
) -> None:
    """Home Assistant has more, and fewer than none."""
    house.entity("sensor.heat", "1", original_name="Heat", precision=precision)
    await set_up(mirror(entity_id=["sensor.heat"]), **ALICE)
    await until(
        lambda: _variables(sandbox, "home.heat") == {"heat": ("Heat", None, decimals)}
    )


async def test_device_that_had_only_its_bare_id_gets_what_is_known(
    sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """As those that a device token once made."""
    sandbox.store.add_device(
        organization_id=sandbox.store.organization_id("Organization A"),
        external_id="home.window",
        now_us=0,
    )
    await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _device(sandbox, "home.window") == TOLD)


async def test_what_a_person_has_named_on_the_server_stays(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """And only what is left empty is filled in, at first and ever after."""
    device = sandbox.store.add_device(
        organization_id=sandbox.store.organization_id("Organization A"),
        external_id="home.window",
        name="My window",
        now_us=0,
    )
    sandbox.store.update_device(device, location="Left wall")
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    told = ("My window", "Left wall", "TH-3", "1.4")
    await until(lambda: _device(sandbox, "home.window") == told)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))

    _rename_variable(sandbox, "room_heat", display_name="Heat left", unit="Grad")
    registry = dr.async_get(hass)
    registry.async_update_device(kitchen.id, name_by_user="Other", sw_version="1.5")
    er.async_get(hass).async_update_entity("sensor.heat", name="Warmth")
    told = ("My window", "Left wall", "TH-3", "1.5")
    await until(lambda: _device(sandbox, "home.window") == told)
    await until(_is_done(entry))
    shown = _variables(sandbox, "home.window")["room_heat"]
    assert shown == ("Heat left", "Grad", 1)


async def test_what_is_changed_in_home_assistant_is_changed_on_the_server(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """Name, area, firmware, the entity's name, and how many decimals it shows."""
    await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    area = ar.async_get(hass).async_create("Hall")
    dr.async_get(hass).async_update_device(
        kitchen.id, area_id=area.id, name_by_user="Door", sw_version="2.0"
    )
    entities = er.async_get(hass)
    entities.async_update_entity("sensor.heat", name="Air")
    entities.async_update_entity_options(
        "sensor.heat", "sensor", {"display_precision": 3}
    )
    told = ("Door", "Hall", "TH-3", "2.0")
    await until(lambda: _device(sandbox, "home.window") == told)
    await until(
        lambda: _variables(sandbox, "home.window") == {"room_heat": ("Air", "°C", 3)}
    )


async def test_many_entities_of_one_device_cost_few_requests(
    sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """One for all devices, one for the variables of each, one for what changes."""
    device = house.device("Meter")
    for number in range(120):
        house.entity(
            f"sensor.plain_{number}",
            "1",
            device=device,
            original_name=f"Plain {number}",
        )
    house.entity("sensor.heat", "1", device=device, original_name="Heat", unit="K")
    entry = await set_up(mirror(device_id=[device.id]), **ALICE)
    await until(lambda: entry.runtime_data.status.delivered == 121)
    await until(_is_done(entry))
    asked = _asked(sandbox)
    assert len(_variables(sandbox, "home.meter")) == 121
    # They arrive in two or three requests, which it may look at one by one.
    assert [one.partition("/variables")[1] for one in asked].count("/variables") <= 4
    assert len([one for one in asked if one.startswith("PUT")]) == 1
    assert len(asked) <= 9


async def test_restart_asks_for_nothing_that_was_told(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """But for what has changed meanwhile."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    assert await hass.config_entries.async_unload(entry.entry_id)
    before = len(sandbox.requests)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(numbers(sandbox, "home.window", "room_heat")) == 2)
    await until(_is_done(entry))
    probe = "GET /api/v1/devices"
    assert set(_asked(sandbox, since=before)) == {probe}

    assert await hass.config_entries.async_unload(entry.entry_id)
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.5")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: _device(sandbox, "home.window")[3] == "1.5")


async def test_device_that_was_deleted_on_the_server_is_named_again(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """The next start makes it, as if it were the first time."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    device = sandbox.store.device("home.window")
    assert device
    sandbox.store.delete_device(device)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    assert _device(sandbox, "home.window") == TOLD


async def test_registration_goes_on_when_the_server_is_back(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """Readings arrive meanwhile, if only this part of the server is in trouble."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    sandbox.faults.set("http_503", path="/api/v1/devices")
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.5")
    registration = entry.runtime_data.registration
    await until(lambda: registration.problem)
    assert "503" in registration.problem
    hass.states.async_set("sensor.heat", "22")
    await until(lambda: numbers(sandbox, "home.window", "room_heat")[-1] == 22)
    assert entry.runtime_data.status.is_connected
    sandbox.faults.clear()
    await until(lambda: _device(sandbox, "home.window")[3] == "1.5")
    await until(lambda: not registration.problem)


async def test_nothing_is_asked_while_the_server_is_away(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """What changes meanwhile is told when it is back."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.heat", "22")
    await until(lambda: entry.runtime_data.status.is_connected is False)
    before = len(sandbox.requests)
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.5")
    registration = entry.runtime_data.registration
    await until(lambda: registration.due and not registration._wake.is_set())
    assert not [one for one in _asked(sandbox, since=before) if "PUT" in one]
    sandbox.faults.clear()
    await until(lambda: _device(sandbox, "home.window")[3] == "1.5")


async def test_device_that_can_not_be_told_holds_up_no_other(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """It is set aside after a few attempts, and its readings go on."""
    for name in ("bad", "good"):
        house.entity(f"sensor.{name}", "1", name=name)
    sandbox.store.connection.execute(
        "CREATE TRIGGER bad BEFORE UPDATE OF location ON devices"
        " WHEN NEW.external_id = 'home.bad' AND NEW.location = 'Hall' BEGIN"
        " SELECT RAISE(ABORT, 'no') ; END"
    )
    entry = await set_up(mirror(entity_id=["sensor.bad", "sensor.good"]), **ALICE)
    await until(lambda: entry.runtime_data.status.delivered == 2)
    await until(_is_done(entry))
    area = ar.async_get(hass).async_create("Hall")
    for name in ("bad", "good"):
        er.async_get(hass).async_update_entity(f"sensor.{name}", area_id=area.id)
    await until(lambda: _device(sandbox, "home.good")[1] == "Hall")
    registration = entry.runtime_data.registration
    await until(lambda: list(registration.set_aside) == ["home.bad"])
    shown = registration.as_shown()
    assert shown["told"] == {"devices": 2, "variables": 2}
    assert "HTTP 500" in shown["set_aside"]["home.bad"]
    hass.states.async_set("sensor.bad", "2")
    await until(lambda: numbers(sandbox, "home.bad", "bad") == [1, 2])


async def test_server_that_has_become_older_is_not_asked_again_and_again(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    kitchen: dr.DeviceEntry,
) -> None:
    """What it can't do is said once; readings go on."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    sandbox.context.switch_modes(frozenset({Mode.BEFORE_2025_12_06}))
    er.async_get(hass).async_update_entity("sensor.heat", name="Air")
    registration = entry.runtime_data.registration
    await until(lambda: "too old" in registration.set_aside.get("home.window", ""))
    await until(_is_done(entry))
    before = len(sandbox.requests)
    er.async_get(hass).async_update_entity("sensor.heat", name="Breeze")
    await until(_is_done(entry))
    assert not _asked(sandbox, since=before)
    assert registration.problem is None


async def test_entity_that_is_registered_later_is_told_under_its_old_name(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Its history goes on, and what is known of it now is more."""
    hass.states.async_set("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]), **ALICE)
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(_is_done(entry))
    hass.states.async_remove("sensor.tank")
    house.entity("sensor.tank", "71", name="Big tank", precision=1, unit="l")
    await until(
        lambda: _variables(sandbox, "home.tank") == {"tank": ("Big tank", "l", 1)}
    )


async def test_device_of_others_is_left_alone(
    sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """It is refused, and said so; those of this house are named."""
    sandbox.store.add_device(
        organization_id=sandbox.store.organization_id("Organization B"),
        external_id="home.tank",
        now_us=0,
    )
    house.entity("sensor.tank", "70", name="Tank", unit="l")
    house.entity("sensor.well", "5", name="Well", unit="m")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]), **ALICE)
    await until(lambda: _variables(sandbox, "home.well") == {"well": ("Well", "m", 2)})
    assert list(entry.runtime_data.status.refused_devices) == ["home.tank"]
    assert _device(sandbox, "home.tank") == ("home.tank", None, None, None)
    assert entry.runtime_data.registration.set_aside == {}


async def test_user_key_names_devices_and_leaves_variables(
    sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """The server shows variables to no user key."""
    entry = await set_up(
        mirror(device_id=[kitchen.id]), api_key=ALICE_KEY, credential=USER_KEY
    )
    await until(lambda: numbers(sandbox, "home.window", "room_heat") == [21.46])
    await until(_is_done(entry))
    assert _device(sandbox, "home.window") == TOLD
    assert not [one for one in _asked(sandbox) if "variables" in one]
    assert entry.runtime_data.registration.problem is None


async def test_device_token_names_nothing(
    sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """It can do nothing but post."""
    entry = await set_up(mirror(device_id=[kitchen.id]))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    assert _device(sandbox, "home.window")[0] == "home.window"
    assert entry.runtime_data.registration.due == 0
    assert not _asked(sandbox)


@pytest.mark.parametrize(
    "modes",
    [frozenset({Mode.BEFORE_2025_12_06}), BEFORE_RENAMING],
    ids=["without variables", "as old as can be"],
)
async def test_old_server_names_devices_alone(
    hass: HomeAssistant,
    set_up: SetUp,
    house: House,
    kitchen: dr.DeviceEntry,
    modes: frozenset[Mode],
) -> None:
    """It has no variables that could be named."""
    async with Sandbox(replace(SETTINGS, modes=modes)) as old:
        changes = {CONF_URL: old.url, **ALICE}
        entry = await set_up(mirror(device_id=[kitchen.id]), **changes)
        await until(lambda: entry.runtime_data.status.delivered == 1)
        await until(_is_done(entry))
        assert _device(old, "home.window") == TOLD
        assert not [one for one in _asked(old) if "variables" in one]
        assert entry.runtime_data.registration.problem is None
        assert entry.runtime_data.registration.set_aside == {}
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_unloading_ends_what_is_at_work(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """Even while the server takes its time to answer."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    sandbox.faults.set("latency", path="/api/v1/devices", seconds=30)
    before = len(sandbox.requests)
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.5")
    await until(lambda: _asked(sandbox, since=before))
    assert await hass.config_entries.async_unload(entry.entry_id)
    before = len(sandbox.requests)
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.6")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(sandbox.requests) == before


async def test_another_server_is_told_everything_anew(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """What the old one was told is of no use there."""
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    async with Sandbox(SETTINGS) as other:
        hass.config_entries.async_update_entry(
            entry, data={**entry.data, CONF_URL: other.url}
        )
        hass.states.async_set("sensor.heat", "22", {"unit_of_measurement": "°C"})
        await until(lambda: other.store.device("home.window"))
        await until(lambda: _variables(other, "home.window") == TOLD_OF_VARIABLES)
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_mirror_that_is_added_is_told_too(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, kitchen: dr.DeviceEntry
) -> None:
    """Names that are given later are brought later."""
    entry = await set_up(**ALICE)
    await until(lambda: entry.runtime_data.status.is_connected)
    add_mirror(hass, entry, mirror(device_id=[kitchen.id]))
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)


async def test_entity_that_shows_its_first_number_late_is_told_then(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    kitchen: dr.DeviceEntry,
) -> None:
    """Its device is known long since, and no registry says that it has a variable."""
    house.entity("sensor.damp", "unknown", device=kitchen, original_name="Damp")
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    await until(_is_done(entry))
    hass.states.async_set("sensor.damp", "40", {"unit_of_measurement": "%"})
    told = TOLD_OF_VARIABLES | {"damp": ("Damp", "%", 2)}
    await until(lambda: _variables(sandbox, "home.window") == told)


async def test_no_secret_is_in_the_log(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    kitchen: dr.DeviceEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also not when something goes wrong."""
    caplog.set_level(logging.DEBUG)
    entry = await set_up(mirror(device_id=[kitchen.id]), **ALICE)
    await until(lambda: _variables(sandbox, "home.window") == TOLD_OF_VARIABLES)
    sandbox.faults.set("http_503", path="/api/v1/devices")
    dr.async_get(hass).async_update_device(kitchen.id, sw_version="1.5")
    await until(lambda: entry.runtime_data.registration.problem)
    sandbox.faults.clear()
    await until(lambda: _device(sandbox, "home.window")[3] == "1.5")
    assert ALICE[CONF_PASSWORD] == ALICE_PASSWORD
    assert ALICE_PASSWORD not in caplog.text
