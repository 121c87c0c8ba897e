"""The guide for users: its examples run, and it leaves out nothing that people meet."""

from datetime import timedelta
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.sensorvision.attributes import ATTRIBUTES, SENSIBLE_ATTRIBUTES
from custom_components.sensorvision.choice import is_glob
from sandbox import Sandbox
from tests.brokers import free_port

from .brokers import broker
from .conftest import SetUp
from .house import House, mirror, numbers, until
from .test_translations import TEXTS

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "home-assistant.md").read_text()
ENTRY_ID = "01JD0000000000000000000000"

_PROSE = re.sub(r"```.*?```", "", GUIDE, flags=re.DOTALL)
_EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL)


def anchors(page: str) -> set[str]:
    """Return what may stand behind the # of a link to a page."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def _example(of: str, entry: MockConfigEntry) -> dict[str, Any]:
    """Return the only example that a text stands in, with the entry of a reader."""
    [example] = [example for example in _EXAMPLES if of in example]
    parsed = parse_yaml(example.replace(ENTRY_ID, entry.entry_id))
    assert isinstance(parsed, dict)
    return parsed


async def _automate(hass: HomeAssistant, example: dict[str, Any]) -> str:
    """Let Home Assistant follow an example, as a person has pasted it."""
    config = {"automation": [example | {"alias": "Example"}]}
    assert await async_setup_component(hass, "automation", config)
    [state] = hass.states.async_all("automation")
    assert state.state == "on"
    return state.entity_id


async def _act(hass: HomeAssistant, example: dict[str, Any]) -> dict[str, Any]:
    """Run an example as a script, and return its response."""
    sequence = [example]
    if answer := example.get("response_variable"):
        sequence.append({"stop": "Done", "response_variable": answer})
    config = {"script": {"example": {"sequence": sequence}}}
    assert await async_setup_component(hass, "script", config)
    response = await hass.services.async_call(
        "script", "example", blocking=True, return_response=bool(answer)
    )
    return dict(response or {})


def test_links_lead_somewhere() -> None:
    """Within the guide, and to the pages beside it."""
    links = re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", GUIDE)
    assert len(links) > 20
    for page, anchor in links:
        assert (DOCS / page).exists()
        if anchor:
            target = DOCS / page if page else DOCS / "home-assistant.md"
            assert anchor in anchors(target.read_text()), anchor


def test_every_part_is_in_the_contents() -> None:
    """In their order."""
    head, _, body = _PROSE.partition("\n## ")
    parts = re.findall(r"^## (.+)$", f"## {body}", flags=re.MULTILINE)
    assert re.findall(r"^- \[(.+)\]\(#", head, flags=re.MULTILINE) == parts


@pytest.mark.parametrize("step", ["key", "account"])
def test_every_field_of_a_connection_is_explained(step: str) -> None:
    """By the name that it has in the form."""
    for label in TEXTS["config"]["step"][step]["data"].values():
        assert label.lower() in _PROSE.lower()


def test_every_field_of_a_broker_is_explained() -> None:
    """By the name that it has in the form."""
    part = _PROSE[_PROSE.index("## Deliver over MQTT") :]
    for label in TEXTS["config_subentries"]["broker"]["step"]["user"]["data"].values():
        assert f"\n| {label} |" in part[: part.index("\n## ")], label


def test_every_field_of_a_mirror_is_explained() -> None:
    """By the name that it has in the form, or that of its section."""
    form = TEXTS["config_subentries"]["mirror"]["step"]["user"]
    told = dict(form["data"])
    for key, section in form["sections"].items():
        told[key] = section["name"]
        if key in {"values", "sending", "history"}:
            told |= section["data"]
    assert len(told) == 16
    for label in told.values():
        assert re.search(rf"^\|.*\b{label}\b", _PROSE, re.MULTILINE | re.IGNORECASE), (
            label
        )


def test_every_option_is_explained() -> None:
    """With the default of each number."""
    part = _PROSE[_PROSE.index("### How readings wait") :]
    labels = TEXTS["options"]["step"]["init"]["data"]
    assert len(labels) == 4
    for label in labels.values():
        assert re.search(rf"^\| {label} \| .*unless you change it", part, re.MULTILINE)


def test_every_attribute_is_listed_and_those_that_are_sent_at_first() -> None:
    """A domain in each line, the preselected ones in bold."""
    listed, bold = [], []
    part = _PROSE[_PROSE.index("### Attributes") : _PROSE.index("### Units")]
    for domain, attributes in re.findall(
        r"^\| `(\w+)` \| (.+) \|$", part, re.MULTILINE
    ):
        listed += [f"{domain}-{name}" for name in re.findall(r"`(\w+)`", attributes)]
        bold += [
            f"{domain}-{name}" for name in re.findall(r"\*\*`(\w+)`\*\*", attributes)
        ]
    assert sorted(listed) == sorted(ATTRIBUTES)
    assert sorted(bold) == sorted(SENSIBLE_ATTRIBUTES)


def test_every_entity_is_listed() -> None:
    """By the name that a person sees."""
    names = [
        entity["name"]
        for platform in TEXTS["entity"].values()
        for entity in platform.values()
    ]
    assert len(names) > 10
    for name in (*names, "Connectivity"):
        assert f"\n| {name} |" in _PROSE, name


def test_every_repair_notice_has_a_remedy() -> None:
    """Whoever searches the guide for the notice finds it."""
    assert len(TEXTS["issues"]) > 8
    for issue in TEXTS["issues"].values():
        title = re.sub(r"\{\w+\}", "…", issue["title"])
        assert f"Repair: *{title}*" in _PROSE, title


def test_patterns_of_the_examples_can_be_entered() -> None:
    """Each is one that the form takes."""
    part = _PROSE[_PROSE.index("## Examples of mirrors") :]
    globs = re.findall(r"`([^`\n]*\*[^`\n]*)`", part[: part.index("\n## ")])
    assert len(globs) == 6
    assert all(map(is_glob, globs))


async def test_message_is_sent_when_the_delivery_fails_and_not_when_it_recovers(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """With the problem in words."""
    messages = async_mock_service(hass, "notify", "notify")
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await _automate(hass, _example("event.sensorvision_delivery", entry))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: messages)
    sandbox.faults.clear()
    await until(lambda: entry.runtime_data.status.delivered == 2)
    await hass.async_block_till_done()
    [message] = messages
    assert "503" in message.data["message"]


async def test_message_is_sent_when_an_outage_lasts(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """Ten minutes, and then it says how much waits."""
    messages = async_mock_service(hass, "notify", "notify")
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await _automate(hass, _example('for: "00:10:00"', entry))
    await until(lambda: entry.runtime_data.status.delivered == 1)
    sandbox.faults.set("http_503")
    hass.states.async_set("sensor.tank", "71")
    await until(lambda: entry.runtime_data.status.is_connected is False)
    await hass.async_block_till_done()
    soon = dt_util.utcnow()
    async_fire_time_changed(hass, soon + timedelta(minutes=9))
    await hass.async_block_till_done()
    assert not messages
    async_fire_time_changed(hass, soon + timedelta(minutes=11))
    await until(lambda: messages)
    assert "1 readings wait" in messages[0].data["message"]
    sandbox.faults.clear()


async def test_nothing_is_sent_over_a_metered_connection(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp, house: House
) -> None:
    """And afterwards everything as it is then."""
    house.entity("sensor.tank", "70")
    entry = await set_up(mirror(entity_id=["sensor.tank"]))
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70])
    hass.states.async_set("binary_sensor.on_mobile_data", "off")
    await _automate(hass, _example("on_mobile_data", entry))
    hass.states.async_set("binary_sensor.on_mobile_data", "on")
    await until(lambda: not entry.runtime_data.is_mirroring)
    hass.states.async_set("sensor.tank", "71")
    await hass.async_block_till_done()
    hass.states.async_set("sensor.tank", "72")
    hass.states.async_set("binary_sensor.on_mobile_data", "off")
    await until(lambda: numbers(sandbox, "home.tank", "tank") == [70, 72])


async def test_what_is_no_entity_is_sent_every_quarter_of_an_hour(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """The number of lights that are on."""
    for light, state in (("hall", "on"), ("attic", "off"), ("porch", "on")):
        hass.states.async_set(f"light.{light}", state)
    entry = await set_up()
    automation = await _automate(hass, _example("lights_on", entry))
    now = dt_util.utcnow().replace(minute=14, second=59)
    async_fire_time_changed(hass, now + timedelta(hours=1, seconds=1))
    await until(lambda: numbers(sandbox, "home.counts", "lights_on") == [2])
    # It would go on for ever.
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": automation}, blocking=True
    )


async def test_sent_example_arrives(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    """With the number that the template has found."""
    hass.states.async_set("input_number.soil", "42.5")
    entry = await set_up()
    await _act(hass, _example("soil_moisture", entry))
    assert numbers(sandbox, "home.garden", "soil_moisture") == [42.5]
    assert numbers(sandbox, "home.garden", "rain_today") == [1.4]


@pytest.mark.usefixtures("sandbox")
async def test_example_of_sending_now_runs(hass: HomeAssistant, set_up: SetUp) -> None:
    """It asks the server anew."""
    entry = await set_up()
    await until(lambda: entry.runtime_data.status.age)
    entry.runtime_data.status.age = None
    await _act(hass, _example("sensorvision.flush", entry))
    await until(lambda: entry.runtime_data.status.age)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("action", ["status", "preview", "retry_refused"])
async def test_everything_that_an_action_returns_is_explained(
    hass: HomeAssistant, set_up: SetUp, house: House, action: str
) -> None:
    """By its name."""
    house.entity("sensor.tank", "70")
    entry = await set_up(broker(free_port()), mirror(entity_id=["sensor.tank"]))
    await until(lambda: entry.runtime_data.status.capabilities)
    response = await _act(hass, _example(f"sensorvision.{action}", entry))
    told = set(response)
    for inner in ("can", "server"):
        told |= set(response.get(inner, ()))
    for previewed in response.get("mirrors", ()):
        told |= set(previewed)
    for shown in response.get("brokers", ()):
        told |= set(shown)
    assert len(told) > 1
    assert {name for name in told if f"`{name}`" not in _PROSE} == set()


def test_every_example_is_run_by_a_test() -> None:
    """One that is added needs a test of its own above, or in `history`."""
    assert len(_EXAMPLES) == 11
