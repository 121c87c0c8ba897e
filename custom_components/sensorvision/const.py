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

CONF_MIRRORING: Final = "mirroring"
CONF_COMMIT_INTERVAL_S: Final = "commit_interval"
CONF_MAX_SIZE_MB: Final = "max_size"
CONF_MAX_AGE_D: Final = "max_age"
CONF_FILL_GAPS: Final = "fill_gaps"

SUBENTRY_TYPE_MIRROR: Final = "mirror"

MAX_PREFIX_CHARS: Final = 24
