"""Ask for the server and for what to mirror."""

from collections.abc import Mapping
import re
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
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import instance_id
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import slugify
import voluptuous as vol

from .client import (
    AsyncSensorVisionClient,
    AuthenticationError,
    CertificateError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    RedirectError,
    RequestTimeoutError,
    SensorVisionError,
    Timeouts,
    ValidationError,
)
from .client.http import normalize_url
from .client.protocol import check_token
from .const import (
    CONF_PREFIX,
    DOMAIN,
    MAX_PREFIX_CHARS,
    SUBENTRY_TYPE_MIRROR,
)
from .mirror_flow import MirrorSubentryFlow

# A person waits for the form.
_TIMEOUTS = Timeouts(connect_s=10, read_s=15, total_s=20)

_PREFIX = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_PREFIX_CHARS}}}")

_TOKEN_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)

_CONNECTION_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_URL): TextSelector(
            TextSelectorConfig(type=TextSelectorType.URL, autocomplete="url")
        ),
        vol.Required(CONF_API_KEY): _TOKEN_SELECTOR,
        vol.Required(CONF_PREFIX): TextSelector(),
        vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    }
)

_REAUTH_SCHEMA = vol.Schema({vol.Required(CONF_API_KEY): _TOKEN_SELECTOR})

# The first class that fits says which field is wrong and how.
_ERRORS: tuple[tuple[type[SensorVisionError], str, str], ...] = (
    (HostNotFoundError, CONF_URL, "host_not_found"),
    (CertificateError, CONF_VERIFY_SSL, "certificate"),
    (NotHttpError, CONF_URL, "not_http"),
    (RequestTimeoutError, CONF_URL, "timeout"),
    (NetworkError, CONF_URL, "cannot_connect"),
    (AuthenticationError, CONF_API_KEY, "invalid_auth"),
    (PermissionDeniedError, CONF_PREFIX, "prefix_taken"),
    (NotSensorVisionError, CONF_URL, "not_sensorvision"),
    (RedirectError, CONF_URL, "redirect"),
    (SensorVisionError, "base", "server_error"),
)


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
        """Ask for server, token and prefix, and try them."""
        errors: dict[str, str] = {}
        placeholders = {"message": ""}
        if user_input is not None:
            errors = _malformed_fields(user_input)
            if not errors:
                url = normalize_url(user_input[CONF_URL])
                data = {
                    **user_input,
                    CONF_URL: str(url),
                    CONF_API_KEY: check_token(user_input[CONF_API_KEY]),
                }
                # A form that was left open elsewhere must not stand in the way.
                await self.async_set_unique_id(
                    f"{url.host}:{url.port}{url.path}#{user_input[CONF_PREFIX]}",
                    raise_on_progress=False,
                )
                self._abort_if_unique_id_configured()
                errors, placeholders["message"] = await _try_connection(self.hass, data)
                if not errors:
                    return self.async_create_entry(title=self._title(data), data=data)
        suggested = user_input or {CONF_PREFIX: await _suggest_prefix(self.hass)}
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                _CONNECTION_SCHEMA, suggested
            ),
            errors=errors,
            description_placeholders=placeholders,
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
        """Begin to replace a token that the server refuses."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another token and try it."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        placeholders = {"name": entry.title, "message": ""}
        if user_input is not None:
            data = {**entry.data, **user_input}
            errors = _malformed_fields(data)
            if not errors:
                data[CONF_API_KEY] = check_token(data[CONF_API_KEY])
                errors, placeholders["message"] = await _try_connection(self.hass, data)
                # The form has no other field to show an error beside.
                errors = {
                    field if field == CONF_API_KEY else "base": error
                    for field, error in errors.items()
                }
                if not errors:
                    if data == entry.data and entry.state is ConfigEntryState.LOADED:
                        # Nothing changes, so that nobody else would say it.
                        entry.runtime_data.reconnect()
                    return self.async_update_and_abort(entry, data=data)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=_REAUTH_SCHEMA,
            errors=errors,
            description_placeholders=placeholders,
        )


def _malformed_fields(user_input: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be told to be wrong without asking the server."""
    errors = {}
    try:
        normalize_url(user_input[CONF_URL])
    except ValidationError:
        errors[CONF_URL] = "invalid_url"
    try:
        check_token(user_input[CONF_API_KEY])
    except ValidationError:
        errors[CONF_API_KEY] = "invalid_token"
    if not _PREFIX.fullmatch(user_input[CONF_PREFIX]):
        errors[CONF_PREFIX] = "invalid_prefix"
    return errors


async def _try_connection(
    hass: HomeAssistant, data: Mapping[str, Any]
) -> tuple[dict[str, str], str]:
    """Return the error beside its field, none if all is well, and what was said."""
    client = AsyncSensorVisionClient(
        data[CONF_URL],
        api_key=data[CONF_API_KEY],
        session=async_get_clientsession(hass, data[CONF_VERIFY_SSL]),
        timeouts=_TIMEOUTS,
    )
    try:
        await client.probe(data[CONF_PREFIX])
    except SensorVisionError as err:
        field, key = next(
            (field, key) for error, field, key in _ERRORS if isinstance(err, error)
        )
        return {field: key}, str(err)
    return {}, ""


async def _suggest_prefix(hass: HomeAssistant) -> str:
    """Return a prefix that nobody else is likely to have, and that stays the same."""
    suffix = (await instance_id.async_get(hass))[:4]
    name = slugify(hass.config.location_name, separator="-") or "home"
    return f"{name[: MAX_PREFIX_CHARS - len(suffix) - 1]}-{suffix}"
