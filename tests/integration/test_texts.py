"""States that are texts become the numbers that a person gives them."""

from homeassistant.core import HomeAssistant
import pytest

from custom_components.sensorvision.choice import read_text
from sandbox import Sandbox

from .conftest import SetUp
from .house import mirror_of, numbers, until


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("heat = 2", ("heat", 2)),
        ("fan only=0.5", ("fan only", 0.5)),
        ("a=b=-1", ("a=b", -1)),
        ("heat", None),
        ("heat = warm", None),
        ("= 2", None),
        ("heat = nan", None),
        ("heat = 1e14", None),
        ("", None),
    ],
)
def test_line_says_what_a_text_stands_for(
    line: str, expected: tuple[str, float] | None
) -> None:
    assert read_text(line) == expected


async def test_chosen_texts_are_sent_and_others_are_not(
    hass: HomeAssistant, sandbox: Sandbox, set_up: SetUp
) -> None:
    hass.states.async_set("climate.hall", "heat")
    target = {"entity_id": ["climate.hall"]}
    entry = await set_up(mirror_of({"target": target}))
    assert not entry.runtime_data.outbox
    [subentry] = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry,
        subentry,
        data={"target": target, "values": {"texts": ["heat = 2", "off = -1"]}},
    )
    await until(lambda: numbers(sandbox, "home.hall", "hall") == [2])
    hass.states.async_set("climate.hall", "dry")
    hass.states.async_set("climate.hall", "off")
    await until(lambda: numbers(sandbox, "home.hall", "hall") == [2, -1])
