"""Names that several parts of the integration share."""

from typing import Final

DOMAIN: Final = "sensorvision"

CONF_PREFIX: Final = "prefix"
CONF_TARGET: Final = "target"

SUBENTRY_TYPE_MIRROR: Final = "mirror"

MAX_PREFIX_CHARS: Final = 24
