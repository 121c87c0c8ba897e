"""Ask for a broker that mirrors can deliver over."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PASSWORD, CONF_USERNAME

from .broker_connection import malformed_fields, tidied, try_broker
from .client import SensorVisionError, Timeouts
from .connection import is_strange, load_authority, open_client
from .const import (
    CONF_CLIENT_CERTIFICATE,
    CONF_CLIENT_KEY,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
)
from .forms import BROKER

# A person waits for the form, which can do without the server.
_TIMEOUTS = Timeouts(connect_s=3, read_s=3, total_s=5)

# Each with what it is of no use without.
_SECRETS = {CONF_PASSWORD: CONF_USERNAME, CONF_CLIENT_KEY: CONF_CLIENT_CERTIFICATE}


class BrokerSubentryFlow(ConfigSubentryFlow):
    """Connect a broker, and try it before it is saved."""

    def __init__(self) -> None:
        """Begin with nothing entered."""
        self._entered: dict[str, Any] = {}
        # For which clear text was said to do.
        self._accepted_host = ""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new broker."""
        if user_input is None:
            return self._form("user", self._entered or await self._suggested())
        return await self._connect("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for what is to be changed of a broker; secrets left empty stay."""
        if user_input is None:
            subentry = self._get_reconfigure_subentry()
            saved = {CONF_NAME: subentry.title, **subentry.data}
            return self._form("reconfigure", self._entered or saved)
        return await self._connect("reconfigure", user_input)

    async def async_step_clear_text(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask before anything is sent; the other way is back to the form."""
        return self.async_show_menu(
            step_id="clear_text",
            menu_options=[self._form_step, "clear_text_accepted"],
            description_placeholders={"host": self._entered[CONF_HOST]},
        )

    async def async_step_clear_text_accepted(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Go on with what was entered."""
        self._accepted_host = self._entered[CONF_HOST].strip()
        return await self._connect(self._form_step, self._entered)

    @property
    def _form_step(self) -> str:
        return "user" if self.source == SOURCE_USER else "reconfigure"

    async def _connect(
        self, step_id: str, user_input: dict[str, Any]
    ) -> SubentryFlowResult:
        data = self._with_kept_secrets(user_input)
        if errors := malformed_fields(data):
            return self._form(step_id, user_input, errors)
        title = data.pop(CONF_NAME)
        data = tidied(data)
        if self._must_ask(data):
            self._entered = user_input
            return await self.async_step_clear_text()
        errors, message = await try_broker(self.hass, data)
        if errors:
            return self._form(step_id, user_input, errors, message)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=data)
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
        )

    def _must_ask(self, data: Mapping[str, Any]) -> bool:
        """Tell whether a person has yet to say that clear text will do."""
        host = data[CONF_HOST]
        is_overheard = not data[CONF_TLS] and is_strange(host)
        return is_overheard and host != self._accepted_host

    def _with_kept_secrets(self, user_input: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was entered, with the secrets there were in place of empty ones."""
        data = dict(user_input)
        if self.source == SOURCE_USER:
            return data
        saved = self._get_reconfigure_subentry().data
        for secret, needed in _SECRETS.items():
            if not data.get(secret) and data.get(needed) and secret in saved:
                data[secret] = saved[secret]
        return data

    def _form(
        self,
        step_id: str,
        shown: Mapping[str, Any],
        errors: dict[str, str] | None = None,
        message: str = "",
    ) -> SubentryFlowResult:
        suggested = {key: value for key, value in shown.items() if key not in _SECRETS}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(BROKER, suggested),
            errors=errors or {},
            description_placeholders={"message": message},
        )

    async def _suggested(self) -> dict[str, Any]:
        """Return what the server gives away of its topics, if it can be asked now."""
        data = self._get_entry().data
        await load_authority(self.hass, data)
        try:
            info = await open_client(self.hass, data, _TIMEOUTS).server_info()
        except SensorVisionError:
            return {}
        return {CONF_TOPIC_PREFIX: info.mqtt_prefix} if info.mqtt_prefix else {}
