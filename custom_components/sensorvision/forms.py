"""The forms that ask for a server or a broker and its credential."""

from homeassistant.const import (
    CONF_API_KEY,
    CONF_HOST,
    CONF_NAME,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_TOKEN,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from .client.capabilities import INDCLOUD, SENSORVISION
from .const import (
    CONF_AUTHORITY,
    CONF_CHECKS_TOKENS,
    CONF_CLIENT_CERTIFICATE,
    CONF_CLIENT_KEY,
    CONF_PREFIX,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
)

_MQTT_PORT = 1883
_MAX_PORT = 65535

_KEY_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)

_PASSWORD_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)

_PEM_SELECTOR = TextSelector(TextSelectorConfig(multiline=True))

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
    vol.Optional(CONF_AUTHORITY): _PEM_SELECTOR,
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

BROKER = vol.Schema(
    {
        vol.Required(CONF_NAME): TextSelector(),
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=_MQTT_PORT): NumberSelector(
            NumberSelectorConfig(min=1, max=_MAX_PORT, mode=NumberSelectorMode.BOX)
        ),
        vol.Optional(CONF_USERNAME): TextSelector(
            TextSelectorConfig(autocomplete="username")
        ),
        vol.Optional(CONF_PASSWORD): _PASSWORD_SELECTOR,
        vol.Required(CONF_TOPIC_PREFIX, default=INDCLOUD): SelectSelector(
            SelectSelectorConfig(
                options=[INDCLOUD, SENSORVISION], translation_key=CONF_TOPIC_PREFIX
            )
        ),
        vol.Required(CONF_CHECKS_TOKENS, default=True): BooleanSelector(),
        vol.Required(CONF_TLS, default=False): BooleanSelector(),
        **_TLS,
        vol.Optional(CONF_CLIENT_CERTIFICATE): _PEM_SELECTOR,
        vol.Optional(CONF_CLIENT_KEY): _PEM_SELECTOR,
    }
)

TOKEN = vol.Schema({vol.Required(CONF_TOKEN): _KEY_SELECTOR})

# What is left empty stays as it is.
KNOWN_TOKEN = vol.Schema({vol.Optional(CONF_TOKEN): _KEY_SELECTOR})
