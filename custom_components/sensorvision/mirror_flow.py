"""Ask what to mirror."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
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
)
from .delivering import keeps_times
from .preview import preview as preview_choice
from .preview_text import in_words

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


class MirrorSubentryFlow(ConfigSubentryFlow):
    """Choose what to mirror, and look at it before it is saved."""

    def __init__(self) -> None:
        """Begin with nothing entered."""
        self._entered: dict[str, Any] = {}

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new mirror's name and choice."""
        errors = _errors(user_input)
        if user_input is not None and not errors:
            self._entered = user_input
            return await self.async_step_preview()
        shown = user_input or self._entered or NEW_MIRROR
        return self._show_form("user", shown, errors)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for another name or choice of a mirror."""
        subentry = self._get_reconfigure_subentry()
        errors = _errors(user_input)
        if user_input is not None and not errors:
            self._entered = user_input
            return await self.async_step_preview()
        saved = {CONF_NAME: subentry.title, **subentry.data}
        shown = user_input or self._entered or saved
        return self._show_form("reconfigure", shown, errors)

    async def async_step_preview(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what would be sent now; the other way is back to the form."""
        preview = await preview_choice(
            self.hass,
            self._get_entry(),
            Choice.of(_data(self._entered)),
            title=self._entered[CONF_NAME],
            subentry_id=self._reconfigured_id(),
        )
        is_new = self.source == SOURCE_USER
        return self.async_show_menu(
            step_id="preview" if preview.rows else "preview_empty",
            menu_options=["save", "user" if is_new else "reconfigure"],
            description_placeholders={
                "name": self._entered[CONF_NAME],
                **await in_words(self.hass, preview),
            },
        )

    async def async_step_preview_empty(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Look again: there may be something to send by now."""
        return await self.async_step_preview()

    async def async_step_save(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep what was entered."""
        title, data = self._entered[CONF_NAME], _data(self._entered)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=data)
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
        )

    def _reconfigured_id(self) -> str | None:
        if self.source == SOURCE_USER:
            return None
        return self._get_reconfigure_subentry().subentry_id

    def _show_form(
        self, step_id: str, shown: Mapping[str, Any], errors: dict[str, str]
    ) -> SubentryFlowResult:
        suggested = dict(shown)
        # The selector could not show them.
        if CONF_TARGET in errors:
            del suggested[CONF_TARGET]
        if errors.get(CONF_LEAVE_OUT) == "target_unnamed":
            del suggested[CONF_LEAVE_OUT]
        schema = _schema(self.hass)
        if self.source == SOURCE_USER and keeps_times(self._get_entry().data):
            schema = schema.extend(
                {
                    vol.Optional(CONF_HISTORY): section(
                        vol.Schema(_HISTORY), {"collapsed": True}
                    )
                }
            )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors=errors,
            description_placeholders={"globs": ", ".join(_bad_globs(shown))},
        )


@callback
def _schema(hass: HomeAssistant) -> vol.Schema:
    """Return the form, which offers the domains that there are."""
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
                vol.Schema(_SENDING), {"collapsed": True}
            ),
        }
    )


def _errors(user_input: Mapping[str, Any] | None) -> dict[str, str]:
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
        if _bad_globs({part: user_input.get(part, {})}):
            errors[part] = "invalid_glob"
    return errors


def _has_names(target: Mapping[str, Any]) -> bool:
    """Tell what can be followed from templates and "all", which no name stands for."""
    return all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in target.values()
    )


def _bad_globs(user_input: Mapping[str, Any]) -> list[str]:
    return [
        glob
        for part in (CONF_MORE, CONF_LEAVE_OUT)
        for glob in user_input.get(part, {}).get(CONF_GLOBS, ())
        if not is_glob(glob)
    ]


def _data(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mirror keeps of its form; its name is its title."""
    data = {key: value for key, value in user_input.items() if key != CONF_NAME}
    if not data.get(CONF_HISTORY, {}).get(CONF_HISTORY_DAYS):
        data.pop(CONF_HISTORY, None)
    return data
