"""What is handed on to find a fault: everything needed, and nothing secret."""

import json
import platform
from typing import Any

from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    __version__ as HA_VERSION,
)
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.sensorvision.client import ACCOUNT
from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.client.version import REVISION
from custom_components.sensorvision.const import CONF_CREDENTIAL
from custom_components.sensorvision.diagnostics import (
    async_get_config_entry_diagnostics,
)
from sandbox import Sandbox

from .conftest import ALICE, ALICE_PASSWORD, PREFIX, TOKEN, SetUp, account, connection
from .house import House, mirror, until
from .test_packaging import MANIFEST

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
async def http(hass: HomeAssistant) -> None:
    """Have the web server, which diagnostics are fetched from."""
    assert await async_setup_component(hass, "http", {})


async def _diagnostics(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry
) -> dict[str, Any]:
    found = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert isinstance(found, dict)
    return found


async def test_everything_that_a_fault_may_lie_in_is_there(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
) -> None:
    """Settings, status, what waits, each mirror with what it skips, and the names."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.mood", "sunny")
    chosen = ["sensor.mood", "sensor.tank"]
    entry = await set_up(mirror("Water", entity_id=chosen))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    options = {"max_age": 7, "mirroring": True}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done()
    found = await _diagnostics(hass, hass_client, entry)
    assert found["versions"] == {
        "home_assistant": HA_VERSION,
        "integration": MANIFEST["version"],
        "revision": REVISION,
        "python": platform.python_version(),
    }
    assert found["entry"] == connection(sandbox.url) | {CONF_API_KEY: "**REDACTED**"}
    assert found["state"] == "loaded"
    assert found["options"] == {"max_age": 7, "mirroring": True}
    assert found["limits"] == {
        "commit_interval_s": 1,
        "max_bytes": 100 * 1024 * 1024,
        "max_age_s": 7 * 24 * 3600,
    }
    assert found["status"]["can"] == {
        "timestamps": False,
        "bulk": False,
        "create_devices": False,
        "read_back": False,
        "name_variables": False,
    }
    assert found["status"]["is_connected"] is True
    assert found["is_mirroring"] is True
    figures = found["figures"]
    assert figures.pop("last_delivered") > 0
    assert figures.pop("round_trip_s") > 0
    assert figures == {
        "delivered": 1,
        "waiting": 0,
        "superseded": 0,
        "dropped": 0,
        "possible_duplicates": 0,
        "refused": 0,
        "oldest_waiting_s": 0,
    }
    assert found["backfill"] == []
    assert found["refused_readings"] == []
    assert found["registration"] == {
        "told": {"devices": 0, "variables": 0},
        "due": 0,
        "problem": None,
        "set_aside": {},
    }
    [shown] = found["mirrors"]
    assert shown["title"] == "Water"
    assert shown["choice"]["target"] == {"entity_id": chosen}
    assert shown["entities"] == chosen
    assert shown["skipped"] == {"text": 1}
    assert ["home.tank", "tank"] in found["names"]["variables"].values()
    assert f"{PREFIX}.tank" in found["names"]["devices"].values()


async def test_what_the_server_refuses_is_there_in_its_words(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
) -> None:
    """They say what is wrong with a device or a number."""
    store = sandbox.store
    store.add_device(
        organization_id=store.organization_id("Organization B"),
        external_id="home.tank",
        now_us=0,
    )
    meter = house.device("Meter")
    house.entity("sensor.tank", "70")
    house.entity("sensor.load", "100", device=meter, original_name="Load")
    house.entity("sensor.price", "0.3", device=meter, original_name="Price")
    store.connection.execute(
        "CREATE TRIGGER small BEFORE INSERT ON variable_values"
        " WHEN CAST(NEW.value AS REAL) >= 100 BEGIN"
        " SELECT RAISE(ABORT, 'numeric field overflow'); END"
    )
    entry = await set_up(
        mirror(entity_id=["sensor.tank", "sensor.load", "sensor.price"])
    )
    status = entry.runtime_data.status
    await until(lambda: status.refused_devices and status.refused_variables)
    found = await _diagnostics(hass, hass_client, entry)
    assert found["figures"]["refused"] == 1
    assert found["status"]["refused_devices"] == {
        "home.tank": "Cannot send data to device in different organization"
    }
    [refused] = found["status"]["refused_variables"]
    assert (refused["device"], refused["variable"]) == ("home.meter", "load")
    assert refused["message"]
    [reading] = found["refused_readings"]
    assert (reading["device"], reading["variable"]) == ("home.meter", "load")
    assert reading["value"] == 100
    assert dt_util.parse_datetime(reading["time"])
    assert reading["reason"] == refused["message"]
    assert found["figures"]["waiting"] == 1


async def test_no_secret_is_in_it_wherever_it_stands(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
) -> None:
    """A person may have put it into a name, a server into an answer."""
    house.entity("sensor.tank", "70")
    entry = await set_up(
        mirror(f"My token {TOKEN}", entity_id=["sensor.tank"]), another_secret=PASSWORD
    )
    status = entry.runtime_data.status
    await until(lambda: status.delivered == 1)
    status.problem = f"The server said {PASSWORD}"
    status.refused_devices[TOKEN] = f"{TOKEN} is unknown"
    status.refused_variables["home.tank", "tank"] = TOKEN
    outbox = entry.runtime_data.outbox
    outbox.append([Reading("home.tank", "tank", 1, time=0)])
    batch = await outbox.take("home.tank")
    assert batch
    await outbox.set_aside(batch, f"{TOKEN} can't do that")
    text = json.dumps(await _diagnostics(hass, hass_client, entry))
    assert "Water" not in text
    assert "The server said **REDACTED**" in text
    assert "**REDACTED** can't do that" in text
    for secret in (TOKEN, TOKEN.upper(), PASSWORD):
        assert secret not in text


async def test_account_is_there_without_its_password(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
) -> None:
    """But with what the server lets it do."""
    house.entity("sensor.tank", "70")
    credential = ALICE | {CONF_CREDENTIAL: ACCOUNT}
    entry = await set_up(mirror(entity_id=["sensor.tank"]), **credential)
    status = entry.runtime_data.status
    await until(lambda: status.delivered == 1)
    status.problem = f"The server said {ALICE_PASSWORD}"
    found = await _diagnostics(hass, hass_client, entry)
    assert found["entry"] == account(sandbox.url) | {
        CONF_USERNAME: "**REDACTED**",
        CONF_PASSWORD: "**REDACTED**",
        CONF_CREDENTIAL: ACCOUNT,
    }
    assert set(found["status"]["can"].values()) == {True}
    assert ALICE_PASSWORD not in json.dumps(found)


async def test_credential_in_the_url_is_left_out(hass: HomeAssistant) -> None:
    """The form refuses such a URL, but not whoever edits the storage."""
    data = connection("x") | {
        CONF_URL: f"http://me:{PASSWORD.replace(' ', '-')}@example.org:81/sv?k=1#f"
    }
    entry = MockConfigEntry(domain="sensorvision", data=data)
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert found["entry"][CONF_URL] == "http://example.org:81/sv"


@pytest.mark.usefixtures("sandbox")
async def test_entry_that_is_not_loaded_has_its_settings_at_least(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, set_up: SetUp
) -> None:
    """Nothing else is known of it."""
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    assert await hass.config_entries.async_unload(entry.entry_id)
    found = await _diagnostics(hass, hass_client, entry)
    assert found["state"] == "not_loaded"
    assert found.keys() == {"versions", "entry", "options", "state"}
