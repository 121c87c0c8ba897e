"""Names that several parts of the integration share."""

from typing import Final

DOMAIN: Final = "sensorvision"

CONF_AUTHORITY: Final = "authority"
CONF_CREDENTIAL: Final = "credential"
CONF_PREFIX: Final = "prefix"
CONF_TARGET: Final = "target"
CONF_MORE: Final = "more"
CONF_LEAVE_OUT: Final = "leave_out"
CONF_DOMAINS: Final = "domains"
CONF_GLOBS: Final = "globs"
CONF_DIAGNOSTICS: Final = "diagnostics"
CONF_VALUES: Final = "values"
CONF_ATTRIBUTES: Final = "attributes"
CONF_TEXTS: Final = "texts"
CONF_SENDING: Final = "sending"
CONF_FORMED_BY: Final = "formed_by"
CONF_WHEN: Final = "when"
CONF_INTERVAL_S: Final = "interval"
CONF_HEARTBEAT_MIN: Final = "heartbeat"
CONF_DELIVER_OVER: Final = "deliver_over"

CONF_TLS: Final = "tls"
CONF_CLIENT_CERTIFICATE: Final = "client_certificate"
CONF_CLIENT_KEY: Final = "client_key"
CONF_TOPIC_PREFIX: Final = "topic_prefix"
CONF_CHECKS_TOKENS: Final = "checks_tokens"

CONF_HISTORY: Final = "history"
CONF_HISTORY_DAYS: Final = "days"

CONF_MIRRORING: Final = "mirroring"
CONF_COMMIT_INTERVAL_S: Final = "commit_interval"
CONF_MAX_SIZE_MB: Final = "max_size"
CONF_MAX_AGE_D: Final = "max_age"
CONF_FILL_GAPS: Final = "fill_gaps"

SUBENTRY_TYPE_BROKER: Final = "broker"
SUBENTRY_TYPE_MIRROR: Final = "mirror"

# How a mirror delivers that has no broker.
OVER_HTTP: Final = "http"

MAX_PREFIX_CHARS: Final = 24
