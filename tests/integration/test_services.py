"""The actions for automations and the developer tools."""

from datetime import timedelta
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox

from .conftest import ALICE, ALICE_KEY, TOKEN, SetUp
from .house import House, mirror, mirror_of, numbers, until
from .test_translations import FOLDER, TEXTS

READINGS: dict[str, Any] = {
    "device_id": "garden",
    "variables": {"soil": 42.5, "rain": 1},
}


async def _call(
    hass: HomeAssistant, action: str, entry: MockConfigEntry, data: dict[str, Any]
) -> None:
    await hass.services.async_call(
        DOMAIN, action, {"config_entry_id": entry.entry_id, **data}, blocking=True
    )


async def _status(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    status = await hass.services.async_call(
        DOMAIN,
        "status",
        {"config_entry_id": entry.entry_id},
        blocking=True,
        return_response=True,
    )
    assert isinstance(status, dict)
    return status


def _text(error: HomeAssistantError) -> str:
    """Return what a person reads, with nothing left open."""
    assert error.translation_domain == DOMAIN
    text = TEXTS["exceptions"][error.translation_key]["message"].format(
        **error.translation_placeholders or {}
    )
    assert TOKEN not in text
    return str(text)


async def test_actions_are_there_without_a_server_and_described(
    hass: HomeAssistant,
) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    offered = hass.services.async_services_for_domain(DOMAIN)
    described = load_yaml_dict(str(FOLDER / "services.yaml"))
    assert offered.keys() == described.keys() == TEXTS["services"].keys()
    for name, action in offered.items():
        assert isinstance(action.schema, vol.Schema)
        fields = {str(key) for key in action.schema.schema}
        assert fields == described[name]["fields"].keys()
        assert fields == TEXTS["services"][name]["fields"].keys()


async def test_sent_readings_are_stored_when_the_action_returns(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up()
    await _call(hass, "send", entry, READINGS)
    assert numbers(sandbox, "garden", "soil") == [42.5]
    assert numbers(sandbox, "garden", "rain") == [1]


async def test_time_is_refused_because_a_token_cannot_store_it(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    entry = await set_up()
    with pytest.raises(ServiceValidationError) as refused:
        await _call(hass, "send", entry, READINGS | {"time": dt_util.utcnow()})
    assert "Leave the time out" in _text(refused.value)
    assert numbers(sandbox, "garden", "soil") == []


@pytest.mark.parametrize("credential", [{"api_key": ALICE_KEY}, ALICE])
@pytest.mark.parametrize(
    ("time", "stored"),
    [
        ("2026-07-01 12:00:00", "2026-07-01T19:00:00Z"),
        ("2026-07-01T12:00:00+02:00", "2026-07-01T10:00:00Z"),
    ],
    ids=["local", "zone"],
)
async def test_past_readings_are_stored_with_their_time(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    credential: dict[str, str],
    time: str,
    stored: str,
) -> None:
    """A time without a zone is the home's; the device is made where it is shown."""
    await hass.config.async_set_time_zone("America/Los_Angeles")
    entry = await set_up(**credential)
    await _call(hass, "send", entry, READINGS | {"time": time})
    [value] = sandbox.store.values("garden", "soil")
    assert float(value.value) == 42.5
    assert value.timestamp == dt_util.parse_datetime(stored)
    made = sandbox.store.device("garden")
    assert made
    assert made.organization_id == sandbox.store.organization_id("Organization A")


async def test_reading_of_a_time_to_come_is_refused(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The server would show nothing newer until then."""
    entry = await set_up(**ALICE)
    time = dt_util.utcnow() + timedelta(minutes=5)
    with pytest.raises(ServiceValidationError) as refused:
        await _call(hass, "send", entry, READINGS | {"time": time})
    assert "yet to come" in _text(refused.value)
    assert numbers(sandbox, "garden", "soil") == []


async def test_past_reading_that_is_not_stored_says_why(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Another organization's device, or a server that is away."""
    entry = await set_up(**ALICE)
    past = {"time": dt_util.utcnow() - timedelta(days=1)}
    with pytest.raises(HomeAssistantError) as refused:
        await _call(hass, "send", entry, READINGS | past | {"device_id": "dev-b"})
    assert refused.value.translation_key == "not_stored"
    assert "did not store" in _text(refused.value)
    sandbox.faults.set("reset")
    with pytest.raises(HomeAssistantError) as refused:
        await _call(hass, "send", entry, READINGS | past)
    assert "connection" in _text(refused.value)
    sandbox.faults.clear()
    await _call(hass, "send", entry, READINGS | past)
    assert numbers(sandbox, "garden", "soil") == [42.5]


@pytest.mark.parametrize(
    ("device_id", "variables", "named"),
    [
        ("a/b", {"soil": 1}, "a/b"),
        ("garden", {"soil": "wet"}, "soil"),
        ("garden", {"soil": True}, "soil"),
        ("garden", {"soil": 1e14}, "soil"),
        ("garden", {"soil": float("nan")}, "soil"),
        ("garden", {"": 1}, "name"),
        ("garden", {}, "variables"),
    ],
)
async def test_what_cannot_be_sent_is_named(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    device_id: str,
    variables: dict[str, Any],
    named: str,
) -> None:
    entry = await set_up()
    await until(lambda: entry.runtime_data.status.is_connected)
    arrived = len(sandbox.requests)
    with pytest.raises(ServiceValidationError) as refused:
        await _call(
            hass, "send", entry, {"device_id": device_id, "variables": variables}
        )
    assert named in _text(refused.value)
    assert len(sandbox.requests) == arrived


async def test_what_the_server_refuses_is_said_in_its_words(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    store = sandbox.store
    store.add_device(
        organization_id=store.organization_id("Organization B"),
        external_id="garden",
        now_us=0,
    )
    entry = await set_up()
    with pytest.raises(HomeAssistantError) as refused:
        await _call(hass, "send", entry, READINGS)
    assert "different organization" in _text(refused.value)


@pytest.mark.usefixtures("sandbox")
async def test_refused_credential_is_said(hass: HomeAssistant, set_up: SetUp) -> None:
    entry = await set_up(api_key="99999999-9999-4999-8999-999999999999")
    with pytest.raises(HomeAssistantError) as refused:
        await _call(hass, "send", entry, READINGS)
    assert "Invalid API key" in _text(refused.value)


async def test_flush_sends_what_waits_and_status_says_so(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    house.entity("sensor.tank", "70")
    sandbox.faults.set("http_503")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.status.is_connected is False)
    status = await _status(hass, entry)
    assert (status["connected"], status["waiting"]) == (False, 1)
    assert status["problem"]
    assert status["last_delivered"] is None

    sandbox.faults.clear()
    await _call(hass, "flush", entry, {})
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: entry.runtime_data.status.delivered == 1)
    status = await _status(hass, entry)
    assert dt_util.parse_datetime(status.pop("last_delivered"))
    assert status.pop("round_trip_s") > 0
    # The server has been asked at once when it was back, or a moment later.
    del status["can"], status["server"]
    await _call(hass, "flush", entry, {})
    await until(lambda: entry.runtime_data.status.capabilities)
    assert (await _status(hass, entry))["can"] == {
        "timestamps": False,
        "bulk": False,
        "create_devices": False,
        "read_back": False,
        "name_variables": False,
    }
    assert (await _status(hass, entry))["server"] == {
        "not_before": "2026-01-18",
        "before": None,
        "loses_readings": False,
        "misplaces_devices": False,
    }
    assert status == {
        "connected": True,
        "mirroring": True,
        "problem": None,
        "delivered": 1,
        "waiting": 0,
        "superseded": 0,
        "dropped": 0,
        "possible_duplicates": 0,
        "refused": 0,
        "oldest_waiting_s": 0,
        "backfill": [],
        "refused_readings": [],
        "brokers": [],
    }


async def test_status_rounds_seconds_to_thousandths(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Nobody reads sixteen digits."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    sandbox.faults.set("http_503")
    seconds_ago = dt_util.utcnow().timestamp() - 5.123456
    hass.states.async_set("sensor.tank", "71", timestamp=seconds_ago)
    await until(lambda: entry.runtime_data.outbox)
    status = await _status(hass, entry)
    assert 5.123 <= status["oldest_waiting_s"] < 15
    for key in ("oldest_waiting_s", "round_trip_s"):
        assert status[key] == round(status[key], 3)


@pytest.mark.usefixtures("sandbox")
async def test_status_shows_the_last_readings_that_were_refused(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """A hundred at the most, with the time of each and the server's reason."""
    entry = await set_up()
    outbox = entry.runtime_data.outbox
    outbox.append(Reading("home.tank", f"v{n}", n, time=n) for n in range(101))
    batch = await outbox.take("home.tank")
    assert batch
    await outbox.set_aside(batch, "No such number")
    shown = (await _status(hass, entry))["refused_readings"]
    assert [refused["value"] for refused in shown] == list(range(1, 101))
    assert shown[-1] == {
        "device": "home.tank",
        "variable": "v100",
        "value": 100,
        "time": "1970-01-01T00:01:40+00:00",
        "reason": "No such number",
    }


@pytest.mark.parametrize(("action", "data"), [("send", READINGS), ("flush", {})])
async def test_nothing_is_sent_while_mirroring_is_off(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    action: str,
    data: dict[str, Any],
) -> None:
    entry = await set_up()
    entry.runtime_data.switch_off()
    await hass.async_block_till_done()
    arrived = len(sandbox.requests)
    with pytest.raises(ServiceValidationError) as refused:
        await _call(hass, action, entry, data)
    assert "switched off" in _text(refused.value)
    assert len(sandbox.requests) == arrived
    status = await _status(hass, entry)
    assert status["mirroring"] is False


@pytest.mark.usefixtures("sandbox")
async def test_entry_that_is_not_loaded_is_named(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    entry = await set_up()
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as refused:
        await _call(hass, "flush", entry, {})
    assert refused.value.translation_key == "service_config_entry_not_loaded"


@pytest.mark.usefixtures("sandbox")
async def test_action_without_an_entry_is_refused(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    await set_up()
    with pytest.raises(vol.Invalid):
        await hass.services.async_call(DOMAIN, "flush", {}, blocking=True)


async def _preview(
    hass: HomeAssistant, entry: MockConfigEntry, **data: object
) -> list[dict[str, Any]]:
    answer = await hass.services.async_call(
        DOMAIN,
        "preview",
        {"config_entry_id": entry.entry_id, **data},
        blocking=True,
        return_response=True,
    )
    assert answer
    previews = json.loads(json.dumps(answer))["mirrors"]
    assert isinstance(previews, list)
    return previews


async def test_preview_returns_what_all_mirrors_or_one_would_send(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    house.entity("sensor.tank", "70", original_name="Voltage")
    hass.states.async_set("light.lamp", "on", {"brightness": None})
    entry = await set_up(
        mirror("Tanks", entity_id=["sensor.tank", "sensor.gone"]),
        mirror_of(
            {
                "target": {"entity_id": ["sensor.tank", "light.lamp"]},
                "values": {"attributes": ["light-brightness"]},
            },
            "Lamps",
        ),
    )
    tanks, lamps = await _preview(hass, entry)
    assert tanks == {
        "mirror": "Tanks",
        "entities": 1,
        "readings": 1,
        "devices": 1,
        "round_s": 0.1,
        "rows": [
            {
                "entity_id": "sensor.tank",
                "name": "tank",
                "attribute": None,
                "value": 70,
                "unit": None,
                "device_id": "home.voltage",
                "device_id_mended": None,
                "variable": "voltage_value",
                "variable_mended": "reserved",
            }
        ],
        "skipped": [],
        "missing": ["sensor.gone"],
    }
    assert lamps["skipped"] == [
        {
            "entity_id": "light.lamp",
            "name": "lamp",
            "attribute": "brightness",
            "reason": "no_number",
            "mirror": None,
        },
        {
            "entity_id": "sensor.tank",
            "name": "tank",
            "attribute": None,
            "reason": "other_mirror",
            "mirror": "Tanks",
        },
    ]
    assert await _preview(hass, entry, mirror="Lamps") == [lamps]


async def test_preview_tries_a_target_out(
    hass: HomeAssistant, set_up: SetUp, house: House
) -> None:
    """As a new mirror would have it, or an old one with all else that it is told."""
    house.entity("sensor.tank", "70")
    hass.states.async_set("light.lamp", "on", {"brightness": 9})
    entry = await set_up(
        mirror("Tanks", entity_id=["sensor.tank"]),
        mirror_of(
            {
                "target": {"entity_id": ["light.lamp"]},
                "sending": {"formed_by": "mirror"},
            },
            "Lamps",
        ),
        mirror("Lamps", entity_id=[]),
    )
    target = {"entity_id": ["light.lamp", "sensor.tank"]}
    [new] = await _preview(hass, entry, target=target)
    assert new["mirror"] is None
    assert [skipped["mirror"] for skipped in new["skipped"]] == ["Lamps", "Tanks"]
    [lamps] = await _preview(hass, entry, mirror="Lamps", target=target)
    assert lamps["mirror"] == "Lamps"
    assert [row["device_id"] for row in lamps["rows"]] == ["home.lamps"]
    assert [skipped["mirror"] for skipped in lamps["skipped"]] == ["Tanks"]
    hass.states.async_set("light.other", "on", {"brightness": 9})
    [new] = await _preview(hass, entry, target={"entity_id": "light.other"})
    assert [row["attribute"] for row in new["rows"]] == [None, "brightness"]
    assert [len(entry.subentries), len(await _preview(hass, entry))] == [3, 3]
    assert len(await _preview(hass, entry, mirror="Lamps")) == 2


@pytest.mark.parametrize(
    ("titles", "told"),
    [(("Tanks", "Lamps"), "no mirror called Tank. It has: Tanks, Lamps."), ((), "yet")],
)
async def test_mirror_that_is_not_there_is_named_with_those_that_are(
    hass: HomeAssistant, set_up: SetUp, titles: tuple[str, ...], told: str
) -> None:
    entry = await set_up(*(mirror(title, entity_id=[]) for title in titles))
    with pytest.raises(ServiceValidationError) as refused:
        await _preview(hass, entry, mirror="Tank")
    assert told in _text(refused.value)


@pytest.mark.parametrize(
    "target", [{}, {"entity_id": "all"}, {"entity_id": "tank"}, {"group": ["x"]}]
)
async def test_target_that_nothing_can_follow_is_refused(
    hass: HomeAssistant, set_up: SetUp, target: dict[str, Any]
) -> None:
    entry = await set_up()
    with pytest.raises(vol.Invalid, match="target"):
        await _preview(hass, entry, target=target)
