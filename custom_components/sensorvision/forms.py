"""The forms that ask for a server and its credential, by their steps."""

from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from .const import CONF_AUTHORITY, CONF_PREFIX

_KEY_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)

_PASSWORD_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)

_KEY = {vol.Required(CONF_API_KEY): _KEY_SELECTOR}

_USERNAME = {
    vol.Required(CONF_USERNAME): TextSelector(
        TextSelectorConfig(autocomplete="username")
    )
}

_ACCOUNT = {**_USERNAME, vol.Required(CONF_PASSWORD): _PASSWORD_SELECTOR}

_SERVER = {
    vol.Required(CONF_URL): TextSelector(
        TextSelectorConfig(type=TextSelectorType.URL, autocomplete="url")
    )
}

_PREFIX = {vol.Required(CONF_PREFIX): TextSelector()}

_TLS = {
    vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    vol.Optional(CONF_AUTHORITY): TextSelector(TextSelectorConfig(multiline=True)),
}

FORMS = {
    "key": vol.Schema({**_SERVER, **_KEY, **_PREFIX, **_TLS}),
    "account": vol.Schema({**_SERVER, **_ACCOUNT, **_PREFIX, **_TLS}),
    "reauth_key": vol.Schema(_KEY),
    "reauth_account": vol.Schema(_ACCOUNT),
    # What is left empty stays as it is.
    "reconfigure_key": vol.Schema(
        {**_SERVER, vol.Optional(CONF_API_KEY): _KEY_SELECTOR, **_TLS}
    ),
    "reconfigure_account": vol.Schema(
        {
            **_SERVER,
            **_USERNAME,
            vol.Optional(CONF_PASSWORD): _PASSWORD_SELECTOR,
            **_TLS,
        }
    ),
}
