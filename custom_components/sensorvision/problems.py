"""Show what a person can mend as repair issues, for as long as it lasts."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .client import Capabilities, ServerAge
from .client.age import ANY_VARIABLE_SINCE, TOKENS_OWN_THEIR_DEVICES_SINCE
from .client.delivery import Status
from .client.outbox import Outbox
from .const import DOMAIN
from .names import UnitChange
from .routes import Route

ISSUE_DEVICE_REFUSED = "device_refused"
ISSUE_READING_REFUSED = "reading_refused"
ISSUE_TARGET_MISSING = "target_missing"
ISSUE_TOKEN_NEEDED = "device_token_needed"  # noqa: S105 - the key of a text

# Home Assistant can do something about these, and asks before it does.
_FIXABLE = frozenset(
    {
        ISSUE_DEVICE_REFUSED,
        ISSUE_READING_REFUSED,
        ISSUE_TARGET_MISSING,
        ISSUE_TOKEN_NEEDED,
    }
)

# Answers take a second or two, and their date has no fractions.
_CLOCK_LEEWAY_S = 60
_CLOCK_CHANGE_S = 30

# The others keep something from being mirrored; with this one nothing is.
_SEVERITIES = {"server_too_old": ir.IssueSeverity.ERROR}


class Missing(NamedTuple):
    """What a mirror's choice holds and Home Assistant no longer has."""

    subentry_id: str
    title: str
    names: tuple[str, ...]


class TooOld(NamedTuple):
    """What a server lacks that a credential needs.

    Attributes:
        key: the key of its text.
        needed: the day that the server's version has to be of.
    """

    key: str
    needed: str


def too_old(age: ServerAge, can: Capabilities) -> TooOld | None:
    """Return what a server is too old for, or None.

    A user is affected only where readings are lost: it makes its devices itself.
    """
    is_token = not can.create_devices
    if age.loses_readings:
        needed = TOKENS_OWN_THEIR_DEVICES_SINCE if is_token else ANY_VARIABLE_SINCE
        return TooOld("server_too_old", needed.isoformat())
    if age.misplaces_devices and is_token:
        needed = TOKENS_OWN_THEIR_DEVICES_SINCE
        return TooOld("server_too_old_for_tokens", needed.isoformat())
    return None


def shown_age(age: ServerAge | None) -> dict[str, Any] | None:
    """Return how old a server is as JSON can hold it, with what follows from that."""
    if age is None:
        return None
    return {
        "not_before": age.not_before and age.not_before.isoformat(),
        "before": age.before and age.before.isoformat(),
        "loses_readings": age.loses_readings,
        "misplaces_devices": age.misplaces_devices,
    }


class Problems:
    """The repair issues of one config entry."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Show none yet."""
        self._hass = hass
        self._entry = entry
        self._shown: dict[str, set[str]] = {}
        self._clock_offset_s = 0.0

    @callback
    def show_delivery(self, status: Status) -> None:
        """Show what the server refuses, what it is too old for, and a wrong clock."""
        self._show_clock(status.clock_offset_s or 0)
        lacks: dict[str, dict[str, dict[str, str]]] = {}
        if status.age and status.capabilities:
            lack = too_old(status.age, status.capabilities)
            lacks = {lack.key: {"server": {"needed": lack.needed}}} if lack else {}
        self._show("server_too_old", lacks.get("server_too_old", {}))
        self._show(
            "server_too_old_for_tokens", lacks.get("server_too_old_for_tokens", {})
        )
        refused = {
            device_id: {"device": device_id, "message": message}
            for device_id, message in status.refused_devices.items()
        }
        # Servers before January 2026 give a device that a token makes to others.
        lost = {
            device_id: refused.pop(device_id)
            for device_id in status.accepted_devices & refused.keys()
        }
        self._show(ISSUE_DEVICE_REFUSED, refused)
        self._show("device_lost", lost)

    def _show_clock(self, offset_s: float) -> None:
        """Show that the server's clock and Home Assistant's are not the same."""
        if abs(offset_s) <= _CLOCK_LEEWAY_S:
            self._clock_offset_s = 0
            self._show("clock_wrong", {})
        # Else it would be written anew with each answer.
        elif abs(offset_s - self._clock_offset_s) > _CLOCK_CHANGE_S:
            self._clock_offset_s = offset_s
            now = dt_util.utcnow()
            placeholders = {
                "difference": str(timedelta(seconds=round(abs(offset_s)))),
                "home_time": f"{now:%Y-%m-%d %H:%M:%S}",
                "server_time": f"{now + timedelta(seconds=offset_s):%Y-%m-%d %H:%M:%S}",
            }
            self._show("clock_wrong", {"clock": placeholders})

    @callback
    def show_routes(self, routes: Iterable[Route]) -> None:
        """Show what keeps readings from waiting safely and from being taken, anywhere."""
        found: dict[str, dict[str, dict[str, str]]] = {
            "outbox_unwritable": {},
            "outbox_damaged": {},
            "outbox_full": {},
            ISSUE_READING_REFUSED: {},
        }
        for route in routes:
            name, whose = route.broker_id or "outbox", {}
            if route.broker:
                whose = {"entry": f"{self._entry.title} ({route.broker.title})"}
            for key, placeholders in _outbox_problems(route.outbox).items():
                found[key][name] = {**whose, **placeholders}
            refused = route.status.refused_variables
            for (device_id, variable), message in refused.items():
                found[ISSUE_READING_REFUSED][f"{device_id}.{variable}"] = {
                    **whose,
                    "device": device_id,
                    "variable": variable,
                    "message": message,
                }
        self._show("outbox_unwritable", found["outbox_unwritable"])
        self._show("outbox_damaged", found["outbox_damaged"])
        self._show("outbox_full", found["outbox_full"])
        self._show(ISSUE_READING_REFUSED, found[ISSUE_READING_REFUSED])

    @callback
    def show_brokers_refused(self, brokers: Mapping[str, str]) -> None:
        """Show the brokers that refuse their credential: titles by subentries."""
        self._show(
            "broker_refused",
            {broker_id: {"broker": title} for broker_id, title in brokers.items()},
        )

    @callback
    def show_brokers_missing(self, mirrors: Mapping[str, str]) -> None:
        """Show the mirrors whose broker was removed: titles by subentries."""
        self._show(
            "broker_missing",
            {mirror_id: {"mirror": title} for mirror_id, title in mirrors.items()},
        )

    @callback
    def show_tokens_needed(self, device_ids: Iterable[str]) -> None:
        """Show the devices whose token only a person can tell."""
        self._show(
            ISSUE_TOKEN_NEEDED,
            {device_id: {"device": device_id} for device_id in device_ids},
        )

    @callback
    def show_missing(self, missing: Iterable[Missing]) -> None:
        """Show the mirrors whose choice holds things that no longer exist."""
        self._show(
            ISSUE_TARGET_MISSING,
            {
                subentry_id: {"mirror": title, "missing": ", ".join(names)}
                for subentry_id, title, names in missing
            },
        )

    @callback
    def show_unit_changes(self, changes: Iterable[UnitChange]) -> None:
        """Say where the numbers of an entity go on, until a person has taken note."""
        for change in changes:
            placeholders = {
                "entity": change.entity_id,
                "old_unit": change.old_unit,
                "new_unit": change.new_unit,
                "device": change.new.device_id,
                "old_variable": change.old.variable,
                "new_variable": change.new.variable,
            }
            name = ".".join(change.new)
            self._create("unit_changed", name, placeholders, is_for_a_person=True)

    @callback
    def clear(self) -> None:
        """Show nothing any more."""
        for key in list(self._shown):
            self._show(key, {})

    @callback
    def forget(self) -> None:
        """Take away what was to be shown until a person has taken note of it."""
        for domain, issue_id in list(ir.async_get(self._hass).issues):
            if domain == DOMAIN and self._entry.entry_id in issue_id:
                ir.async_delete_issue(self._hass, domain, issue_id)

    def _show(self, key: str, problems: Mapping[str, dict[str, str]]) -> None:
        shown = self._shown.get(key, set())
        for name in shown - problems.keys():
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(key, name))
        for name, placeholders in problems.items():
            self._create(key, name, placeholders)
        self._shown[key] = set(problems)

    def _create(
        self,
        key: str,
        name: str,
        placeholders: dict[str, str],
        *,
        is_for_a_person: bool = False,
    ) -> None:
        """Show an issue until it is over, or until a person has taken note of it."""
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(key, name),
            data={**placeholders, "entry_id": self._entry.entry_id, "name": name},
            is_fixable=is_for_a_person or key in _FIXABLE,
            is_persistent=is_for_a_person,
            severity=_SEVERITIES.get(key, ir.IssueSeverity.WARNING),
            translation_key=key,
            translation_placeholders={"entry": self._entry.title, **placeholders},
        )

    def _issue_id(self, key: str, name: str) -> str:
        return f"{key}_{self._entry.entry_id}_{name}"


def _outbox_problems(outbox: Outbox) -> dict[str, dict[str, str]]:
    """Return what keeps readings from waiting safely, by the keys of its texts."""
    problems: dict[str, dict[str, str]] = {}
    if outbox.problem:
        problems["outbox_unwritable"] = {"reason": outbox.problem}
    if mishap := outbox.mishap:
        problems["outbox_damaged"] = {
            "reason": mishap.reason,
            "file": mishap.kept_aside,
            "saved": str(mishap.saved),
        }
    if outbox.dropped:
        problems["outbox_full"] = {"dropped": str(outbox.dropped)}
    return problems
