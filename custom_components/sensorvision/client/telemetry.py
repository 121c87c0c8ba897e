"""A device's telemetry as it goes over MQTT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import protocol
from .models import format_instant
from .moments import item_of
from .user_protocol import bulk_item

if TYPE_CHECKING:
    from .models import Sample
    from .moments import Moment


def telemetry_payload(sample: Sample, token: str | None) -> bytes:
    """Return a device's telemetry as the server reads it (contract 4.3).

    Args:
        sample: what was true.
        token: the device's own, or None for a server that asks for none.

    Raises:
        ValidationError: it can't be sent.
    """
    at = sample.timestamp
    members = bulk_item(
        sample.device_id, sample.variables, None if at is None else format_instant(at)
    )
    if token is not None:
        members["apiToken"] = protocol.check_token(token)
    return json.dumps(members, separators=(",", ":"), allow_nan=False).encode()


def moment_payload(moment: Moment, token: str | None) -> bytes:
    """Return readings of one moment as `telemetry_payload` does its sample.

    Args:
        moment: what was true.
        token: see `telemetry_payload`; one that has been checked.

    Raises:
        ValidationError: it can't be sent.
    """
    item = item_of(moment)
    if token is not None:
        item = f'{item[:-1]},"apiToken":"{token}"}}'
    return item.encode()
