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
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import instance_id
from homeassistant.util import slugify

from .broker_flow import BrokerSubentryFlow
from .client import Probe
from .client.http import normalize_url
from .connection import (
    Attempt,
    is_overheard,
    malformed_fields,
    tidied,
    try_connection,
)
from .const import (
    CONF_CREDENTIAL,
    CONF_PREFIX,
    DOMAIN,
    MAX_PREFIX_CHARS,
    SUBENTRY_TYPE_BROKER,
    SUBENTRY_TYPE_MIRROR,
)
from .forms import FORMS
from .mirror_flow import MirrorSubentryFlow
from .options_flow import SensorVisionOptionsFlow
from .problems import too_old
from .runtime import SensorVisionConfigEntry

_SECRETS = frozenset({CONF_API_KEY, CONF_PASSWORD})


class SensorVisionConfigFlow(ConfigFlow, domain=DOMAIN):
    """Connect a server."""

    def __init__(self) -> None:
        """Begin with nothing entered."""
        # What waits for a word on clear text, and the URL for which it was given.
        self._asking_step = ""
        self._entered: dict[str, Any] = {}
        self._accepted_url = ""
        # What was tried and is good.
        self._connected: dict[str, Any] = {}

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what a server can hold: mirrors, and brokers that they deliver over."""
        return {
            SUBENTRY_TYPE_MIRROR: MirrorSubentryFlow,
            SUBENTRY_TYPE_BROKER: BrokerSubentryFlow,
        }

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return what asks how readings wait."""
        return SensorVisionOptionsFlow()

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
            suggested = self._entered or {CONF_PREFIX: await _suggest_prefix(self.hass)}
            return self._form(step_id, suggested)
        if errors := malformed_fields(user_input):
            return self._form(step_id, user_input, errors)
        data = tidied(user_input)
        # A form that was left open elsewhere must not stand in the way.
        await self.async_set_unique_id(_unique_id(data), raise_on_progress=False)
        self._abort_if_unique_id_configured()
        if self._must_ask(data):
            return await self._ask(step_id, user_input)
        attempt = await try_connection(self.hass, data)
        if attempt.probe is None:
            return self._form(step_id, user_input, attempt.errors, attempt.message)
        self._connected = attempt.data
        return self._show_what_it_can(attempt.probe)

    def _show_what_it_can(self, probe: Probe) -> ConfigFlowResult:
        """Say what the credential can do, and what the server is too old for."""
        lack = too_old(probe.age, probe.capabilities)
        return self.async_show_form(
            step_id=f"connected_{probe.credential}",
            errors={"base": lack.key} if lack else None,
            description_placeholders={
                "name": self._title(self._connected),
                "needed": lack.needed if lack else "",
            },
        )

    async def async_step_connected_device_token(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End with a device token, of which it was said what it can do."""
        return self._create()

    async def async_step_connected_user_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End with a user key, of which it was said what it can do."""
        return self._create()

    async def async_step_connected_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End with an account, of which it was said what it can do."""
        return self._create()

    def _create(self) -> ConfigFlowResult:
        """Create the entry, unless another form has done so meanwhile."""
        self._abort_if_unique_id_configured()
        return self.async_create_entry(
            title=self._title(self._connected), data=self._connected
        )

    def _must_ask(self, data: Mapping[str, Any]) -> bool:
        """Tell whether a person has yet to say that clear text will do."""
        return data[CONF_URL] != self._accepted_url and is_overheard(data[CONF_URL])

    async def _ask(self, step_id: str, entered: dict[str, Any]) -> ConfigFlowResult:
        self._asking_step, self._entered = step_id, entered
        return await self.async_step_clear_text()

    async def async_step_clear_text(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask before the credential is sent; the other way is back to the form."""
        return self.async_show_menu(
            step_id="clear_text",
            menu_options=[self._asking_step, "clear_text_accepted"],
            description_placeholders={"url": self._entered[CONF_URL]},
        )

    async def async_step_clear_text_accepted(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on with what was entered."""
        self._accepted_url = tidied(self._entered)[CONF_URL]
        if self._asking_step.startswith("reconfigure"):
            return await self._change(self._asking_step, self._entered)
        return await self._connect(self._asking_step, self._entered)

    def _form(
        self,
        step_id: str,
        suggested: Mapping[str, Any],
        errors: dict[str, str] | None = None,
        message: str = "",
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form; an error whose field it has not is shown above its fields."""
        schema = FORMS[step_id]
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

    def _retitled(self, entry: ConfigEntry, data: Mapping[str, Any]) -> str:
        """Return the title that an entry has with new data; one that a person gave stays."""
        old, new = (normalize_url(each[CONF_URL]).host for each in (entry.data, data))
        is_ours = entry.title in (old, f"{old} ({data[CONF_PREFIX]})")
        return self._title(data) if is_ours and new != old else entry.title

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
        _reconnect_unchanged(entry, attempt)
        return self.async_update_and_abort(entry, data=attempt.data)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which credential there is to be."""
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["reconfigure_key", "reconfigure_account"],
            description_placeholders={"name": self._get_reconfigure_entry().title},
        )

    async def async_step_reconfigure_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the server and, if it is another one, the key, and try them."""
        return await self._change("reconfigure_key", user_input)

    async def async_step_reconfigure_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the server, user name and, if it is another one, the password."""
        return await self._change("reconfigure_account", user_input)

    async def _change(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        entry = self._get_reconfigure_entry()
        known = user_input or self._entered or _without_secrets(entry.data)
        if user_input is None:
            return self._form(step_id, known)
        data = _changed(entry.data, user_input)
        if errors := malformed_fields(data):
            return self._form(step_id, known, errors)
        data = tidied(data)
        unique_id = _unique_id(data)
        if any(
            other.unique_id == unique_id and other is not entry
            for other in self._async_current_entries()
        ):
            return self.async_abort(reason="already_configured")
        if self._must_ask(data):
            return await self._ask(step_id, user_input)
        attempt = await try_connection(self.hass, data)
        if attempt.errors:
            return self._form(step_id, known, attempt.errors, attempt.message)
        _reconnect_unchanged(entry, attempt)
        return self.async_update_and_abort(
            entry,
            unique_id=unique_id,
            title=self._retitled(entry, data),
            data=attempt.data,
        )


def _reconnect_unchanged(entry: SensorVisionConfigEntry, attempt: Attempt) -> None:
    """Connect anew at once where nothing changes, so that nobody else would say it."""
    if attempt.data == entry.data and entry.state is ConfigEntryState.LOADED:
        entry.runtime_data.reconnect()


def _changed(old: Mapping[str, Any], entered: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was entered, and where a secret was left empty, the one there was."""
    secret = CONF_PASSWORD if CONF_USERNAME in entered else CONF_API_KEY
    data = {CONF_PREFIX: old[CONF_PREFIX], **entered}
    data[secret] = entered.get(secret) or old.get(secret, "")
    if secret == CONF_API_KEY and data[secret] == old.get(secret):
        data[CONF_CREDENTIAL] = old.get(CONF_CREDENTIAL)
    return data


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
