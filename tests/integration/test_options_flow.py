"""Options of an entry: how readings wait, taken over at once and without a loss."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.sensorvision.client.limits import Limits
from custom_components.sensorvision.client.readings import Reading
from custom_components.sensorvision.const import CONF_FILL_GAPS, CONF_MIRRORING, DOMAIN
from sandbox import Sandbox

from .conftest import ALICE, ALICE_KEY, SetUp
from .house import House, mirror, numbers, until

_MB = 1024 * 1024
_CHOSEN = {"commit_interval": 0, "max_size": 10, "max_age": 2}


async def _form(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "init")
    return form


async def _choose(
    hass: HomeAssistant, entry: MockConfigEntry, choice: dict[str, Any]
) -> None:
    form = await _form(hass, entry)
    done = await hass.config_entries.options.async_configure(form["flow_id"], choice)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


def _fields(form: ConfigFlowResult) -> set[str]:
    schema = form["data_schema"]
    assert schema
    return {str(key) for key in schema.schema}


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("credential", "can_fill_gaps"),
    [
        ({}, False),
        (ALICE, True),
        ({"api_key": ALICE_KEY, "credential": "user_key"}, True),
    ],
    ids=["token", "account", "user_key"],
)
async def test_gaps_are_offered_only_where_times_are_kept(
    hass: HomeAssistant,
    set_up: SetUp,
    credential: dict[str, str],
    can_fill_gaps: bool,
) -> None:
    entry = await set_up(**credential)
    fields = _fields(await _form(hass, entry))
    assert fields - {CONF_FILL_GAPS} == _CHOSEN.keys()
    assert (CONF_FILL_GAPS in fields) is can_fill_gaps


@pytest.mark.usefixtures("sandbox")
async def test_what_nobody_has_chosen_is_the_default(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    entry = await set_up(**ALICE)
    assert entry.runtime_data.outbox.limits == Limits()
    await _choose(hass, entry, {})
    assert dict(entry.options) == {
        "commit_interval": 1,
        "max_size": 100,
        "max_age": 30,
        "fill_gaps": True,
    }
    assert entry.runtime_data.outbox.limits == Limits()


async def test_options_are_taken_over_at_once_and_nothing_is_lost(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Without a reload, and with what the switch has stored."""
    house.entity("sensor.tank", "1")
    entry = await set_up(mirror(entity_id=["sensor.tank"]), **ALICE)
    runtime = entry.runtime_data
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [1])
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "2")
    await hass.async_block_till_done()
    runtime.switch_off()
    await _choose(hass, entry, _CHOSEN | {"fill_gaps": False})
    assert entry.runtime_data is runtime
    assert entry.options == _CHOSEN | {CONF_FILL_GAPS: False, CONF_MIRRORING: False}
    assert runtime.outbox.limits == Limits(0, 10 * _MB, 2 * 24 * 3600)
    sandbox.faults.clear()
    runtime.switch_on()
    await until(lambda: 2 in numbers(sandbox, "home.tank", "tank"))
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.outbox.limits == runtime.outbox.limits


@pytest.mark.usefixtures("sandbox")
async def test_what_a_form_does_not_show_stays(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    """As after a change from an account to a device token."""
    entry = await set_up()
    hass.config_entries.async_update_entry(entry, options={CONF_FILL_GAPS: False})
    await _choose(hass, entry, _CHOSEN)
    assert entry.options == _CHOSEN | {CONF_FILL_GAPS: False}


@pytest.mark.usefixtures("sandbox")
async def test_smaller_limit_drops_the_oldest_and_says_how_many(
    hass: HomeAssistant, set_up: SetUp
) -> None:
    entry = await set_up(**ALICE)
    outbox = entry.runtime_data.outbox
    # What is on its way to the server is not dropped.
    entry.runtime_data.switch_off()
    at = 1_780_000_000.5
    for first in range(0, 400_000, 50_000):
        outbox.append(
            Reading("home.tank", "tank", n + 0.5, at + n)
            for n in range(first, first + 50_000)
        )
        await outbox.commit()
    await _choose(hass, entry, _CHOSEN)
    assert outbox.dropped
    issue_id = f"outbox_full_{entry.entry_id}_outbox"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue
    assert (issue.translation_placeholders or {})["dropped"] == str(outbox.dropped)
    assert outbox.oldest() == at + outbox.dropped
    assert len(outbox) + outbox.dropped == 400_000


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "wrong",
    [
        {"commit_interval": -1},
        {"commit_interval": 61},
        {"max_size": 9},
        {"max_size": 10_001},
        {"max_age": 0},
        {"max_age": 366},
    ],
    ids=str,
)
async def test_options_out_of_range_are_refused(
    hass: HomeAssistant, set_up: SetUp, wrong: dict[str, int]
) -> None:
    entry = await set_up()
    form = await _form(hass, entry)
    with pytest.raises(InvalidData) as refused:
        await hass.config_entries.options.async_configure(
            form["flow_id"], _CHOSEN | wrong
        )
    assert refused.value.schema_errors.keys() == wrong.keys()
    assert not entry.options
