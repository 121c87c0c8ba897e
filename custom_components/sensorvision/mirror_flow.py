"""Ask what to mirror."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME, CONF_TOKEN

from .choice import Choice
from .client import ValidationError
from .client.protocol import check_token
from .forms import KNOWN_TOKEN, TOKEN
from .mirror_form import (
    NEW_MIRROR,
    bad_globs,
    checking_broker,
    malformed_fields,
    mirror_data,
    mirror_schema,
    new_mirror_schema,
    shown_in_form,
)
from .preview import preview as preview_choice
from .preview_text import in_words
from .runtime import tokens_of


class MirrorSubentryFlow(ConfigSubentryFlow):
    """Choose what to mirror, and look at it before it is saved."""

    def __init__(self) -> None:
        """Begin with nothing entered."""
        self._entered: dict[str, Any] = {}
        # The only device of a mirror whose broker wants that one's token.
        self._device_id: str | None = None

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new mirror's name and choice."""
        errors = malformed_fields(self._get_entry(), user_input)
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
        errors = malformed_fields(self._get_entry(), user_input)
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
            Choice.of(mirror_data(self._entered)),
            title=self._entered[CONF_NAME],
            subentry_id=self._reconfigured_id(),
        )
        self._device_id = None
        if preview.rows and checking_broker(self._get_entry(), self._entered):
            self._device_id = preview.rows[0].device_id
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
        """Keep what was entered, once there is the token that it takes."""
        if self._device_id:
            return await self.async_step_token()
        return self._save()

    async def async_step_token(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the token of the mirror's only device."""
        device_id = self._device_id or ""
        tokens = await tokens_of(self.hass, self._get_entry())
        is_known = tokens.of(device_id) is not None
        errors: dict[str, str] = {}
        if user_input is not None:
            entered = user_input.get(CONF_TOKEN, "")
            try:
                if entered or not is_known:
                    await tokens.keep(device_id, check_token(entered))
            except ValidationError:
                errors[CONF_TOKEN] = "invalid_token"
            else:
                return self._save()
        return self.async_show_form(
            step_id="token",
            data_schema=KNOWN_TOKEN if is_known else TOKEN,
            errors=errors,
            description_placeholders={"device": device_id},
        )

    def _save(self) -> SubentryFlowResult:
        """Keep what was entered."""
        title, data = self._entered[CONF_NAME], mirror_data(self._entered)
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
        entry = self._get_entry()
        form = new_mirror_schema if self.source == SOURCE_USER else mirror_schema
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                form(self.hass, entry), shown_in_form(shown, errors, entry)
            ),
            errors=errors,
            description_placeholders={"globs": ", ".join(bad_globs(shown))},
        )
