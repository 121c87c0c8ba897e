"""Repair issues: what a person can mend, for as long as it lasts."""

from dataclasses import replace

from homeassistant.const import CONF_URL
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.util import dt as dt_util
import pytest

from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox
from sandbox.settings import Mode

from .conftest import SETTINGS, SetUp
from .house import House, mirror, numbers, until
from .test_translations import TEXTS


def shown_issues(hass: HomeAssistant) -> list[tuple[str, dict[str, str]]]:
    """Return key and placeholders of the issues that are shown.

    Each of them has a text whose every placeholder is filled.
    """
    found = []
    for issue in ir.async_get(hass).issues.values():
        if issue.domain != DOMAIN:
            continue
        assert issue.translation_key
        placeholders = issue.translation_placeholders or {}
        texts = TEXTS["issues"][issue.translation_key]
        shown = [texts["title"], texts.get("description", "")]
        if "fix_flow" in texts:
            shown += texts["fix_flow"]["step"].get("confirm", {}).values()
        for text in shown:
            assert "{" not in text.format(**placeholders)
        found.append((issue.translation_key, placeholders))
    return found


def give_to_others(sandbox: Sandbox, device_id: str) -> None:
    """Let a device belong to the other organisation."""
    store = sandbox.store
    store.add_device(
        organization_id=store.organization_id("Organization B"),
        external_id=device_id,
        now_us=0,
    )


def delete_device(sandbox: Sandbox, device_id: str) -> None:
    device = sandbox.store.device(device_id)
    assert device
    sandbox.store.delete_device(device)


async def test_device_of_another_organization_is_shown_until_it_is_mended(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Other devices go on meanwhile, and its newest reading goes out in the end."""
    give_to_others(sandbox, "home.tank")
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    await until(lambda: shown_issues(hass))
    assert shown_issues(hass) == [
        (
            "device_refused",
            {
                "entry": "127.0.0.1",
                "device": "home.tank",
                "message": "Cannot send data to device in different organization",
            },
        )
    ]
    await until(lambda: numbers(sandbox, "home.well", "well") == [5])
    await until(lambda: entry.runtime_data.status.is_connected)

    hass.states.async_set("sensor.tank", "71")
    delete_device(sandbox, "home.tank")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [71])
    await until(lambda: not shown_issues(hass))


async def test_server_that_gives_new_devices_to_others_is_said_to_be_too_old(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    house.entity("sensor.tank", "70")
    modes = frozenset({Mode.BEFORE_2026_01_18})
    async with Sandbox(replace(SETTINGS, modes=modes)) as old:
        entry = await set_up(mirror(entity_id=["sensor.tank"]), url=old.url)
        await until(lambda: entry.runtime_data.status.delivered == 1)
        assert "device_lost" not in dict(shown_issues(hass))
        hass.states.async_set("sensor.tank", "71")
        await until(lambda: "device_lost" in dict(shown_issues(hass)))
        placeholders = dict(shown_issues(hass))["device_lost"]
        assert placeholders["device"] == "home.tank"

        # Whoever runs the server makes it in the right organization.
        delete_device(old, "home.tank")
        old.store.add_device(
            organization_id=old.store.organization_id("Organization A"),
            external_id="home.tank",
            now_us=0,
        )
        await until(lambda: numbers(old, "home.tank", "tank") == [71])
        await until(lambda: "device_lost" not in dict(shown_issues(hass)))
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_device_stays_lost_over_a_new_connection(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Another credential does not make the server forget that it took it once."""
    house.entity("sensor.tank", "70")
    modes = frozenset({Mode.BEFORE_2026_01_18})
    async with Sandbox(replace(SETTINGS, modes=modes)) as old:
        entry = await set_up(mirror(entity_id=["sensor.tank"]), url=old.url)
        runtime = entry.runtime_data
        await until(lambda: runtime.status.delivered == 1)
        runtime.reconnect()
        assert not runtime.status.refused_devices
        hass.states.async_set("sensor.tank", "71")
        await until(lambda: runtime.status.refused_devices)
        assert "device_lost" in dict(shown_issues(hass))
        assert "device_refused" not in dict(shown_issues(hass))
        assert runtime.status.delivered == 1

        async with Sandbox(SETTINGS) as other:
            give_to_others(other, "home.tank")
            hass.config_entries.async_update_entry(
                entry, data={**entry.data, CONF_URL: other.url}
            )
            await until(lambda: "device_refused" in dict(shown_issues(hass)))
            assert "device_lost" not in dict(shown_issues(hass))
            assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("ahead_s", [7200, -90], ids=["ahead", "behind"])
async def test_clock_that_is_wrong_is_shown_until_it_is_right(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    ahead_s: float,
) -> None:
    """And written once, not with each answer."""
    sandbox.clock.hold()
    sandbox.clock.advance(ahead_s)
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    status = entry.runtime_data.status
    await until(lambda: status.delivered == 1)
    [(key, placeholders)] = shown_issues(hass)
    assert key == "clock_wrong"
    hours, minutes, seconds = map(int, placeholders["difference"].split(":"))
    shown_s = hours * 3600 + minutes * 60 + seconds
    assert shown_s == pytest.approx(abs(ahead_s), abs=5)
    times = [
        dt_util.parse_datetime(f"{placeholders[name]}+00:00", raise_on_error=True)
        for name in ("home_time", "server_time")
    ]
    assert (times[1] - times[0]).total_seconds() == pytest.approx(ahead_s, abs=5)
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: status.delivered == 2)
    assert shown_issues(hass) == [(key, placeholders)]

    sandbox.clock.advance(-ahead_s)
    hass.states.async_set("sensor.tank", "72")
    await until(lambda: status.delivered == 3)
    assert not shown_issues(hass)


async def test_refused_reading_is_shown_until_one_is_accepted(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """A limit of the server's own that nobody knows here stops nothing else."""
    meter = house.device("Meter")
    house.entity("sensor.load", "100", device=meter, original_name="Load")
    house.entity("sensor.price", "0.3", device=meter, original_name="Price")
    sandbox.store.connection.execute(
        "CREATE TRIGGER small BEFORE INSERT ON variable_values"
        " WHEN CAST(NEW.value AS REAL) >= 100 BEGIN"
        " SELECT RAISE(ABORT, 'numeric field overflow'); END"
    )
    entry = await set_up(mirror(entity_id=["sensor.load", "sensor.price"]))
    await until(lambda: shown_issues(hass))
    [(key, placeholders)] = shown_issues(hass)
    assert key == "reading_refused"
    assert (placeholders["device"], placeholders["variable"]) == ("home.meter", "load")
    assert placeholders["message"]
    await until(lambda: numbers(sandbox, "home.meter", "price") == [0.3])
    assert entry.runtime_data.status.refused == 1

    hass.states.async_set("sensor.load", "50")
    await until(lambda: numbers(sandbox, "home.meter", "load") == [50])
    await until(lambda: not shown_issues(hass))


async def test_chosen_things_that_do_not_exist_are_shown_until_they_are_back(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Everything else is mirrored, and what comes back is, too."""
    house.entity("sensor.tank", "70")
    await set_up(
        mirror(
            "Water",
            entity_id=["sensor.tank", "sensor.well"],
            device_id=["d0"],
            area_id=["attic"],
            floor_id=["upper"],
            label_id=["wet"],
        )
    )
    assert shown_issues(hass) == [
        (
            "target_missing",
            {
                "entry": "127.0.0.1",
                "mirror": "Water",
                "missing": "attic, d0, sensor.well, upper, wet",
            },
        )
    ]
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])

    ar.async_get(hass).async_create("Attic")
    house.entity("sensor.well", "5")
    await until(lambda: shown_issues(hass)[0][1]["missing"] == "d0, upper, wet")
    await until(lambda: numbers(sandbox, "home.well", "well") == [5])


async def test_entity_that_is_removed_is_missing_and_another_one_is_not(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Its mirror goes on with the others, and with it when it is back."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    await set_up(mirror(entity_id=["sensor.tank", "sensor.well"]))
    assert not shown_issues(hass)
    er.async_get(hass).async_remove("sensor.tank")
    hass.states.async_remove("sensor.tank")
    await until(lambda: shown_issues(hass))
    assert shown_issues(hass)[0][1]["missing"] == "sensor.tank"
    hass.states.async_set("sensor.well", "6")
    await until(lambda: numbers(sandbox, "home.well", "well")[-1:] == [6])

    house.entity("sensor.tank", "72")
    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [72])
    await until(lambda: not shown_issues(hass))


async def test_entity_without_a_registry_entry_is_missing_while_it_has_no_state(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """No registry tells of its coming and going, only its state does."""
    await set_up(mirror(entity_id=["sensor.plain"]))
    assert shown_issues(hass)
    hass.states.async_set("sensor.plain", "1")
    await until(lambda: not shown_issues(hass))
    await until(lambda: numbers(sandbox, "home.plain", "plain") == [1])
    hass.states.async_remove("sensor.plain")
    await until(lambda: shown_issues(hass))


async def test_two_mirrors_of_one_name_each_show_what_they_miss(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """Names of mirrors need not differ."""
    house.entity("sensor.tank", "70")
    await set_up(
        mirror("Water", entity_id=["sensor.well"]),
        mirror("Water", entity_id=["sensor.tank"]),
    )
    assert [placeholders["missing"] for _, placeholders in shown_issues(hass)] == [
        "sensor.well"
    ]


@pytest.mark.parametrize("state", [CoreState.not_running, CoreState.starting])
async def test_nothing_is_missing_before_home_assistant_has_started(
    hass: HomeAssistant, set_up: SetUp, house: House, state: CoreState
) -> None:
    """Entities come late; only then it is known which do not come at all."""
    hass.set_state(state)
    await set_up(mirror(entity_id=["sensor.tank", "sensor.never"]))
    assert not shown_issues(hass)
    house.entity("sensor.other", "1")
    house.entity("sensor.tank", "70")
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await until(lambda: shown_issues(hass))
    assert shown_issues(hass)[0][1]["missing"] == "sensor.never"


async def test_renamed_mirror_does_not_leave_an_issue_behind(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """The issue is the mirror's, and bears its present name."""
    entry = await set_up(mirror("Water", entity_id=["sensor.well"]))
    [subentry] = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, title="Wells")
    await hass.async_block_till_done()
    assert [placeholders["mirror"] for _, placeholders in shown_issues(hass)] == [
        "Wells"
    ]
    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.async_block_till_done()
    assert not shown_issues(hass)
