"""Ask for the server and for what to mirror."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    SubentryFlowContext,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import instance_id
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import slugify
import voluptuous as vol

from .client.http import normalize_url
from .connection import malformed_fields, tidied, try_connection
from .const import (
    CONF_CREDENTIAL,
    CONF_PREFIX,
    DOMAIN,
    MAX_PREFIX_CHARS,
    SUBENTRY_TYPE_MIRROR,
)
from .mirror_flow import MirrorSubentryFlow

_KEY = {
    vol.Required(CONF_API_KEY): TextSelector(
        TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
    )
}

_ACCOUNT = {
    vol.Required(CONF_USERNAME): TextSelector(
        TextSelectorConfig(autocomplete="username")
    ),
    vol.Required(CONF_PASSWORD): TextSelector(
        TextSelectorConfig(
            type=TextSelectorType.PASSWORD, autocomplete="current-password"
        )
    ),
}

_SERVER = {
    vol.Required(CONF_URL): TextSelector(
        TextSelectorConfig(type=TextSelectorType.URL, autocomplete="url")
    )
}

_REST = {
    vol.Required(CONF_PREFIX): TextSelector(),
    vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
}

_FORMS = {
    "key": vol.Schema({**_SERVER, **_KEY, **_REST}),
    "account": vol.Schema({**_SERVER, **_ACCOUNT, **_REST}),
    "reauth_key": vol.Schema(_KEY),
    "reauth_account": vol.Schema(_ACCOUNT),
}

_SECRETS = frozenset({CONF_API_KEY, CONF_PASSWORD})


class SensorVisionConfigFlow(ConfigFlow, domain=DOMAIN):
    """Connect a server."""

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what a server can hold: mirrors."""
        return {SUBENTRY_TYPE_MIRROR: MirrorSubentryFlow}

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which credential there is."""
        return self.async_show_menu(step_id="user", menu_options=["key", "account"])

    async def async_step_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for server, key and prefix, and try them."""
        return await self._connect("key", user_input)

    async def async_step_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for server, user name, password and prefix, and try them."""
        return await self._connect("account", user_input)

    async def _connect(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        if user_input is None:
            suggested = {CONF_PREFIX: await _suggest_prefix(self.hass)}
            return self._form(step_id, suggested)
        if errors := malformed_fields(user_input):
            return self._form(step_id, user_input, errors)
        data = tidied(user_input)
        # A form that was left open elsewhere must not stand in the way.
        await self.async_set_unique_id(_unique_id(data), raise_on_progress=False)
        self._abort_if_unique_id_configured()
        attempt = await try_connection(self.hass, data)
        if attempt.errors:
            return self._form(step_id, user_input, attempt.errors, attempt.message)
        return self.async_create_entry(title=self._title(data), data=attempt.data)

    def _form(
        self,
        step_id: str,
        suggested: Mapping[str, Any],
        errors: dict[str, str] | None = None,
        message: str = "",
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form; an error whose field it has not is shown above its fields."""
        schema = _FORMS[step_id]
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors={
                name if name in schema.schema else "base": error
                for name, error in (errors or {}).items()
            },
            description_placeholders={"message": message, **placeholders},
        )

    def _title(self, data: Mapping[str, Any]) -> str:
        """Name an entry after its server, and after its prefix where there are two."""
        host = str(normalize_url(data[CONF_URL]).host)
        if any(entry.title == host for entry in self._async_current_entries()):
            return f"{host} ({data[CONF_PREFIX]})"
        return host

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Offer the first mirror as soon as there is a server to mirror into."""
        mirror = await self.hass.config_entries.subentries.async_init(
            (result["result"].entry_id, SUBENTRY_TYPE_MIRROR),
            context=SubentryFlowContext(source=SOURCE_USER),
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, mirror["flow_id"])
        return result

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Begin to replace a credential that the server refuses."""
        if CONF_USERNAME in entry_data:
            return await self.async_step_reauth_account()
        return await self.async_step_reauth_key()

    async def async_step_reauth_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another key, of either kind, and try it."""
        return await self._replace_credential("reauth_key", user_input)

    async def async_step_reauth_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for user name and password, and try them."""
        return await self._replace_credential("reauth_account", user_input)

    async def _replace_credential(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        entry = self._get_reauth_entry()
        known = _without_secrets(user_input or entry.data)
        if user_input is None:
            return self._form(step_id, known, name=entry.title)
        data = {**entry.data, **user_input}
        if errors := malformed_fields(data):
            return self._form(step_id, known, errors, name=entry.title)
        data = tidied(data)
        if data.get(CONF_API_KEY) != entry.data.get(CONF_API_KEY):
            # The server tells which kind the new key is.
            data.pop(CONF_CREDENTIAL, None)
        attempt = await try_connection(self.hass, data)
        if attempt.errors:
            return self._form(
                step_id, known, attempt.errors, attempt.message, name=entry.title
            )
        if attempt.data == entry.data and entry.state is ConfigEntryState.LOADED:
            # Nothing changes, so that nobody else would say it.
            entry.runtime_data.reconnect()
        return self.async_update_and_abort(entry, data=attempt.data)


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what no two entries share: server and prefix."""
    url = normalize_url(data[CONF_URL])
    return f"{url.host}:{url.port}{url.path}#{data[CONF_PREFIX]}"


def _without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form may show of what is known."""
    return {key: value for key, value in data.items() if key not in _SECRETS}


async def _suggest_prefix(hass: HomeAssistant) -> str:
    """Return a prefix that nobody else is likely to have, and that stays the same."""
    suffix = (await instance_id.async_get(hass))[:4]
    name = slugify(hass.config.location_name, separator="-") or "home"
    return f"{name[: MAX_PREFIX_CHARS - len(suffix) - 1]}-{suffix}"
