"""The form that asks what to mirror, and what is wrong with what was entered."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_NAME, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TargetSelector,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from .attributes import ATTRIBUTES, SENSIBLE_ATTRIBUTES
from .choice import (
    DEFAULT_HEARTBEAT_MIN,
    DEFAULT_INTERVAL_S,
    Choice,
    FormedBy,
    When,
    is_glob,
    read_text,
)
from .const import (
    CONF_ATTRIBUTES,
    CONF_CHECKS_TOKENS,
    CONF_DELIVER_OVER,
    CONF_DIAGNOSTICS,
    CONF_DOMAINS,
    CONF_FORMED_BY,
    CONF_GLOBS,
    CONF_HEARTBEAT_MIN,
    CONF_HISTORY,
    CONF_HISTORY_DAYS,
    CONF_INTERVAL_S,
    CONF_LEAVE_OUT,
    CONF_MORE,
    CONF_SENDING,
    CONF_TARGET,
    CONF_TEXTS,
    CONF_VALUES,
    CONF_WHEN,
    OVER_HTTP,
    SUBENTRY_TYPE_BROKER,
)
from .delivering import keeps_times, may_send_past
from .provisioning import can_issue

_DAY_S = 24 * 60 * 60
_DAY_MIN = 24 * 60
_MAX_HISTORY_DAYS = 3650

_VALUES = {
    vol.Optional(CONF_ATTRIBUTES): SelectSelector(
        SelectSelectorConfig(
            options=list(ATTRIBUTES),
            multiple=True,
            mode=SelectSelectorMode.DROPDOWN,
            translation_key=CONF_ATTRIBUTES,
        )
    ),
    vol.Optional(CONF_TEXTS): TextSelector(TextSelectorConfig(multiple=True)),
}

_SENDING = {
    vol.Required(CONF_FORMED_BY, default=FormedBy.DEVICE): SelectSelector(
        SelectSelectorConfig(options=list(FormedBy), translation_key=CONF_FORMED_BY)
    ),
    vol.Required(CONF_WHEN, default=When.CHANGE): SelectSelector(
        SelectSelectorConfig(options=list(When), translation_key=CONF_WHEN)
    ),
    vol.Required(CONF_INTERVAL_S, default=DEFAULT_INTERVAL_S): NumberSelector(
        NumberSelectorConfig(
            min=1,
            max=_DAY_S,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfTime.SECONDS,
        )
    ),
    vol.Required(CONF_HEARTBEAT_MIN, default=DEFAULT_HEARTBEAT_MIN): NumberSelector(
        NumberSelectorConfig(
            min=0,
            max=_DAY_MIN,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfTime.MINUTES,
        )
    ),
}

_HISTORY = {
    vol.Required(CONF_HISTORY_DAYS, default=0): NumberSelector(
        NumberSelectorConfig(
            min=0,
            max=_MAX_HISTORY_DAYS,
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfTime.DAYS,
        )
    ),
}

# What a new mirror is unless told otherwise.
NEW_MIRROR = {CONF_VALUES: {CONF_ATTRIBUTES: list(SENSIBLE_ATTRIBUTES)}}


@callback
def mirror_schema(hass: HomeAssistant, entry: ConfigEntry) -> vol.Schema:
    """Return the form, which offers the domains and the brokers that there are."""
    entity_ids = {*er.async_get(hass).entities, *hass.states.async_entity_ids()}
    domains = SelectSelector(
        SelectSelectorConfig(
            options=sorted({entity_id.partition(".")[0] for entity_id in entity_ids}),
            multiple=True,
            mode=SelectSelectorMode.DROPDOWN,
            custom_value=True,
        )
    )
    patterns = {
        vol.Optional(CONF_DOMAINS): domains,
        vol.Optional(CONF_GLOBS): TextSelector(TextSelectorConfig(multiple=True)),
    }
    return vol.Schema(
        {
            vol.Required(CONF_NAME): TextSelector(),
            vol.Required(CONF_TARGET, default=dict): TargetSelector(),
            vol.Required(CONF_DIAGNOSTICS, default=False): BooleanSelector(),
            vol.Optional(CONF_MORE): section(vol.Schema(patterns), {"collapsed": True}),
            vol.Optional(CONF_LEAVE_OUT): section(
                vol.Schema({vol.Optional(CONF_TARGET): TargetSelector(), **patterns}),
                {"collapsed": True},
            ),
            vol.Optional(CONF_VALUES): section(
                vol.Schema(_VALUES), {"collapsed": True}
            ),
            vol.Optional(CONF_SENDING): section(
                vol.Schema({**_delivery(entry), **_SENDING}), {"collapsed": True}
            ),
        }
    )


@callback
def new_mirror_schema(hass: HomeAssistant, entry: ConfigEntry) -> vol.Schema:
    """Return the form of a new mirror, which may be asked for history too."""
    schema = mirror_schema(hass, entry)
    if not may_send_past(entry):
        return schema
    return schema.extend(
        {vol.Optional(CONF_HISTORY): section(vol.Schema(_HISTORY), {"collapsed": True})}
    )


def _delivery(entry: ConfigEntry) -> dict[vol.Marker, SelectSelector]:
    """Return the field that asks how to deliver, where there is a choice."""
    brokers = list(entry.get_subentries_of_type(SUBENTRY_TYPE_BROKER))
    if not brokers:
        return {}
    options = [
        SelectOptionDict(value=OVER_HTTP, label=OVER_HTTP),
        *(
            SelectOptionDict(value=broker.subentry_id, label=broker.title)
            for broker in brokers
        ),
    ]
    config = SelectSelectorConfig(options=options, translation_key=CONF_DELIVER_OVER)
    field = vol.Required(CONF_DELIVER_OVER, default=OVER_HTTP)
    return {field: SelectSelector(config)}


def shown_in_form(
    entered: Mapping[str, Any], errors: Mapping[str, str], entry: ConfigEntry
) -> dict[str, Any]:
    """Return of what was entered or saved what the form can show."""
    shown = dict(entered)
    if CONF_TARGET in errors:
        del shown[CONF_TARGET]
    if errors.get(CONF_LEAVE_OUT) == "target_unnamed":
        del shown[CONF_LEAVE_OUT]
    if _broker_id(entered) and _broker_id(entered) not in entry.subentries:
        shown[CONF_SENDING] = {**shown[CONF_SENDING], CONF_DELIVER_OVER: OVER_HTTP}
    return shown


def checking_broker(
    entry: ConfigEntry, user_input: Mapping[str, Any]
) -> ConfigSubentry | None:
    """Return the broker of a mirror if a person must tell the token that it needs."""
    broker = entry.subentries.get(_broker_id(user_input) or "")
    if broker is None or can_issue(entry) or not broker.data[CONF_CHECKS_TOKENS]:
        return None
    return broker


def _broker_id(user_input: Mapping[str, Any]) -> str | None:
    return Choice.of(user_input).broker_id


def malformed_fields(
    entry: ConfigEntry, user_input: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return what is wrong, beside its field or its section."""
    errors: dict[str, str] = {}
    if user_input is None:
        return errors
    if not Choice.of(user_input).include:
        errors[CONF_TARGET] = "target_empty"
    elif not _has_names(user_input[CONF_TARGET]):
        errors[CONF_TARGET] = "target_unnamed"
    if not _has_names(user_input.get(CONF_LEAVE_OUT, {}).get(CONF_TARGET, {})):
        errors[CONF_LEAVE_OUT] = "target_unnamed"
    if not all(map(read_text, user_input.get(CONF_VALUES, {}).get(CONF_TEXTS, ()))):
        errors[CONF_VALUES] = "invalid_text"
    for part in (CONF_MORE, CONF_LEAVE_OUT):
        if bad_globs({part: user_input.get(part, {})}):
            errors[part] = "invalid_glob"
    is_one_device = Choice.of(user_input).formed_by is FormedBy.MIRROR
    if checking_broker(entry, user_input) and not is_one_device:
        errors[CONF_SENDING] = "one_device_only"
    is_over_http = _broker_id(user_input) not in entry.subentries
    if _history_days(user_input) and is_over_http and not keeps_times(entry.data):
        errors[CONF_HISTORY] = "history_not_possible"
    return errors


def _has_names(target: Mapping[str, Any]) -> bool:
    """Tell what can be followed from templates and "all", which no name stands for."""
    return all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in target.values()
    )


def bad_globs(user_input: Mapping[str, Any]) -> list[str]:
    """Return the patterns that can match no entity id."""
    return [
        glob
        for part in (CONF_MORE, CONF_LEAVE_OUT)
        for glob in user_input.get(part, {}).get(CONF_GLOBS, ())
        if not is_glob(glob)
    ]


def _history_days(user_input: Mapping[str, Any]) -> float:
    days: float = user_input.get(CONF_HISTORY, {}).get(CONF_HISTORY_DAYS, 0)
    return days


def mirror_data(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mirror keeps of its form; its name is its title."""
    data = {key: value for key, value in user_input.items() if key != CONF_NAME}
    if not _history_days(user_input):
        data.pop(CONF_HISTORY, None)
    return data
