"""A credential that the server no longer accepts, and the way to another one."""

from dataclasses import replace
import logging
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components import sensorvision
from custom_components.sensorvision.client import (
    ACCOUNT,
    DEVICE_TOKEN,
    USER_KEY,
    AsyncSensorVisionClient,
)
from custom_components.sensorvision.const import CONF_CREDENTIAL, DOMAIN
from sandbox import Sandbox

from .conftest import ALICE, ALICE_KEY, ALICE_PASSWORD, TOKEN, SetUp
from .house import House, mirror, numbers, until

NEW_TOKEN = "33333333-3333-4333-8333-333333333333"
OLD_PASSWORD = "an old password"
UNKNOWN_TOKEN = "99999999-9999-4999-8999-999999999999"


def _set_token(sandbox: Sandbox, token: str) -> None:
    """Rotate the device's token at the server."""
    device = sandbox.store.device("dev-a")
    assert device
    sandbox.store.update_device(device, api_token=token)


def _reauth_flows(hass: HomeAssistant) -> list[dict[str, Any]]:
    return [
        dict(flow)
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        if flow["context"]["source"] == SOURCE_REAUTH
    ]


async def test_revoked_token_is_replaced_and_nothing_is_lost(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same entry goes on with the same mirror, and what waited goes out."""
    caplog.set_level(logging.DEBUG)
    house.entity("sensor.tank", "70")
    house.entity("sensor.waiting", "unknown")
    entry = await set_up(mirror(entity_id=["sensor.tank", "sensor.waiting"]))
    runtime = entry.runtime_data
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    await until(lambda: not runtime.outbox)

    _set_token(sandbox, NEW_TOKEN)
    hass.states.async_set("sensor.waiting", "1")
    await until(lambda: _reauth_flows(hass))
    hass.states.async_set("sensor.tank", "71")
    [flow] = _reauth_flows(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert runtime.status.is_connected is False
    await until(lambda: len(runtime.outbox) == 2)

    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert form["step_id"] == "reauth_key"
    placeholders = form["description_placeholders"]
    assert placeholders
    assert placeholders["name"] == "127.0.0.1"
    done = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: f" {NEW_TOKEN} "}
    )
    assert done["type"] is FlowResultType.ABORT
    assert done["reason"] == "reauth_successful"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 71])
    await until(lambda: numbers(sandbox, "home.waiting", "waiting") == [1])
    assert hass.config_entries.async_entries(DOMAIN) == [entry]
    assert entry.data[CONF_API_KEY] == NEW_TOKEN
    assert entry.runtime_data is runtime
    await until(lambda: runtime.status.delivered == 3)
    assert not _reauth_flows(hass)
    assert TOKEN not in caplog.text
    assert NEW_TOKEN not in caplog.text
    # Once when it went, once when it was back.
    said = [
        record.levelname
        for record in caplog.records
        if "refuses the credential" in record.message or "is back" in record.message
    ]
    assert said == ["INFO", "INFO"]


async def test_token_is_rotated_on_the_server_and_nothing_is_lost(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """As its owner does it: the same entry and mirrors, and the newest of each number."""
    house.entity("sensor.tank", "70")
    house.entity("sensor.well", "5")
    house.entity("sensor.pond", "1")
    entry = await set_up(
        mirror("Water", entity_id=["sensor.tank", "sensor.well"]),
        mirror("Garden", entity_id=["sensor.pond"]),
    )
    entry_id, subentries = entry.entry_id, dict(entry.subentries)
    names = entry.runtime_data.stored_names()
    await until(lambda: entry.runtime_data.status.delivered == 3)

    async with AsyncSensorVisionClient(
        sandbox.url, username="alice", password=ALICE_PASSWORD
    ) as alice:
        token = await alice.rotate_token("dev-a")
    assert token != TOKEN
    for number in (71, 72, 73):
        hass.states.async_set("sensor.tank", str(number))
        hass.states.async_set("sensor.pond", str(number - 70))
        await hass.async_block_till_done()
    await until(lambda: _reauth_flows(hass))
    hass.states.async_set("sensor.tank", "74")
    [flow] = _reauth_flows(hass)
    assert flow["context"]["entry_id"] == entry_id
    done = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: token}
    )
    assert done["reason"] == "reauth_successful"

    await until(lambda: numbers(sandbox, "home.tank", "tank")[-1:] == [74])
    await until(lambda: numbers(sandbox, "home.pond", "pond")[-1:] == [3])
    await until(lambda: not entry.runtime_data.outbox)
    assert numbers(sandbox, "home.well", "well") == [5]
    assert [entry.entry_id for entry in hass.config_entries.async_entries(DOMAIN)] == [
        entry_id
    ]
    assert dict(entry.subentries) == subentries
    assert entry.runtime_data.stored_names() == names
    status = entry.runtime_data.status
    sent = sum(
        len(numbers(sandbox, f"home.{name}", name)) for name in ("tank", "well", "pond")
    )
    await until(lambda: status.delivered == sent)
    assert not _reauth_flows(hass)


@pytest.mark.parametrize(
    ("token", "fault", "errors"),
    [
        ("secret", None, {CONF_API_KEY: "invalid_key"}),
        (UNKNOWN_TOKEN, None, {CONF_API_KEY: "invalid_auth"}),
        (NEW_TOKEN, "http_503", {"base": "server_error"}),
        (NEW_TOKEN, "http_301", {"base": "redirect"}),
        (NEW_TOKEN, "reset", {"base": "cannot_connect"}),
        (NEW_TOKEN, "html_200", {"base": "not_sensorvision"}),
    ],
)
async def test_token_that_does_not_work_either_can_be_corrected(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    token: str,
    fault: str | None,
    errors: dict[str, str],
) -> None:
    """Until one works the entry keeps the old one, and other trouble is told apart."""
    _set_token(sandbox, NEW_TOKEN)
    entry = await set_up()
    await until(lambda: _reauth_flows(hass))
    [flow] = _reauth_flows(hass)
    if fault:
        sandbox.faults.set(fault)
    form = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: token}
    )
    assert form["type"] is FlowResultType.FORM
    assert form["errors"] == errors
    assert entry.data[CONF_API_KEY] == TOKEN

    sandbox.faults.clear()
    done = await hass.config_entries.flow.async_configure(
        form["flow_id"], {CONF_API_KEY: NEW_TOKEN}
    )
    assert done["reason"] == "reauth_successful"
    await until(lambda: entry.runtime_data.status.is_connected)


async def test_token_that_works_again_goes_on_at_once(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says that mirroring goes on, so that it does, though no token has changed."""
    patient = replace(sensorvision.PACE, refused_credential_s=900)
    monkeypatch.setattr(sensorvision, "PACE", patient)
    house.entity("sensor.tank", "70")
    _set_token(sandbox, NEW_TOKEN)
    await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: _reauth_flows(hass))
    _set_token(sandbox, TOKEN)
    [flow] = _reauth_flows(hass)
    done = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: TOKEN}
    )
    assert done["reason"] == "reauth_successful"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])


async def test_changed_password_is_replaced_and_nothing_is_lost(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The name is there already; a password that is wrong can be corrected."""
    caplog.set_level(logging.DEBUG)
    house.entity("sensor.tank", "70")
    old = ALICE | {CONF_PASSWORD: OLD_PASSWORD}
    entry = await set_up(mirror(entity_id=["sensor.tank"]), **old)
    await until(lambda: _reauth_flows(hass))
    [flow] = _reauth_flows(hass)
    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert form["step_id"] == "reauth_account"
    assert form["data_schema"]
    suggested = {
        str(key): key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key.description
    }
    assert suggested == {CONF_USERNAME: "alice"}
    for wrong, errors in (
        ({CONF_PASSWORD: ""}, {CONF_PASSWORD: "password_missing"}),
        ({CONF_PASSWORD: OLD_PASSWORD}, {CONF_PASSWORD: "invalid_login"}),
    ):
        form = await hass.config_entries.flow.async_configure(
            flow["flow_id"], ALICE | wrong
        )
        assert form["errors"] == errors
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], ALICE)
    assert done["reason"] == "reauth_successful"
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert entry.data[CONF_PASSWORD] == ALICE_PASSWORD
    assert entry.data[CONF_CREDENTIAL] == ACCOUNT
    assert ALICE_PASSWORD not in caplog.text
    assert OLD_PASSWORD not in caplog.text


async def test_device_token_can_be_replaced_by_a_user_key_and_back(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The server tells which kind the new key is."""
    kinds = []
    entry = await set_up()
    for key in (ALICE_KEY, TOKEN):
        entry.async_start_reauth(hass)
        await until(lambda: _reauth_flows(hass))
        [flow] = _reauth_flows(hass)
        await hass.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_API_KEY: key}
        )
        await hass.async_block_till_done()
        await until(lambda: entry.runtime_data.status.is_connected)
        kinds.append((entry.data[CONF_API_KEY], entry.data[CONF_CREDENTIAL]))
    assert kinds == [(ALICE_KEY, USER_KEY), (TOKEN, DEVICE_TOKEN)]


@pytest.mark.parametrize(
    "credential",
    [{CONF_API_KEY: ALICE_KEY, CONF_CREDENTIAL: USER_KEY}, ALICE],
    ids=["user key", "account"],
)
async def test_locked_door_is_no_refusal(
    hass: HomeAssistant,
    sandbox: Sandbox,
    set_up: SetUp,
    house: House,
    credential: dict[str, str],
) -> None:
    """A key that is ignored or a login that is not taken now asks nobody for another."""
    house.entity("sensor.tank", "70")
    sandbox.context.limits.keys.failed("127.0.0.1", 10)
    sandbox.faults.set("http_503", path="/api/v1/auth/login")
    entry = await set_up(mirror(entity_id=["sensor.tank"]), **credential)
    status = entry.runtime_data.status
    await until(lambda: status.is_connected is False)
    assert not status.is_credential_refused
    assert not _reauth_flows(hass)

    sandbox.context.limits.keys.succeeded("127.0.0.1")
    sandbox.faults.clear()
    # A login that failed is not tried again for twelve seconds, so begin anew.
    entry.runtime_data.reconnect()
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    assert not _reauth_flows(hass)


async def test_key_that_is_ignored_is_told_from_a_wrong_one(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Of a key that was a user's before, the server need not say it again."""
    entry = await set_up(api_key=ALICE_KEY, credential=USER_KEY)
    await until(lambda: entry.runtime_data.status.is_connected)
    sandbox.context.limits.keys.failed("127.0.0.1", 10)
    entry.async_start_reauth(hass)
    await until(lambda: _reauth_flows(hass))
    [flow] = _reauth_flows(hass)
    form = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: ALICE_KEY}
    )
    assert form["errors"] == {CONF_API_KEY: "key_locked"}
    sandbox.context.limits.keys.succeeded("127.0.0.1")
    done = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: ALICE_KEY}
    )
    assert done["reason"] == "reauth_successful"


async def test_question_comes_once_a_form_for_the_connection_is_closed(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Home Assistant asks nothing while one is open; the next refusal asks again."""
    entry = await set_up()
    status = entry.runtime_data.status
    await until(lambda: status.is_connected)
    form = await entry.start_reconfigure_flow(hass)
    _set_token(sandbox, NEW_TOKEN)
    entry.runtime_data.flush()
    await until(lambda: status.is_credential_refused)
    tried = len(sandbox.requests)
    await until(lambda: len(sandbox.requests) > tried)
    assert not _reauth_flows(hass)
    hass.config_entries.flow.async_abort(form["flow_id"])
    await until(lambda: _reauth_flows(hass))


async def test_question_goes_away_when_the_server_accepts_the_token_again(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """Nobody is asked for what is not needed any more."""
    _set_token(sandbox, NEW_TOKEN)
    entry = await set_up()
    await until(lambda: _reauth_flows(hass))
    _set_token(sandbox, TOKEN)
    await until(lambda: entry.runtime_data.status.is_connected)
    await until(lambda: not _reauth_flows(hass))
