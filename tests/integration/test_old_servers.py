"""Servers of last year: everything arrives, or it is said exactly what is missing."""

from dataclasses import replace
from typing import Any, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.sensorvision.const import DOMAIN
from sandbox import Sandbox
from sandbox.settings import Mode

from .conftest import ALICE, SETTINGS, SetUp
from .house import House, mirror, numbers, until
from .test_problems import shown_issues

OLD_NEEDED = "2025-12-06"
TOKEN_NEEDED = "2026-01-18"


class Said(NamedTuple):
    """What is said of a server, and what arrives there.

    Attributes:
        issue: the issue that is shown, or None.
        needed: the version that it asks for.
        before: what the status action says of the server's age.
        arrived: which of 70, 71 the server has in the end.
    """

    issue: str | None
    needed: str
    before: str
    arrived: list[float]


_FOR_TOKENS = Said("server_too_old_for_tokens", TOKEN_NEEDED, TOKEN_NEEDED, [70, 71])
_FOR_USERS = Said(None, "", TOKEN_NEEDED, [70, 71])

CASES = {
    (Mode.BEFORE_2026_01_18, "token"): _FOR_TOKENS._replace(arrived=[70]),
    (Mode.BEFORE_2026_01_18, "account"): _FOR_USERS,
    (Mode.BEFORE_2025_12_06, "token"): _FOR_TOKENS._replace(arrived=[]),
    (Mode.BEFORE_2025_12_06, "account"): Said(
        "server_too_old", OLD_NEEDED, OLD_NEEDED, []
    ),
    (Mode.NO_CONNECTIVITY, "token"): Said(
        "server_too_old", TOKEN_NEEDED, "2025-12-04", [70, 71]
    ),
    (Mode.NO_CONNECTIVITY, "account"): Said(
        "server_too_old", OLD_NEEDED, "2025-12-04", [70, 71]
    ),
    (Mode.BEFORE_2025_11_23, "token"): _FOR_TOKENS,
    (Mode.BEFORE_2025_11_23, "account"): _FOR_USERS,
    (Mode.BEFORE_2025_11_22, "token"): _FOR_TOKENS,
    (Mode.BEFORE_2025_11_22, "account"): _FOR_USERS,
}


async def _status(hass: HomeAssistant, entry_id: str) -> dict[str, Any]:
    found = await hass.services.async_call(
        DOMAIN,
        "status",
        {"config_entry_id": entry_id},
        blocking=True,
        return_response=True,
    )
    assert found
    return dict(found)


def test_every_mode_is_tried_with_both_credentials() -> None:
    assert CASES.keys() == {(mode, by) for mode in Mode for by in ("token", "account")}


@pytest.mark.parametrize(("mode", "by"), CASES)
async def test_old_server_works_or_says_what_is_missing(
    hass: HomeAssistant, set_up: SetUp, house: House, mode: Mode, by: str
) -> None:
    """And no longer when it has been updated."""
    said = CASES[mode, by]
    house.entity("sensor.tank", "70")
    async with Sandbox(replace(SETTINGS, modes=frozenset({mode}))) as old:
        credential = ALICE if by == "account" else {}
        entry = await set_up(
            mirror(entity_id=["sensor.tank"]), url=old.url, **credential
        )
        status = entry.runtime_data.status
        await until(lambda: status.delivered == 1)
        hass.states.async_set("sensor.tank", "71")
        await until(lambda: status.delivered == 2 or status.refused_devices)
        await until(lambda: status.age)

        issues = dict(shown_issues(hass))
        is_lost = said.arrived == [70]
        assert issues.pop("device_lost", None) if is_lost else True
        expected = {"entry": "127.0.0.1", "needed": said.needed}
        assert issues == ({said.issue: expected} if said.issue else {})
        server = (await _status(hass, entry.entry_id))["server"]
        assert server["before"] == said.before
        assert server["loses_readings"] is (said.issue == "server_too_old")
        assert server["misplaces_devices"]
        assert numbers(old, "home.tank", "tank") == said.arrived
        owner = old.store.device("home.tank")
        assert owner
        is_ours = owner.organization_id == old.store.organization_id("Organization A")
        assert is_ours is not is_lost

        old.context.switch_modes(frozenset())
        entry.runtime_data.flush()
        await until(lambda: status.age and not status.age.misplaces_devices)
        assert not {key for key, _ in shown_issues(hass)} - {"device_lost"}
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("mode", "severity"),
    [
        (Mode.NO_CONNECTIVITY, ir.IssueSeverity.ERROR),
        (Mode.BEFORE_2026_01_18, ir.IssueSeverity.WARNING),
    ],
)
async def test_loss_is_graver_than_what_can_be_helped(
    hass: HomeAssistant, set_up: SetUp, mode: Mode, severity: ir.IssueSeverity
) -> None:
    async with Sandbox(replace(SETTINGS, modes=frozenset({mode}))) as old:
        entry = await set_up(url=old.url)
        await until(lambda: entry.runtime_data.status.age)
        [issue] = ir.async_get(hass).issues.values()
        assert issue.severity is severity
        assert await hass.config_entries.async_unload(entry.entry_id)
